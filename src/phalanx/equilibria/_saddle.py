"""`solve`: the saddle point of a robust game at one attenuation level γ.

Both halves of the split are solved, by the backward pass when the horizon is finite and by doubling
when it is not. Infeasible is an outcome, not an exception: the result says which game fails, at
which stage, by how much, and what to do.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from phalanx._linalg._spectral import unstabilisable_mode
from phalanx._outcome import InputError, Outcome
from phalanx._types import agents as check_agents
from phalanx._types import attenuation
from phalanx.equilibria._finite import Engine, solve_finite
from phalanx.equilibria._game import Half, RobustGame
from phalanx.equilibria._stationary import solve_stationary
from phalanx.equilibria._value import Traces, noise_power, traces

NAMES: dict[Half, str] = {"deviation": "deviation game", "mean": "mean game"}


@dataclass(frozen=True, eq=False)
class SaddlePoint:
    """Both sides' gains and what they are worth (P1, eqs. 12–14, corrected as in the notation page).

    Play is u = −K1 (x − x̄) − L1 x̄ and d = +K2 (x − x̄) + L2 x̄. Arrays carry a leading batch axis
    for a batch of games, then the time axis; a stationary game has no time axis.

    Attributes:
        gamma: γ, one per game of a batch.
        n_agents: N that `value` is for; infinity is the mean-field limit.
        K1: (T, p, m) the controller's gains on deviations. L1: (T, p, m) on the mean.
        K2: (T, q, m) the adversary's gains on deviations. L2: (T, q, m) on the mean.
        M: (T+1, m, m) value matrices of the deviation game. M_bar: of the mean game.
        margin_deviation: (T,) least eigenvalue of γ²I − DᵀM_{t+1}D. margin_mean: with D̃, M̄.
        value: V_N, the cost minus γ² times the disturbance's energy at the saddle point; per step
            when stationary. Units of the cost.
        noise_power: T·Tr(Σ+Σ̄), what the value is weighed against in the noise budget.
        feasible: whether a saddle point exists, one per game.
        outcome: the same in words, with the stage and the mend.

    Where no saddle point exists the entries from the failing stage backwards are NaN and
    `outcome.ok` is False. At N = 1 there is no deviation and its game does not count.
    """

    gamma: np.ndarray
    n_agents: float
    K1: Float[np.ndarray, "*batch_T p m"]
    K2: Float[np.ndarray, "*batch_T q m"]
    L1: Float[np.ndarray, "*batch_T p m"]
    L2: Float[np.ndarray, "*batch_T q m"]
    M: Float[np.ndarray, "*batch_T m m"]
    M_bar: Float[np.ndarray, "*batch_T m m"]
    margin_deviation: Float[np.ndarray, "*batch_T"]
    margin_mean: Float[np.ndarray, "*batch_T"]
    value: Any
    noise_power: Any
    feasible: Any
    outcome: Outcome
    traces: Traces
    stationary: bool

    @property
    def margin(self) -> Any:
        """The least margin over stages and over both games (N = 1: over the mean game)."""
        margins = (
            [self.margin_mean] if self.n_agents == 1 else [self.margin_deviation, self.margin_mean]
        )
        if not self.stationary:
            margins = [np.nanmin(m, axis=-1) for m in margins]
        return _scalar(np.minimum(margins[0], margins[-1]))

    def value_for(self, n_agents: float) -> Any:
        """V_N for another number of agents (eq. 14 at infinity).

        Example:
            >>> import phalanx as px
            >>> game = px.scenario("two-by-two").game
            >>> round(px.solve(game, 3.0).value_for(10), 9)
            58.222025176
        """
        return _scalar(self.traces.value(check_agents("n_agents", n_agents)))


def solve(
    game: RobustGame,
    gamma: Any,
    n_agents: float = float("inf"),
    *,
    engine: Engine = "auto",
    throw: bool = False,
) -> SaddlePoint:
    """The saddle point of `game` at attenuation level `gamma`, in float64.

    Args:
        game: one game, or a batch from `RobustGame.stack`.
        gamma: γ > 0; infinity is the LQ regulator. An array of γ's solves the game at each, with a
            leading batch axis (for a batch of games: one γ per game).
        n_agents: N for `value`; the gains do not depend on it.
        engine: "host" (LAPACK), "compiled" (one JAX scan; many small games) or "auto".
        throw: raise `NoSolutionError` when there is no saddle point, instead of returning an
            outcome that says so.

    Returns:
        `SaddlePoint`.

    Raises:
        InputError: γ or N out of range.
        NoSolutionError: with `throw`, no saddle point at this γ.

    Source: P1, Section 3, eqs. 12–14; corrections on the notation page.

    Example:
        >>> import phalanx as px
        >>> saddle = px.solve(px.scenario("two-by-two").game, gamma=3.0)
        >>> saddle.K1[0].round(4)
        array([[0.5821, 0.2084],
               [0.0095, 0.5328]])
        >>> round(saddle.value, 9)
        56.260355177
    """
    gamma = attenuation("gamma", gamma)
    n_agents = check_agents("n_agents", n_agents)
    if game.batch and gamma.ndim and gamma.shape != game.batch:
        raise InputError(
            f"gamma holds {gamma.size} numbers for a batch of {game.batch[0]} games; give one, or one per game."
        )
    if gamma.shape == (0,):
        raise InputError("gamma is empty; give one number, or one per game of a batch.")
    deviation, mean = game.half("deviation"), game.half("mean")
    if game.stationary:
        y, z = solve_stationary(deviation, gamma), solve_stationary(mean, gamma)
    else:
        y, z = solve_finite(deviation, gamma, engine), solve_finite(mean, gamma, engine)
    feasible = z.exists if n_agents == 1 else np.asarray(y.exists & z.exists)
    parts = traces(game, y.M, z.M)
    result = SaddlePoint(
        gamma=gamma,
        n_agents=n_agents,
        K1=y.K1,
        K2=y.K2,
        L1=z.K1,
        L2=z.K2,
        M=y.M,
        M_bar=z.M,
        margin_deviation=y.margin,
        margin_mean=z.margin,
        value=_scalar(np.where(feasible, parts.value(n_agents), np.nan)),
        noise_power=_scalar(np.broadcast_to(noise_power(game), feasible.shape)),
        feasible=_scalar(feasible),
        outcome=_outcome(
            game,
            gamma,
            n_agents,
            feasible,
            {"deviation": (y.exists, y.margin), "mean": (z.exists, z.margin)},
        ),
        traces=parts,
        stationary=game.stationary,
    )
    if throw:
        result.outcome.raise_if_failed()
    return result


def unstabilisable(game: RobustGame, half: Half) -> Outcome | None:
    """The outcome that names a mode no control reaches, for a single game; None if there is none."""
    lq = game.half(half)
    mode = unstabilisable_mode(lq.A[0], lq.B[0])
    if mode is None:
        return None
    return Outcome(
        "unstabilisable",
        f"The {half} system cannot be stabilised: no control reaches its mode with {mode}.",
        "Give the control a way to act on that state, or solve over a finite horizon.",
    )


def _outcome(
    game: RobustGame, gamma: np.ndarray, n_agents: float, feasible: np.ndarray, halves: dict
) -> Outcome:
    if np.all(feasible):
        return Outcome("solved", "A saddle point exists.")
    mend = "Raise gamma above the saddle level, which attenuation_levels finds."
    batch = np.shape(feasible)
    if batch:
        first = tuple(np.argwhere(~feasible)[0])
        g = float(np.broadcast_to(gamma, batch)[first])
        count = int((~feasible).sum())
        return Outcome(
            "infeasible",
            f"{count} of {feasible.size} games have no saddle point at their gamma; the first is game {int(first[0])}, at gamma = {g:.10g}.",
            mend,
        )
    failing = [
        h for h, (ok, _) in halves.items() if not ok and not (n_agents == 1 and h == "deviation")
    ]
    half = failing[-1]
    if game.stationary and (blocked := unstabilisable(game, half)) is not None:
        return blocked
    if game.stationary:
        what = f"the {NAMES[half]} has no stabilising solution with a positive margin"
    else:
        margins = halves[half][1]
        stage = first_failure(margins)
        what = f"the {NAMES[half]} fails at stage {stage}, where the least eigenvalue of γ²I − DᵀMD is {margins[stage]:.6g}"
    return Outcome(
        "infeasible", f"There is no saddle point at gamma = {float(gamma):.10g}: {what}.", mend
    )


def first_failure(margin: np.ndarray) -> int:
    """The stage, counted from the start, at which a backward pass first lost its margin."""
    return int(np.flatnonzero(~np.isnan(margin) & ~(margin > 0))[-1])


def _scalar(value: Any) -> Any:
    """A Python number for a single game, the array for a batch."""
    value = np.asarray(value)
    return value.item() if value.ndim == 0 else value
