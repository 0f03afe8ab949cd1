"""Learning the saddle point from costs: oracle × estimator × update × schedule (P1, Algorithm 1)."""

from phalanx.learners._base import Oracle
from phalanx.learners._exact import ExactOracle
from phalanx.learners._gains import JointGains, Sizes
from phalanx.learners._identify import Identified, identify
from phalanx.learners._law import LawOracle
from phalanx.learners._learn import learn
from phalanx.learners._learned import Iterates, Learned, Progress
from phalanx.learners._method import PRESETS, Method
from phalanx.learners._oracle import CostOracle
from phalanx.learners._population import PopulationOracle

__all__ = [
    "PRESETS",
    "CostOracle",
    "ExactOracle",
    "Identified",
    "Iterates",
    "JointGains",
    "LawOracle",
    "Learned",
    "Method",
    "Oracle",
    "PopulationOracle",
    "Progress",
    "Sizes",
    "identify",
    "learn",
]
