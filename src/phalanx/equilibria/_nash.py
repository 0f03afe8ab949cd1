"""Feedback Nash equilibria of linear-quadratic games of N players on one state.

    x' = A x + Σ_j B_j u^j,     player i pays  Σ_t xᵀQ_i x + uᵀR_i u + 2 xᵀS_i u,     u = (u^1, …, u^N)

One stage from the end, every player's first-order condition is linear in everyone's gains:

    ([R_i]_{i·} + B_iᵀP_i B) K = [S_i]_{·i}ᵀ + B_iᵀP_i A,     i = 1..N,   stacked: one linear system for K

and P_i follows from play. The stationary equilibrium is where that recursion comes to rest. Near the
end a stage gains little, so at every doubling of its length the recursion is given a chance to finish
by whole policies: P_i of the present gains from a Lyapunov equation, new gains, and so on. Where
controls are cheap and shared the recursion may cycle or wander for ever (no longer game's equilibrium
is close to the next one's), though a stationary equilibrium exists: policies changed by a fraction at a time,
from the regulator of the summed costs, then often find it. Nothing is believed because it converged:
the coupled Riccati residual, the stability of the loop and every player's curvature R_ii + B_iᵀP_iB_i ≻ 0
are checked, and together make K_i the optimal answer to the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from phalanx._linalg._spectral import is_stable, unstabilisable_mode
from phalanx._outcome import InputError, Outcome
from phalanx._types import MatrixLike
from phalanx._types import horizon as check_horizon
from phalanx.equilibria._nash_game import NashGame, stated, weights_of
from phalanx.equilibria._strong_stability import leading_mode

MAX_STAGES = 4096
MAX_POLICIES = 200
# What is changed of a policy at a time where the recursion does not settle, and how often at most.
SHARES, MAX_DAMPED = (0.5, 0.2, 0.05), 2000
# First stage after which whole policies are tried; before it the gains still know little of the future.
FIRST_TRY = 16
# Relative changes that end the two iterations, and the residual that is then asked for.
SETTLED_STAGE, SETTLED_POLICY, MAX_RESIDUAL = 1e-14, 1e-12, 1e-10
# Policies without progress before giving up, and the relative change that then counts as rounding.
PATIENCE, SETTLED_ROUNDING = 10, 1e-9


@dataclass(frozen=True, eq=False)
class NashFeedback:
    """A feedback Nash equilibrium: u^i = −K_i x.

    Attributes:
        K: one per player: (p_i, n); over a finite horizon (T, p_i, n).
        P: one per player: (n, n), what x is worth to it, xᵀP_i x; finite: (T+1, n, n).
        residual: largest relative residual of the coupled Riccati equations; 0 for a finite horizon.
        spectral_radius: of A − Σ_j B_jK_j; None for a finite horizon.
        iterations: stages and policies that were computed.
        outcome: "solved", or why these numbers are no equilibrium.
    """

    K: tuple[np.ndarray, ...]
    P: tuple[np.ndarray, ...]
    residual: float
    spectral_radius: float | None
    iterations: int
    outcome: Outcome

    @property
    def ok(self) -> bool:
        """True when this is an equilibrium."""
        return self.outcome.ok


def nash_feedback(
    A: MatrixLike,
    B: Sequence[MatrixLike],
    Q: Sequence[MatrixLike],
    R: Sequence[MatrixLike],
    horizon: float = float("inf"),
    *,
    cross: Sequence[MatrixLike | None] | None = None,
    terminal: Sequence[MatrixLike] | None = None,
    throw: bool = False,
) -> NashFeedback:
    """The feedback Nash equilibrium of an N-player linear-quadratic game.

    x' = A x + Σ_j B_j u^j; player i minimises Σ_t xᵀQ_i x + uᵀR_i u + 2 xᵀS_i u over its own u^i = −K_i x, the
    others' feedback given. A stationary game may have several equilibria; this is the one that the
    finite games' equilibria, without terminal weights, lead to. Where those do not settle, or not on a
    stable loop, it is one that damped policies find, and the outcome's sentence says so.

    Args:
        A: (n, n).
        B: one (n, p_i) per player.
        Q: one (n, n) per player, symmetric, of any sign; a scalar means scalar times identity.
        R: one per player, symmetric: (p_i, p_i) when it pays for its own control only, or (Σp, Σp) on all
            players' controls stacked; a scalar means scalar times identity on its own control.
        horizon: T ≥ 1 stages, or infinity.
        cross: S_i, one per player: (n, p_i) with its own control or (n, Σp) with all; None for none.
        terminal: one (n, n) per player, the weight of x_T; Q by default. Finite horizons only.
        throw: raise `NoSolutionError` unless an equilibrium was found.

    Returns:
        `NashFeedback`.

    Raises:
        InputError: counts or shapes that do not fit, or asymmetric weights.
        NoSolutionError: with `throw`, no equilibrium was found.

    Source: Başar & Olsder, Dynamic Noncooperative Game Theory, chapter 6 (feedback Nash equilibria of
    linear-quadratic games in discrete time).

    Example:
        >>> from phalanx.equilibria import nash_feedback
        >>> nash = nash_feedback(A=1.0, B=[1.0, 1.0], Q=[1.0, 2.0], R=[1.0, 1.0])
        >>> [round(float(K[0, 0]), 6) for K in nash.K]
        [0.247071, 0.531491]
        >>> nash.ok
        True
    """
    T = check_horizon("horizon", horizon)
    game = stated(A, B, Q, R, cross)
    if terminal is not None and T == float("inf"):
        raise InputError(
            "terminal is the weight of the last state, and a game of infinite horizon has none; drop it, or give a horizon."
        )
    if T == float("inf"):
        result = _stationary(game)
    else:
        last = game.Q if terminal is None else weights_of("terminal", terminal, *game.Q.shape[:2])
        result = _finite(game, int(T), last)
    if throw:
        result.outcome.raise_if_failed()
    return result


def _stationary(game: NashGame) -> NashFeedback:
    mode = unstabilisable_mode(game.A, game.B)
    N, n = len(game.Q), len(game.A)
    if mode is not None:
        nothing = np.full((sum(game.sizes), n), np.nan)
        outcome = Outcome(
            "unstabilisable",
            f"The game has no stationary equilibrium: no player's control reaches the mode with {mode}.",
            "Give some player a way to act on that state, or play over a finite horizon.",
        )
        radius, _ = leading_mode(game.A)
        return NashFeedback(
            game.split(nothing), tuple(np.full((N, n, n), np.nan)), np.inf, radius, 0, outcome
        )
    with np.errstate(all="ignore"):  # values that run away are judged below
        P, K, count, failure = _by_stages(game)
        result = _judged(game, P, K, count, failure)
        return result if result.ok else _damped(game, count) or result


def _damped(game: NashGame, count: int) -> NashFeedback | None:
    """An equilibrium from the regulator of the summed costs, by ever smaller changes; None if none settles."""
    start = _team(game)
    if start is None:
        return None
    for share in SHARES:
        found, tried = _by_policies(game, start, share, MAX_DAMPED)
        count += tried
        if found is not None and (result := _judged(game, *found, count, "", share)).ok:
            return result
    return None


def _by_stages(game: NashGame) -> tuple[np.ndarray, np.ndarray, int, str]:
    """Values and gains where the recursion came to rest, the work it took, and what failed if it did not."""
    P, K = np.zeros_like(game.Q), np.zeros((sum(game.sizes), len(game.A)))
    count, try_at = 0, FIRST_TRY
    try:
        for stage in range(1, MAX_STAGES + 1):
            count += 1
            K = game.gains(P)
            before, P = P, game.value(P, K)
            if not np.isfinite(P).all():
                return P, K, count, f"values left floating point at stage {stage}"
            change = _relative(P, before)
            if stage == try_at or change <= SETTLED_STAGE:
                try_at *= 2
                found, tried = _by_policies(game, K)
                count += tried
                if found is not None:
                    return *found, count, ""
            if change <= SETTLED_STAGE:
                return P, K, count, ""
    except np.linalg.LinAlgError:
        return P, K, count, "the players' conditions at one stage have no unique solution"
    return P, K, count, f"gains still moved after {MAX_STAGES} stages"


def _team(game: NashGame) -> np.ndarray | None:
    """The gains (P, n) of one controller with all inputs and the summed costs; None if there are none."""
    blocks = [weight[:p, :p] for weight, p in zip(game.R_ii, game.sizes, strict=True)]
    R = np.asarray(scipy.linalg.block_diag(*blocks))
    try:
        P = scipy.linalg.solve_discrete_are(game.A, game.B, game.Q.sum(axis=0), R)
        return np.linalg.solve(R + game.B.T @ P @ game.B, game.B.T @ P @ game.A)
    except (np.linalg.LinAlgError, ValueError):
        return None


def _by_policies(
    game: NashGame, K: np.ndarray, share: float = 1.0, most: int = MAX_POLICIES
) -> tuple[tuple[np.ndarray, np.ndarray] | None, int]:
    """Values and gains at rest, from gains K on, a share of the way at a time; None if it does not settle."""
    least, since, patience = np.inf, 0, PATIENCE / share
    for count in range(1, most + 1):
        if not is_stable(game.A - game.B @ K):
            return None, count
        P = game.value_of_policy(K)
        try:
            answer = game.gains(P)
        except np.linalg.LinAlgError:
            return None, count
        if not np.isfinite(answer).all() or (game.curvatures(P) <= 0).any():
            return None, count
        change = np.abs(answer - K).max() / max(np.abs(answer).max(), np.finfo(float).tiny)
        K = K + share * (answer - K)
        since = 0 if change < least else since + 1
        least = min(least, change)
        # Rounding may keep the last digits moving; the residual judges what they are worth.
        if change <= SETTLED_POLICY or (since >= patience and least <= SETTLED_ROUNDING):
            return (P, answer), count
        if since >= patience and share == 1:
            return None, count
    return None, most


def _judged(
    game: NashGame, P: np.ndarray, K: np.ndarray, count: int, failure: str, share: float = 1.0
) -> NashFeedback:
    """The stationary result with its proofs, or with the first that fails."""
    residual, radius, outcome = np.inf, np.inf, None
    if not failure or np.isfinite(P).all():
        residual = _relative(P, game.value(P, K))
        radius, mode = leading_mode(game.A - game.B @ K)
        curvature = game.curvatures(P)
        if not failure and radius >= 1:
            outcome = Outcome(
                "infeasible",
                f"The recursion came to rest, but together the players do not stabilise: A − Σ B_jK_j has {mode}.",
                "Let some player pay for that state: a weight it is indifferent to leaves the mode alone.",
            )
        elif not failure and (curvature <= 0).any():
            outcome = _flat(int(np.argmin(curvature)), float(curvature.min()), "")
        elif not failure and residual <= MAX_RESIDUAL:
            sentence = f"A feedback Nash equilibrium, with a Riccati residual of {residual:.1e}."
            if share < 1:
                sentence += " It was found by damped policies and is not where the finite games' equilibria lead."
            outcome = Outcome("solved", sentence)
        failure = failure or f"the Riccati residual is {residual:.1e}"
    outcome = outcome or Outcome(
        "not_converged",
        f"No stationary equilibrium was found: {failure}.",
        "Play over a finite horizon, or make controls dearer: selfish players with cheap controls need not settle.",
    )
    return NashFeedback(game.split(K), tuple(P), residual, radius, count, outcome)


def _finite(game: NashGame, T: int, last: np.ndarray) -> NashFeedback:
    N, n = len(game.Q), len(game.A)
    K = np.full((T, sum(game.sizes), n), np.nan)
    P = np.full((T + 1, N, n, n), np.nan)
    P[T] = last
    outcome = Outcome("solved", f"The feedback Nash equilibrium of {T} stages.")
    for t in reversed(range(T)):
        try:
            gains, curvature = game.gains(P[t + 1]), game.curvatures(P[t + 1])
        except np.linalg.LinAlgError:
            outcome = Outcome(
                "infeasible",
                f"The players' conditions at stage {t} have no unique solution.",
                "Make controls dearer.",
            )
            break
        if (curvature <= 0).any():
            outcome = _flat(int(np.argmin(curvature)), float(curvature.min()), f" at stage {t}")
            break
        K[t], P[t] = gains, game.value(P[t + 1], gains)
    return NashFeedback(
        game.split(K), tuple(np.ascontiguousarray(P[:, i]) for i in range(N)), 0.0, None, T, outcome
    )


def _relative(P: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, each player's relative to the size of its own P."""
    size = np.maximum(np.abs(P).max(axis=(1, 2)), np.finfo(float).tiny)
    return float((np.abs(P - other).max(axis=(1, 2)) / size).max())


def _flat(player: int, curvature: float, where: str) -> Outcome:
    return Outcome(
        "infeasible",
        f"Player {player}'s cost is not convex in its own control{where}: the least eigenvalue of R + BᵀPB is {curvature:.6g}.",
        "Make that control dearer.",
    )
