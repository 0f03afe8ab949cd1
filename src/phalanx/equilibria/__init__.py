"""Equilibria: saddle points, attenuation levels, certificates."""

from phalanx.equilibria._certificate import Certificate, certify
from phalanx.equilibria._game import LQGame, RobustGame
from phalanx.equilibria._levels import AttenuationLevels, attenuation_levels
from phalanx.equilibria._saddle import SaddlePoint, solve

__all__ = [
    "AttenuationLevels",
    "Certificate",
    "LQGame",
    "RobustGame",
    "SaddlePoint",
    "attenuation_levels",
    "certify",
    "solve",
]
