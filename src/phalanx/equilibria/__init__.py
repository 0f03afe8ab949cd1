"""Equilibria: saddle points, attenuation levels, certificates, and the baselines beside them."""

from phalanx.equilibria import baselines
from phalanx.equilibria._certificate import Certificate, certify
from phalanx.equilibria._game import Half, LQGame, RobustGame
from phalanx.equilibria._levels import AttenuationLevels, attenuation_levels, saddle_level
from phalanx.equilibria._saddle import SaddlePoint, solve
from phalanx.equilibria._stationary import Stationary, solve_stationary

__all__ = [
    "AttenuationLevels",
    "Certificate",
    "Half",
    "LQGame",
    "RobustGame",
    "SaddlePoint",
    "Stationary",
    "attenuation_levels",
    "baselines",
    "certify",
    "saddle_level",
    "solve",
    "solve_stationary",
]
