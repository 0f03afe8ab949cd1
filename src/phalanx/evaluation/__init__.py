"""Evaluation: what a controller really achieves, measured and exact."""

from phalanx.evaluation._best_dac import BestDAC, best_dac
from phalanx.evaluation._best_linear import BestLinear, best_linear
from phalanx.evaluation._equilibrium_gap import EquilibriumGap, equilibrium_gap
from phalanx.evaluation._exponent import Exponent, fit_exponent
from phalanx.evaluation._induced import (
    InducedGain,
    WorstDisturbance,
    induced_gain,
    worst_disturbance,
)
from phalanx.evaluation._noise_gain import NoiseGain, noise_gain
from phalanx.evaluation._pathwise import PathwiseCheck, pathwise_check
from phalanx.evaluation._regret import Regret, regret, regret_curve
from phalanx.evaluation._variation import cost_variation, disturbance_variation

__all__ = [
    "BestDAC",
    "BestLinear",
    "EquilibriumGap",
    "Exponent",
    "InducedGain",
    "NoiseGain",
    "PathwiseCheck",
    "Regret",
    "WorstDisturbance",
    "best_dac",
    "best_linear",
    "cost_variation",
    "disturbance_variation",
    "equilibrium_gap",
    "fit_exponent",
    "induced_gain",
    "noise_gain",
    "pathwise_check",
    "regret",
    "regret_curve",
    "worst_disturbance",
]
