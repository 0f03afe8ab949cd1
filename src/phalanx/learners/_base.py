"""What a learner may touch: the contract of a cost oracle.

An oracle answers one question: what do rollouts cost under these gains? It never says why. A learner
is handed an oracle and nothing else.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from phalanx.learners._gains import JointGains, Sizes


@runtime_checkable
class Oracle(Protocol):
    """Costs of rollouts.

    A batch of rollouts is a grid (G, B): B draws of everything random, and G variants of the gains
    tried on each draw (common random numbers along G).

    Attributes:
        sizes: T, m, p, q.
        Sigma_y, Sigma_z: (m, m) covariances of the states that rollouts of one stage start from;
            the learner asked for them, so it knows them.
        traceable: whether `costs` may be called from a compiled program.
    """

    sizes: Sizes
    Sigma_y: np.ndarray
    Sigma_z: np.ndarray
    traceable: bool

    def prepare(self, gains: JointGains, stage: Any) -> Any:
        """What all rollouts from `stage` under these later gains share; None is an answer."""
        ...

    def draws(self, key: jax.Array, draws: int, stage: Any) -> Any:
        """Everything random that B rollouts start with."""
        ...

    def costs(
        self, shared: Any, gains: JointGains, offset: JointGains, drawn: Any, stage: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Cost and disturbance energy, each (G, B), of rollouts from `stage` to the end.

        Args:
            shared: from `prepare`.
            gains: of all stages.
            offset: added to them, (1 | T, ·, 2m, G | 1, B | 1): with one entry it belongs to
                `stage`, with T to each stage.
            drawn: from `draws`.
            stage: t; rollouts start from y_t ~ N(0, Σ_y), z_t ~ N(0, Σ_z). None: the whole run
                from its own initial law.
        """
        ...


class SetsOracle(Oracle, Protocol):
    """An oracle that can be asked about several sets of variants at once."""

    def costs_each(
        self,
        shared: Any,
        gains: JointGains,
        offsets: Sequence[JointGains],
        drawn: Any,
        stage: Any,
    ) -> list[tuple[jax.Array, jax.Array]]:
        """As `costs`, for each set of offsets, all on the same draws; a player that stays has None."""
        ...


class GradientOracle(Oracle, Protocol):
    """An oracle that knows its gradients as well."""

    def gradient(self, shared: Any, gains: JointGains, gamma: jax.Array, stage: Any) -> JointGains:
        """∇ of cost − γ²·energy with respect to the gains of `stage`, (1, ·, 2m); of all, (T, ·, 2m)."""
        ...
