"""`attenuation_levels`: the least γ that can be promised, under four conditions.

    saddle       a saddle point exists: both margins positive (P1, eq. 12), and in the stationary
                 game a stabilising solution
    mean_field   saddle, and V_∞ ≤ γ² T Tr(Σ+Σ̄)                             (P1, eq. 15)
    population   saddle, and V_N ≤ γ² T Tr(Σ+Σ̄): exact for N agents
    theorem3     saddle, and V_∞ + C T/N ≤ γ² T Tr(Σ+Σ̄): P1's sufficient condition, reported as
                 such (it ignores Σ⁰/N and is no guarantee; see the notation page)

Every left side falls as γ grows, so each level is the end of an interval and is found by section:
many γ's are solved side by side as one batch, and each pass cuts the bracket to a small fraction.
The bracket closes to a relative 1e-12 on the feasible side. A yes-or-no question about a margin
loses no digits near the level, so precision does not depend on how the margin behaves there; the
recursion itself forms nothing large (see `_step`), nor does the doubling (see `_stationary`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from phalanx._linalg import LAPACK
from phalanx._outcome import NoSolutionError, Outcome
from phalanx._types import agents as check_agents
from phalanx.equilibria._finite import Recursion, solve_finite
from phalanx.equilibria._game import Half, LQGame, RobustGame
from phalanx.equilibria._saddle import unstabilisable
from phalanx.equilibria._stationary import Stationary, solve_stationary, starting_point
from phalanx.equilibria._value import noise_power, traces

TOLERANCE = 1e-12
# Where the search for a level starts when nothing bounds it from below, and where it gives up.
SMALLEST, LARGEST = 1e-12, 1e30
Feasible = Callable[[np.ndarray], np.ndarray]  # (candidates, *batch) of γ → the same of yes or no


@dataclass(frozen=True, eq=False)
class AttenuationLevels:
    """The least attenuation levels; arrays over the batch axis for a batch of games.

    Attributes:
        saddle: least γ with a saddle point (N = 1: of the mean game alone, the single-agent H∞ level).
        mean_field: γ_∞, with the mean-field noise budget.
        population: γ_N, exact for `n_agents`.
        theorem3: P1's sufficient condition; None in the stationary game.
        saddle_deviation: least γ of the deviation game alone. saddle_mean: of the mean game.
        n_agents: the N asked for.

    A level is infinite where no γ satisfies the condition: without process noise the budget is
    zero, and an uncertain initial state alone exceeds it.
    """

    saddle: Any
    mean_field: Any
    population: Any
    theorem3: Any
    saddle_deviation: Any
    saddle_mean: Any
    n_agents: float


def attenuation_levels(game: RobustGame, n_agents: float = float("inf")) -> AttenuationLevels:
    """The least attenuation levels of `game`, each to a relative 1e-10 or better.

    Args:
        game: one game, or a batch from `RobustGame.stack`.
        n_agents: N, from 1 to infinity.

    Returns:
        `AttenuationLevels`.

    Raises:
        InputError: N out of range.
        NoSolutionError: a stationary problem that no control stabilises; the mode is named.

    Source: P1, eqs. 12 and 15 and Theorem 3; `population` is beyond P1.

    Example:
        >>> import phalanx as px
        >>> levels = px.attenuation_levels(px.scenario("two-by-two").game, n_agents=100)
        >>> round(levels.saddle, 10), round(levels.population, 10)
        (1.7953086335, 2.6686982536)
    """
    n_agents = check_agents("n_agents", n_agents)
    y, z = _Solver(game.half("deviation")), _Solver(game.half("mean"))
    mean = _level_of("mean", z, game)
    # At N = 1 a deviation game without any level is no obstacle: it is never played.
    try:
        deviation = _level_of("deviation", y, game)
    except NoSolutionError:
        if n_agents != 1:
            raise
        deviation = np.full(game.batch, np.inf)
    both = np.maximum(deviation, mean)
    saddle = mean if n_agents == 1 else both

    def level(condition: str, N: float, base: np.ndarray) -> np.ndarray:
        power = noise_power(game)

        def met(gamma: np.ndarray) -> np.ndarray:
            solved_z = z.at(gamma)
            solved_y = solved_z if N == 1 else y.at(gamma)
            cost = traces(game, solved_y.M, solved_z.M).value(N)
            if condition == "theorem3":
                assert isinstance(solved_y, Recursion)
                assert isinstance(solved_z, Recursion)
                cost = cost + theorem3_constant(game, solved_y, solved_z) * game.horizon / n_agents
            budget = np.where(power > 0, gamma**2 * power, 0.0)
            return solved_y.exists & solved_z.exists & (cost <= budget)

        return _least(met, base, _candidates(y.game))

    mean_field = level("value", float("inf"), both)
    if game.stationary:
        theorem3 = None
    else:
        theorem3 = mean_field if n_agents == float("inf") else level("theorem3", float("inf"), both)
    return AttenuationLevels(
        saddle=_number(saddle),
        mean_field=_number(mean_field),
        population=_number(
            mean_field if n_agents == float("inf") else level("value", n_agents, saddle)
        ),
        theorem3=None if theorem3 is None else _number(theorem3),
        saddle_deviation=_number(deviation),
        saddle_mean=_number(mean),
        n_agents=n_agents,
    )


def theorem3_constant(game: RobustGame, y: Recursion, z: Recursion) -> np.ndarray:
    """C of P1's Theorem 3, (‖ΨᵀWΨ‖_F + ‖Ψ̄ᵀW̄Ψ̄‖_F)·‖Σ‖_F, without forming Ψ.

    Ψ stacks the closed-loop transitions Φ(t, i) of y from stage i to t, and W the stage costs
    Q + K¹ᵀRK¹ − γ²K²ᵀK². Summing over t first, block (i, j ≤ i) of ΨᵀWΨ is M_i Φ(i, j): the tail of
    the cost from stage i is the value matrix itself. With Y_i = Σ_{j<i} Φ(i,j)Φ(i,j)ᵀ the norm is
    Σ_i ‖M_i‖² + 2 Tr(M_i Y_i M_i), a recursion of T steps on m × m matrices instead of a dense
    Tm × Tm product.
    """
    Sigma = game.noise.Sigma[..., 0, :, :] if game.noise.Sigma.ndim == 4 else game.noise.Sigma
    norm = _psi_norm(game.half("deviation"), y) + _psi_norm(game.half("mean"), z)
    return norm * np.linalg.norm(Sigma, axis=(-2, -1))


def _psi_norm(half: LQGame, solved: Recursion) -> np.ndarray:
    mul, t = LAPACK.mul, LAPACK.t
    T = int(half.horizon)
    A, B, D = (
        np.broadcast_to(X, (*X.shape[:-3], T, *X.shape[-2:])) for X in (half.A, half.B, half.D)
    )
    closed = A - mul(B, solved.K1) + mul(D, solved.K2)
    eye = np.eye(A.shape[-1])
    Y = np.zeros_like(solved.M[..., 0, :, :])
    total = np.zeros(Y.shape[:-2])
    for i in range(T + 1):
        M = solved.M[..., i, :, :]
        total = (
            total
            + np.einsum("...ij,...ij->...", M, M)
            + 2 * np.einsum("...ij,...ij->...", mul(M, Y), M)
        )
        if i < T:
            step = closed[..., i, :, :]
            Y = mul(step, mul(Y + eye, t(step)))
    return np.sqrt(total)


class _Solver:
    """One game, solved at many γ's side by side, with what does not depend on γ kept."""

    def __init__(self, game: LQGame):
        self.game = game
        self.start: np.ndarray | None = None

    def at(self, gamma: np.ndarray) -> Recursion | Stationary:
        """Solutions at γ's of shape (candidates, *batch)."""
        if self.game.horizon == float("inf"):
            self.start = starting_point(self.game) if self.start is None else self.start
            return solve_stationary(self.game, gamma, self.start)
        return solve_finite(self.game, gamma)


def saddle_level(game: LQGame) -> np.ndarray:
    """Least γ at which one zero-sum game has a saddle point; 0 if the disturbance meets no cost.

    Raises:
        numpy.linalg.LinAlgError: stationary, and no regulator stabilises the system.
    """
    return _saddle_level(_Solver(game))


def _saddle_level(solver: _Solver) -> np.ndarray:
    """The level, by section.

    The regulator's value bounds the game's from below, M(γ) ⪰ M(∞), so γ² ≥ λ_max(DᵀM(∞)D) is
    necessary: that is where the bracket starts. Where a saddle point exists even at a γ that is
    rounding, the disturbance meets no cost: the game is the regulator, and every γ > 0 will do.
    """
    game = solver.game
    regulator = solver.at(np.full((1, *game.batch), np.inf))
    if not regulator.exists.all():
        raise np.linalg.LinAlgError("no stabilising regulator")
    D = game.D
    M = regulator.M[0]
    M = M[..., 1:, :, :] if isinstance(regulator, Recursion) else M[..., None, :, :]
    DMD = LAPACK.mul(LAPACK.t(D), LAPACK.mul(M, D))
    bound = np.sqrt(np.maximum(-LAPACK.least_eigenvalue(-DMD).min(axis=-1), 0.0))
    # What rounding alone can leave of a DᵀMD that is 0, judged entry by entry: units do not matter.
    size = LAPACK.mul(LAPACK.t(np.abs(D)), LAPACK.mul(np.abs(M), np.abs(D)))
    rounding = np.finfo(float).eps * game.sizes[0] * 8
    floor = np.sqrt(rounding * np.einsum("...tii->...t", size).max(axis=-1))
    level = _least(
        lambda gamma: solver.at(gamma).exists | (floor == 0),
        np.maximum(bound * (1 - TOLERANCE), floor),
        _candidates(game),
    )
    return np.where(level <= floor, 0.0, level)


def _least(met: Feasible, base: np.ndarray, candidates: int) -> np.ndarray:
    """The least γ ≥ base with `met`, which is monotone in γ; infinity where there is none.

    `base` itself is returned where the condition holds there, and where it is 0 or infinite.
    """
    base = np.asarray(base, float)
    if np.isinf(base).all():
        return base
    low = np.where(np.isfinite(base) & (base > 0), base, SMALLEST)
    at_base = met(low[None])[0]
    high = np.where(at_base, low, np.inf)
    column = (-1, *(1,) * base.ndim)
    doubled = 2.0 ** np.arange(1, candidates + 1).reshape(column)
    while (np.isinf(high) & (low < LARGEST)).any():
        low, high = _narrow(met, low, high, low * doubled, np.isinf(high))
    found = np.isfinite(high)
    fractions = (np.arange(1, candidates + 1) / (candidates + 1)).reshape(column)
    while (wide := found & (high > low * (1 + TOLERANCE))).any():
        ratio = np.where(found, high, low) / low
        low, high = _narrow(met, low, high, low * ratio**fractions, wide)
    return np.where(at_base, base, high)


def _narrow(met: Feasible, low: np.ndarray, high: np.ndarray, grid: np.ndarray, where: np.ndarray):
    """The bracket cut at a rising grid: from the last γ that fails to the first that holds."""
    ok = met(grid)
    first = np.where(ok.any(axis=0), ok.argmax(axis=0), len(grid))
    edges = np.concatenate([low[None], grid, high[None]])
    cut = [np.take_along_axis(edges, (first + shift)[None], axis=0)[0] for shift in (0, 1)]
    return np.where(where, cut[0], low), np.where(where, cut[1], high)


def _candidates(game: LQGame) -> int:
    """How many γ's to try side by side: many where a call costs more than its arithmetic."""
    n = game.sizes[0]
    games = int(np.prod(game.batch)) if game.batch else 1
    return max(1, min(24 if n <= 6 else 8 if n <= 24 else 2, 4096 // games))


def _level_of(half: Half, solver: _Solver, game: RobustGame) -> np.ndarray:
    """The saddle level of one half, or the reason why it has none."""
    try:
        return _saddle_level(solver)
    except np.linalg.LinAlgError as error:
        blocked = None if game.batch else unstabilisable(game, half)
        raise NoSolutionError(
            blocked
            or Outcome(
                "unstabilisable",
                f"The {half} system has no stabilising regulator: no control reaches one of its "
                f"unstable modes, or a mode on the unit circle meets no cost.",
                "Give that state a control or a weight, or solve over a finite horizon.",
            )
        ) from error


def _number(value: np.ndarray) -> Any:
    return value.item() if np.ndim(value) == 0 else value
