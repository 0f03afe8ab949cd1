"""Online control: agents that learn from what the world did to them, while they play."""

from phalanx.online._action import DisturbanceAction
from phalanx.online._gradient_perturbation import GradientPerturbation, team

__all__ = ["DisturbanceAction", "GradientPerturbation", "team"]
