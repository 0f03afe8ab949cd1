"""Equilibria: saddle points, attenuation levels, certificates, and the baselines beside them."""

from phalanx.equilibria import baselines
from phalanx.equilibria._certificate import Certificate, certify
from phalanx.equilibria._covariance_sdp import CovarianceDesign, covariance_sdp
from phalanx.equilibria._game import Half, LQGame, RobustGame
from phalanx.equilibria._levels import AttenuationLevels, attenuation_levels, saddle_level
from phalanx.equilibria._nash import NashFeedback, nash_feedback
from phalanx.equilibria._saddle import SaddlePoint, solve
from phalanx.equilibria._stabilising import StabilisingGains, stabilising_gains
from phalanx.equilibria._stationary import Stationary, solve_stationary
from phalanx.equilibria._strong_stability import StrongStability, strong_stability

__all__ = [
    "AttenuationLevels",
    "Certificate",
    "CovarianceDesign",
    "Half",
    "LQGame",
    "NashFeedback",
    "RobustGame",
    "SaddlePoint",
    "StabilisingGains",
    "Stationary",
    "StrongStability",
    "attenuation_levels",
    "baselines",
    "certify",
    "covariance_sdp",
    "nash_feedback",
    "saddle_level",
    "solve",
    "solve_stationary",
    "stabilising_gains",
    "strong_stability",
]
