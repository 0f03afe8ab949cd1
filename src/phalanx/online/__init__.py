"""Online control: agents that learn from what the world did to them, while they play."""

from phalanx.online._action import DisturbanceAction
from phalanx.online._gradient_perturbation import GradientPerturbation, team
from phalanx.online._mean_field_action import MeanFieldDisturbanceAction
from phalanx.online._predictive import ModelPredictive
from phalanx.online._stream import StreamingController
from phalanx.online._theory import TheorySettings, theory_settings

__all__ = [
    "DisturbanceAction",
    "GradientPerturbation",
    "MeanFieldDisturbanceAction",
    "ModelPredictive",
    "StreamingController",
    "TheorySettings",
    "team",
    "theory_settings",
]
