"""`stabilising_gains`: the K_i that online learners stand on, and whether they hold.

Learning is done on top of fixed feedback. In the independent setting every agent's own loop A − B_iK_i must be
strongly stable (P2, Assumption 3), in the aggregated setting the loop of all together, A − Σ_j B_jK_j (Assumption 4).
Neither implies the other: A = B_1 = B_2 = 1 with K_1 = K_2 = 1.5 leaves each agent alone at −0.5 and both at −2.
So both are always examined. `scope` says for whom gains are designed and which of the two is required;
the other, where it fails, is a warning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import scipy.linalg

from phalanx._linalg._spectral import unstabilisable_mode
from phalanx._outcome import InputError, Outcome
from phalanx._types import MatrixLike, matrix, symmetric
from phalanx.equilibria._covariance_sdp import covariance_sdp
from phalanx.equilibria._game import LQGame
from phalanx.equilibria._levels import saddle_level
from phalanx.equilibria._nash import nash_feedback
from phalanx.equilibria._stationary import solve_stationary
from phalanx.equilibria._strong_stability import StrongStability, certified
from phalanx.systems import LinearSystem

Method = Literal["lqr", "zero", "nash", "hinf", "sdp"]
Scope = Literal["agent", "global"]
# γ of the H∞ gains, as a multiple of the least that has a saddle point.
ABOVE_LEVEL = 1.1
OWN, TOGETHER = "A − B_iK_i", "A − Σ_j B_jK_j"


@dataclass(frozen=True, eq=False)
class StabilisingGains:
    """One gain per agent, u^i = −K_i x, and what they stabilise.

    Attributes:
        K: (p_i, n) per agent; NaN for an agent that no gain was found for.
        own: strong stability of A − B_iK_i, one per agent (Assumption 3).
        joint: strong stability of A − Σ_j B_jK_j (Assumption 4).
        method: how the gains were made; "given" when they were handed in.
        scope: "agent" or "global": for whom, and which of the two `outcome` is about.
        outcome: "solved" when the loops of the scope are strongly stable; else which agent's fails, by
            which eigenvalue or mode, and the mend.
        warnings: sentences to be read before the first round; empty when there is nothing to say.
    """

    K: tuple[np.ndarray, ...]
    own: tuple[StrongStability, ...]
    joint: StrongStability
    method: str
    scope: Scope
    outcome: Outcome
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when the loops that the scope is about are strongly stable."""
        return self.outcome.ok


def stabilising_gains(
    system: LinearSystem,
    costs: Any = None,
    method: Method | Sequence[MatrixLike] = "lqr",
    scope: Scope = "agent",
    *,
    throw: bool = False,
) -> StabilisingGains:
    """Feedback gains for every agent of a linear system, with their (κ, ρ) and the joint loop's.

    Methods, each for one controller with input B_i and weights Q_i, R_i (scope "agent"), or for all as one
    controller with input [B_1 … B_N] and weights Σ Q_i, diag(R_i) (scope "global"):
    "lqr" the regulator; "hinf" the game against w at 1.1 × its least level; "sdp" the covariance programme
    (needs the extra `sdp`). "nash" is the players' feedback equilibrium and "zero" no control, whatever the scope.

    Args:
        system: constant matrices.
        costs: one `Quadratic` per agent (anything with weights Q and R does), or one for all; Q = R = I when left out.
        method: as above, or a list of the gains themselves, (p_i, n) each.
        scope: "agent" for the independent setting, "global" for the aggregated.
        throw: raise `NoSolutionError` unless the loops of the scope are strongly stable.

    Returns:
        `StabilisingGains`.

    Raises:
        InputError: an unknown method or scope, matrices that vary in time, costs without quadratic weights.
        NoSolutionError: with `throw`, a loop that is not stable or cannot be made so.

    Source: P2, Assumptions 3 and 4; "sdp" is Cohen et al. (2018).

    Example:
        >>> import phalanx as px
        >>> from phalanx.equilibria import stabilising_gains
        >>> system = px.LinearSystem(A=1.0, B=[[[1.0]], [[1.0]]])
        >>> gains = stabilising_gains(system, method=[[[1.5]], [[1.5]]])
        >>> gains.ok, gains.joint.ok
        (True, False)
        >>> gains.warnings[0]
        'Every agent alone is stable, all together are not: A − Σ_j B_jK_j is not stable: it has eigenvalue -2 (modulus 2) along x[0].'
        >>> stabilising_gains(system, method="lqr", scope="global").joint.ok
        True
    """
    if scope not in get_args(Scope):
        raise InputError(f'scope must be "agent" or "global", but it is {scope!r}.')
    if system.stages is not None:
        raise InputError(
            f"system varies over {system.stages} stages; stabilising gains are for constant matrices."
        )
    inputs = [system.input_matrix(i) for i in range(system.n_agents)]
    failures: dict[int, Outcome] = {}
    if isinstance(method, str):
        if method not in get_args(Method):
            known = ", ".join(f'"{name}"' for name in get_args(Method))
            raise InputError(
                f"method must be one of {known}, or a list of gains, but it is {method!r}."
            )
        K, failures = _designed(system, inputs, costs, method, scope)
    else:
        K = _given(system, method)
    own, joint = _own(system.A, inputs, K, failures), _joint(system.A, inputs, K, failures)
    outcome, warnings = _verdict(own, joint, failures, scope)
    result = StabilisingGains(
        K, own, joint, method if isinstance(method, str) else "given", scope, outcome, warnings
    )
    if throw:
        outcome.raise_if_failed()
    return result


def _designed(
    system: LinearSystem, inputs: list[np.ndarray], costs: Any, method: str, scope: Scope
) -> tuple[tuple[np.ndarray, ...], dict[int, Outcome]]:
    """The gains of the method, and by agent the outcomes of those that have none."""
    n = system.state_size
    if method == "zero":
        return tuple(np.zeros((B.shape[1], n)) for B in inputs), {}
    Q, R = _weights(system, costs, method)
    A, E = system.A, system.E
    everyone = range(system.n_agents)
    if method == "nash":
        nash = nash_feedback(A, inputs, Q, R)
        if nash.ok:
            return nash.K, {}
        none = tuple(np.full_like(K, np.nan) for K in nash.K)
        return none, dict.fromkeys(everyone, nash.outcome)
    design = {"lqr": _lqr, "hinf": _hinf, "sdp": _sdp}[method]
    if scope == "global":
        weight, price = np.sum(Q, axis=0), np.asarray(scipy.linalg.block_diag(*R))
        K, failure = design(A, np.hstack(inputs), weight, price, E)
        K = np.split(K, np.cumsum(system.control_sizes)[:-1])
        return tuple(K), {} if failure is None else dict.fromkeys(everyone, failure)
    known: dict[bytes, tuple[np.ndarray, Outcome | None]] = {}
    for i in everyone:
        one = _key(inputs[i], Q[i], R[i])
        if one not in known:
            known[one] = design(A, inputs[i], Q[i], R[i], E)
    found = [known[_key(inputs[i], Q[i], R[i])] for i in everyone]
    failures = {i: failure for i, (_, failure) in enumerate(found) if failure is not None}
    return tuple(K for K, _ in found), failures


def _lqr(
    A: np.ndarray, B: np.ndarray, Q: np.ndarray, R: np.ndarray, E: np.ndarray
) -> tuple[np.ndarray, Outcome | None]:
    found = solve_stationary(_one_controller(A, B, Q, R, E), np.asarray(np.inf))
    if found.exists:
        return found.K1, None
    return np.full((B.shape[1], len(A)), np.nan), _no_regulator(A, B, Q)


def _hinf(
    A: np.ndarray, B: np.ndarray, Q: np.ndarray, R: np.ndarray, E: np.ndarray
) -> tuple[np.ndarray, Outcome | None]:
    K, failure = _lqr(A, B, Q, R, E)
    if failure is not None:
        return K, failure
    game = _one_controller(A, B, Q, R, E)
    level = float(saddle_level(game))
    if level == 0:  # nothing that is paid for can be disturbed: the regulator is the answer
        return K, None
    found = solve_stationary(game, np.asarray(ABOVE_LEVEL * level))
    if found.exists:
        return found.K1, None
    return np.full_like(K, np.nan), Outcome(
        "not_converged",
        f"The game has no proved saddle point at {ABOVE_LEVEL:g} times its level {level:.6g}.",
        'Choose method "lqr", or scale states and controls to like sizes.',
    )


def _sdp(
    A: np.ndarray, B: np.ndarray, Q: np.ndarray, R: np.ndarray, E: np.ndarray
) -> tuple[np.ndarray, Outcome | None]:
    # W = I rather than EEᵀ: σ² must be positive, and P2's w may come from anywhere.
    design = covariance_sdp(A, B, Q, R)
    return design.K, None if design.ok else design.outcome


def _one_controller(
    A: np.ndarray, B: np.ndarray, Q: np.ndarray, R: np.ndarray, E: np.ndarray
) -> LQGame:
    stage = [X[None] for X in (A, B, E, Q, R)]
    return LQGame(*stage, Q_T=np.zeros_like(Q), horizon=float("inf"))


def _no_regulator(A: np.ndarray, B: np.ndarray, Q: np.ndarray) -> Outcome:
    """Why there is no stabilising regulator, with the mode."""
    mode = unstabilisable_mode(A, B)
    if mode is not None:
        return Outcome(
            "unstabilisable",
            f"no control reaches the mode with {mode}.",
            'Give the agent a way to act on that state, choose scope "global", or make the plant stable there.',
        )
    unseen = unstabilisable_mode(A.T, Q)
    if unseen is not None:
        return Outcome(
            "infeasible",
            f"the weight Q does not see the mode with {unseen}, so the regulator leaves it alone.",
            "Give that state some weight.",
        )
    return Outcome(
        "not_converged",
        "the Riccati equation has no solution that float64 can prove stabilising.",
        "Scale states and controls to like sizes.",
    )


def _own(
    A: np.ndarray, inputs: list[np.ndarray], K: tuple[np.ndarray, ...], failures: dict[int, Outcome]
) -> tuple[StrongStability, ...]:
    """Each agent's own certificate; agents with the same B and K share one."""
    known: dict[bytes, StrongStability] = {}
    out = []
    for i, (B, gain) in enumerate(zip(inputs, K, strict=True)):
        if i in failures:
            out.append(_missing(failures[i]))
            continue
        push = B @ gain
        one = _key(push, np.linalg.norm(gain, 2))
        if one not in known:
            known[one] = certified(A - push, gain, None, OWN)
        out.append(known[one])
    return tuple(out)


def _joint(
    A: np.ndarray, inputs: list[np.ndarray], K: tuple[np.ndarray, ...], failures: dict[int, Outcome]
) -> StrongStability:
    if failures:
        return _missing(next(iter(failures.values())))
    stacked = np.vstack(K)
    return certified(A - np.hstack(inputs) @ stacked, stacked, None, TOGETHER)


def _verdict(
    own: tuple[StrongStability, ...],
    joint: StrongStability,
    failures: dict[int, Outcome],
    scope: Scope,
) -> tuple[Outcome, tuple[str, ...]]:
    if failures:
        who = "any agent" if len(failures) == len(own) > 1 else _who(list(failures))
        first = next(iter(failures.values()))
        sentence = f"There is no gain for {who}: {first.sentence}"
        return Outcome(first.status, sentence, first.mend), ()
    bad = [i for i, loop in enumerate(own) if not loop.ok]
    alone = joined = None
    if bad:
        first = own[bad[0]].outcome
        alone = f"{_who(bad).capitalize()} alone: {first.sentence}"
    if not joint.ok:
        joined = f"All agents together: {joint.outcome.sentence}"
    if scope == "agent":
        if alone is not None:
            outcome = Outcome(
                own[bad[0]].outcome.status,
                alone,
                'Change that agent\'s gain; gains designed for all together need scope "global" and the aggregated setting.',
            )
            return outcome, () if joined is None or len(own) == 1 else (joined,)
        warning = "Every agent alone is stable, all together are not: "
        extra = () if joined is None else (warning + joint.outcome.sentence,)
        return Outcome("solved", "Every agent's own loop is strongly stable."), extra
    if joined is not None:
        outcome = Outcome(
            joint.outcome.status,
            joined,
            'Make the gains smaller, or let scope "global" design them together.',
        )
        return outcome, () if alone is None or len(own) == 1 else (alone,)
    extra = () if alone is None else (f"{alone} Keep to the aggregated setting.",)
    return Outcome("solved", "The loop of all agents together is strongly stable."), extra


def _who(agents: list[int]) -> str:
    more = len(agents) - 1
    others = "" if not more else f" (and {more} other{'s' if more > 1 else ''})"
    return f"agent {agents[0]}{others}"


def _missing(outcome: Outcome) -> StrongStability:
    return StrongStability(np.inf, 0.0, np.nan, None, None, outcome)


def _given(system: LinearSystem, gains: Sequence[MatrixLike]) -> tuple[np.ndarray, ...]:
    N, n = system.n_agents, system.state_size
    if not isinstance(gains, list | tuple | np.ndarray) or len(gains) != N:
        raise InputError(
            f"method must be a name or a list of {N} gains, one per agent, but it is {gains!r}."
        )
    out = []
    for i, (gain, p) in enumerate(zip(gains, system.control_sizes, strict=True)):
        K = matrix(f"K of agent {i}", gain, p, n)
        if K.ndim != 2:
            raise InputError(
                f"K of agent {i} has shape {K.shape} and must be one matrix of shape ({p}, {n})."
            )
        out.append(K)
    return tuple(out)


def _weights(
    system: LinearSystem, costs: Any, method: str
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(Q_i, R_i) of every agent, written out."""
    N, n = system.n_agents, system.state_size
    if costs is None:
        return [np.eye(n)] * N, [np.eye(p) for p in system.control_sizes]
    costs = list(costs) if isinstance(costs, list | tuple) else [costs] * N
    if len(costs) != N:
        raise InputError(f"costs holds {len(costs)} for {N} agents; give one per agent, or one.")
    Q, R = [], []
    for i, (cost, p) in enumerate(zip(costs, system.control_sizes, strict=True)):
        if not (hasattr(cost, "Q") and hasattr(cost, "R")):
            raise InputError(
                f'method "{method}" needs quadratic weights, but the cost of agent {i} is {_kind(cost)}; give a Quadratic '
                'that stands in for it, or choose method "zero" or a list of gains.'
            )
        Q.append(symmetric(f"Q of agent {i}", cost.Q, n))
        R.append(symmetric(f"R of agent {i}", cost.R, p, definite=True))
    return Q, R


def _kind(cost: Any) -> str:
    return getattr(cost, "__name__", type(cost).__name__)


def _key(*arrays: Any) -> bytes:
    return b"|".join(np.ascontiguousarray(X).tobytes() for X in arrays)
