"""Disturbances: what the world, or an adversary, does to the agents."""

from phalanx.disturbances._base import Disturbance, PopulationView, Scope, Signal, Sum
from phalanx.disturbances._bounded import BoundedAdversary
from phalanx.disturbances._replay import LinearAdversary, Replay
from phalanx.disturbances._signals import Gaussian, RandomWalk, Sinusoid, Step, UniformBall

__all__ = [
    "BoundedAdversary",
    "Disturbance",
    "Gaussian",
    "LinearAdversary",
    "PopulationView",
    "RandomWalk",
    "Replay",
    "Scope",
    "Signal",
    "Sinusoid",
    "Step",
    "Sum",
    "UniformBall",
]
