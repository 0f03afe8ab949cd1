"""The robust game, and the two ordinary games it is made of.

`RobustGame` is what a user states: a population, what it pays, how it is disturbed, how long it
lasts. By the exact split it equals two independent zero-sum linear-quadratic games, one for the
deviation and one for the mean, which differ only in their matrices. `LQGame` is that one shape;
everything below this file solves an `LQGame` and never asks which of the two it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import frozen
from phalanx._types import horizon as check_horizon
from phalanx.costs import MeanFieldCost
from phalanx.systems import MeanFieldNoise, MeanFieldSystem

Half = Literal["deviation", "mean"]


@dataclass(frozen=True, eq=False)
class LQGame:
    """Zero-sum linear-quadratic game: x' = A x + B u + D d, u minimises, d maximises.

    Every stage matrix has an explicit time axis of length T or 1, behind any batch axes.

    Attributes:
        A: (*batch, T|1, n, n). B: (*batch, T|1, n, p). D: (*batch, T|1, n, q).
        Q: (*batch, T|1, n, n). R: (*batch, T|1, p, p). Q_T: (*batch, n, n), weight of x_T.
        horizon: T, or infinity.
    """

    A: Float[np.ndarray, "*batch T n n"]
    B: Float[np.ndarray, "*batch T n p"]
    D: Float[np.ndarray, "*batch T n q"]
    Q: Float[np.ndarray, "*batch T n n"]
    R: Float[np.ndarray, "*batch T p p"]
    Q_T: Float[np.ndarray, "*batch n n"]
    horizon: float

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the leading batch axes, () for a single game."""
        if self.A.ndim == 3 and self.Q_T.ndim == 2:
            return ()
        return np.broadcast_shapes(
            *(X.shape[:-3] for X in (self.A, self.B, self.D, self.Q, self.R)), self.Q_T.shape[:-2]
        )

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(n, p, q): entries of the state, of u and of d."""
        return self.A.shape[-1], self.B.shape[-1], self.D.shape[-1]


@dataclass(frozen=True, eq=False)
class RobustGame:
    """A mean-field team against its disturbances (P1, Section 2).

    Args:
        system: the population.
        cost: what it pays; scalars take the system's sizes. A stationary game has no last stage:
            its terminal weights are 0.
        noise: covariances of the random part; none by default.
        horizon: T ≥ 1 stages, or `math.inf` for the stationary game (constant matrices only).

    Raises:
        InputError: sizes or time axes that do not fit.

    Example:
        >>> import phalanx as px
        >>> game = px.RobustGame(
        ...     px.MeanFieldSystem(A=1.0, B=1.0), px.MeanFieldCost(Q=1.0, R=1.0), horizon=10
        ... )
        >>> game.half("mean").sizes
        (1, 1, 1)
    """

    system: MeanFieldSystem
    cost: MeanFieldCost
    noise: MeanFieldNoise
    horizon: float

    def __init__(
        self,
        system: MeanFieldSystem,
        cost: MeanFieldCost,
        noise: MeanFieldNoise | None = None,
        horizon: float = float("inf"),
    ):
        T = check_horizon("horizon", horizon)
        cost = cost.for_sizes(system.state_size, system.control_size)
        cost = cost.without_terminal() if T == float("inf") else cost
        noise = (MeanFieldNoise() if noise is None else noise).for_size(system.state_size)
        for what, stages in (("system", system.stages), ("cost", cost.stages)):
            if stages is None:
                continue
            if T == float("inf"):
                raise InputError(
                    f"horizon is inf, but the {what}'s matrices vary over {stages} stages; the stationary game needs constant matrices."
                )
            if stages != T:
                raise InputError(
                    f"the {what}'s matrices vary over {stages} stages, but horizon is {T}; the two must agree."
                )
        object.__setattr__(self, "system", system)
        object.__setattr__(self, "cost", cost)
        object.__setattr__(self, "noise", noise)
        object.__setattr__(self, "horizon", T)

    @property
    def stationary(self) -> bool:
        """True when the horizon is infinite."""
        return self.horizon == float("inf")

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the leading batch axis, () for a single game."""
        return self.half("deviation").batch

    def half(self, which: Half) -> LQGame:
        """The deviation game (A, B, D, Q, R, Q_T) or the mean game (Ã, B̃, D̃, Q̄, R̄, Q̄_T)."""
        s, c = self.system, self.cost
        if which == "deviation":
            stage, last = (s.A, s.B, s.D, c.Q, c.R), c.Q_T
        else:
            stage, last = (s.A + s.A_bar, s.B + s.B_bar, s.D + s.D_bar, c.Q_bar, c.R_bar), c.Q_bar_T
        with_time = [X if X.ndim >= 3 else X[None] for X in stage]
        return LQGame(
            *with_time, Q_T=last[..., 0, :, :] if last.ndim == 4 else last, horizon=self.horizon
        )

    @classmethod
    def stack(cls, games: Sequence["RobustGame"]) -> "RobustGame":
        """Many games of the same sizes and horizon as one, with a leading batch axis.

        Args:
            games: at least one game; all with equal sizes and horizon.

        Returns:
            One `RobustGame` whose matrices have shape (batch, T or 1, ·, ·); `solve` takes it whole.

        Raises:
            InputError: games that differ in size or horizon.
        """
        games = list(games)
        if not games:
            raise InputError("games is empty; stack at least one game.")
        first = games[0]
        for i, g in enumerate(games):
            if (
                g.batch
                or g.horizon != first.horizon
                or g.half("mean").sizes != first.half("mean").sizes
            ):
                raise InputError(
                    f"games[{i}] has sizes {g.half('mean').sizes} and horizon {g.horizon}, but games[0] has sizes "
                    f"{first.half('mean').sizes} and horizon {first.horizon}; stack games of one shape."
                )
        out = object.__new__(cls)
        for part, names in _PARTS.items():
            stacked = object.__new__(type(getattr(first, part)))
            for name in names:
                arrays = [
                    # Values need second moments only, so a stacked x0 is a part of Σ̄⁰.
                    g.noise.initial_common
                    if name == "Sigma_bar_0"
                    else getattr(getattr(g, part), name)
                    for g in games
                ]
                arrays = [X if X.ndim == 3 else X[None] for X in arrays]
                length = max(len(X) for X in arrays)
                arrays = [np.broadcast_to(X, (length, *X.shape[1:])) for X in arrays]
                object.__setattr__(stacked, name, frozen(np.stack(arrays)))
            object.__setattr__(out, part, stacked)
        object.__setattr__(out.noise, "x0", np.zeros(first.system.state_size))
        object.__setattr__(out, "horizon", first.horizon)
        return out


_PARTS = {
    "system": ("A", "A_bar", "B", "B_bar", "D", "D_bar"),
    "cost": ("Q", "Q_bar", "R", "R_bar", "Q_T", "Q_bar_T"),
    "noise": ("Sigma", "Sigma_bar", "Sigma_0", "Sigma_bar_0"),
}
