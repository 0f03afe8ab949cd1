"""Systems: what moves, how the agents are coupled, and the noise that shakes them."""

from phalanx.systems._base import System
from phalanx.systems._linear import LinearSystem
from phalanx.systems._mean_field import MeanFieldSystem, Split
from phalanx.systems._noise import MeanFieldNoise

__all__ = ["LinearSystem", "MeanFieldNoise", "MeanFieldSystem", "Split", "System"]
