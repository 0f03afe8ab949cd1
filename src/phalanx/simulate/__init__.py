"""Simulation: the one place where time passes."""

from phalanx.simulate._linear_trajectory import LinearTrajectory
from phalanx.simulate._simulate import simulate
from phalanx.simulate._trajectory import Trajectory

__all__ = ["LinearTrajectory", "Trajectory", "simulate"]
