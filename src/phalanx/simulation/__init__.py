"""Simulation: the one place where time passes."""

from phalanx.simulation._linear_trajectory import LinearTrajectory
from phalanx.simulation._simulate import simulate
from phalanx.simulation._trajectory import Trajectory

__all__ = ["LinearTrajectory", "Trajectory", "simulate"]
