"""Costs: what the agents pay. The stage costs load JAX; `MeanFieldCost` does not."""

from typing import TYPE_CHECKING, Any

from phalanx.costs._mean_field import MeanFieldCost

if TYPE_CHECKING:
    from phalanx.costs._convex import require_convex
    from phalanx.costs._stage import Huber, LinearStage, Quadratic, Tracking

__all__ = ["Huber", "LinearStage", "MeanFieldCost", "Quadratic", "Tracking", "require_convex"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'phalanx.costs' has no attribute {name!r}")
    from phalanx.costs import _convex, _stage

    return getattr(_convex if name == "require_convex" else _stage, name)
