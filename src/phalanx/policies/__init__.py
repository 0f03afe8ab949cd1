"""Policies: how an agent acts on what it sees."""

from phalanx.policies._base import Feedback, LinearView, MeanFieldView, Policy, RoundFeedback
from phalanx.policies._feedback import LinearFeedback, MeanFieldFeedback

__all__ = [
    "Feedback",
    "LinearFeedback",
    "LinearView",
    "MeanFieldFeedback",
    "MeanFieldView",
    "Policy",
    "RoundFeedback",
]
