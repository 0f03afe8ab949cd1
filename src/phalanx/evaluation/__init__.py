"""Evaluation: what a controller really achieves, measured and exact."""

from phalanx.evaluation._induced import (
    InducedGain,
    WorstDisturbance,
    induced_gain,
    worst_disturbance,
)
from phalanx.evaluation._noise_gain import NoiseGain, noise_gain
from phalanx.evaluation._pathwise import PathwiseCheck, pathwise_check

__all__ = [
    "InducedGain",
    "NoiseGain",
    "PathwiseCheck",
    "WorstDisturbance",
    "induced_gain",
    "noise_gain",
    "pathwise_check",
    "worst_disturbance",
]
