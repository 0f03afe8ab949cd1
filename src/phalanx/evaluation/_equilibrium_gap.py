"""How far from an equilibrium the learners are, round by round: by exact best responses, each proved to an accuracy.

    EqGap_t = max_i [ ℓ^i_t(M_{1,t}, …, M_{N,t}) − min_{M_i} ℓ^i_t(M_i, M_{−i,t}) ]

ℓ^i is the idealised cost of the round, all M frozen over the memory (`_round_game`). Where the costs make a potential game
this is P2's gap of the potential Φ_t; where they do not it is still the Nash gap of the round, and the record says so.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError, Outcome
from phalanx.evaluation._counterfactual import base_feedback, check_run, whole
from phalanx.evaluation._variation import cost_variation, disturbance_variation
from phalanx.simulation import LinearTrajectory

# Rounds that are evaluated when nothing is said; numbers held by one batch; steps of a best response.
EVALUATED, BATCH, STEPS = 100, 2_000_000, 10_000
# Mixed derivatives that differ by less than this share are equal up to rounding.
ROUNDING = 1e-8
# Costs below this share of the run's mean count as this share where a relative tolerance is asked for.
FLOOR = 1e-3


@dataclass(frozen=True, eq=False)
class EquilibriumGap:
    """Nash gaps of the rounds of a run.

    Attributes:
        rounds: (R,) the rounds evaluated. gap: (R,) max over agents. by_agent: (R, N).
        certificate: (R,) the true gap is at least `gap` and at most this much more.
        mean: of gap. mean_square: of its square (P2, Theorem 4.1).
        cost: (R, N) idealised costs at what was played.
        potential: whether the costs make a potential game, as far as sampled; None where that cannot be told.
        asymmetry: of the mixed derivatives; NaN where all of them vanish.
        disturbance_variation, cost_variation: (T,) cumulated, the bound's other side.
        outcome: "solved" when every best response met the tolerance. notes: what a reader should know.
    """

    rounds: np.ndarray
    gap: Float[np.ndarray, " R"]
    by_agent: Float[np.ndarray, "R N"]
    certificate: Float[np.ndarray, " R"]
    mean: float
    mean_square: float
    cost: Float[np.ndarray, "R N"]
    potential: bool | None
    asymmetry: float
    disturbance_variation: Float[np.ndarray, " T"]
    cost_variation: Float[np.ndarray, " T"]
    outcome: Outcome
    notes: tuple[str, ...]


def equilibrium_gap(
    trajectory: LinearTrajectory,
    every: int | None = None,
    *,
    radius: float | None = None,
    decay: float | None = None,
    tolerance: float = 1e-6,
    throw: bool = False,
) -> EquilibriumGap:
    """The equilibrium gap along a run of learners in the aggregated setting.

    EqGap_t = max_i [Φ_t(M_t) − min_{M_i} Φ_t(M_i, M_{−i,t})], the minimum over agent i's own set.

    Args:
        trajectory: a run with `record="parameters"` and costs, every agent a learner (or a fixed disturbance action)
            of one memory, in an aggregated setting.
        every: evaluate every so many rounds; about 100 rounds in all when left out.
        radius: a of the best responses' sets; each agent's own when left out (10 where it has none).
        decay: ρ, likewise (0).
        tolerance: accepted accuracy of each best response, as a share of the round's cost (or of a thousandth of
            the mean cost, if that is more).
        throw: raise unless the outcome is "solved".

    Returns:
        `EquilibriumGap`; its `potential` says whether the gap is that of a potential.

    Raises:
        InputError: a run without parameters or costs, in the independent setting, or with different memories.
        NoSolutionError: with `throw`, best responses that did not meet the tolerance.

    Source: P2, Section 4, eqs. 6–8 and Theorem 4.1; docs/notation.md.

    Example:
        >>> import numpy as np, phalanx as px
        >>> system = px.LinearSystem(A=0.5 * np.eye(2), B=[[[1.0], [0.0]], [[0.0], [1.0]]])
        >>> learners = px.team(
        ...     system, [np.zeros((1, 2))] * 2, setting="aggregated", memory=2, step_size=0.05
        ... )
        >>> run = px.simulate(
        ...     system,
        ...     learners,
        ...     px.Step(1.0),
        ...     px.Quadratic(1.0, 0.0),
        ...     rounds=200,
        ...     information="aggregated",
        ...     record="parameters",
        ... )
        >>> found = px.equilibrium_gap(run, every=20)
        >>> found.potential, bool(found.gap[-1] < 0.01 * found.gap.max())
        (True, True)
    """
    M = _parameters(trajectory)
    T, N = trajectory.rounds, trajectory.n_agents
    every = max(1, T // EVALUATED) if every is None else every
    whole("every", every, 1)
    rounds = np.arange(0, T, every)
    limits = [
        _limits(policy, m, radius, decay) for policy, m in zip(trajectory.policies, M, strict=True)
    ]
    found = _respond(trajectory, M, limits, rounds, tolerance)
    cost, by_agent, certificate, accepted, asymmetry = found
    gap = by_agent.max(1)
    slack = (by_agent + certificate).max(1) - gap
    # Costs without curvature where the agents met say nothing either way.
    potential = True if N == 1 else None if np.isnan(asymmetry) else bool(asymmetry <= ROUNDING)
    notes = ()
    if potential is None:
        notes = (
            "Whether the costs make a potential game cannot be told: where the run went they have no curvature.",
        )
    elif not potential:
        notes = (
            f"The costs do not make a potential game: mixed second derivatives differ by {asymmetry:.2g} of their size. "
            f"The gap is the Nash gap of each round, and Theorem 4.1 does not speak of it. Costs that do: a common "
            f"c_t(x), or c_t(x) + r_i(u_i) with K = 0.",
        )
    met = certificate <= accepted
    outcome = Outcome("solved", f"All best responses met their tolerance in {len(rounds)} rounds.")
    if not met.all():
        r, i = (int(k) for k in np.argwhere(~met)[0])
        outcome = Outcome(
            "not_converged",
            f"{int((~met).sum())} of {met.size} best responses did not meet the tolerance, the first in round "
            f"{rounds[r]} by agent {i}: known to {certificate[r, i]:.3g}, asked for {accepted[r, i]:.3g}.",
            "Accept a larger tolerance; the gap is exact up to `certificate` all the same.",
        )
    if throw:
        outcome.raise_if_failed()
    return EquilibriumGap(
        rounds + trajectory.first_round,
        gap,
        by_agent,
        slack,
        float(gap.mean()),
        float((gap**2).mean()),
        cost,
        potential,
        asymmetry,
        disturbance_variation(trajectory),
        cost_variation(trajectory),
        outcome,
        notes,
    )


def _respond(
    trajectory: LinearTrajectory,
    M: list[np.ndarray],
    limits: list[np.ndarray],
    rounds: np.ndarray,
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Costs, gaps, certificates and accepted certificates, (R, N) each, and the asymmetry of the game."""
    import jax
    import jax.numpy as jnp

    from phalanx.evaluation._accelerated import minimise
    from phalanx.evaluation._round_game import BestResponses, RoundGame
    from phalanx.simulation._kinds import kinds

    system, N = trajectory.system, trajectory.n_agents
    B = [system.input_matrix(i) for i in range(N)]
    K = [base_feedback(policy, trajectory, i, True) for i, policy in enumerate(trajectory.policies)]
    A_cl = system.A - sum(b @ k for b, k in zip(B, K, strict=True))
    game = RoundGame(
        A_cl, B, K, trajectory.w @ system.E.T, [np.asarray(m[rounds], float) for m in M], rounds
    )
    t = trajectory.first_round + rounds
    R, H = len(rounds), M[0].shape[1]
    cost, gap, certificate, accepted = (np.zeros((R, N)) for _ in range(4))
    costs = trajectory.costs
    assert costs is not None
    with jax.enable_x64(True):
        asymmetry = game.asymmetry(costs, t) if N > 1 else 0.0
        for kind in kinds(costs, system.control_sizes, jnp.dtype("float64")):
            agents = list(kind.agents)
            reach = jnp.asarray(np.stack([game.reach[i] for i in agents]))
            feedback = jnp.asarray(np.stack([K[i] for i in agents]))
            size = len(agents) * (H + 2) * (kind.size + system.state_size) * H
            step = max(1, min(R, BATCH // size))
            # All batches of one length, so that they share one program: the last reaches back.
            for start in [*range(0, R - step, step), R - step]:
                some = slice(start, start + step)
                y = np.stack([(game.y - game.own[i])[some] for i in agents])
                objective = BestResponses(
                    kind,
                    jnp.asarray(t[some]),
                    jnp.asarray(game.windows[some]),
                    jnp.asarray(y),
                    reach,
                    feedback,
                )
                played = jnp.asarray(np.concatenate([game.M[i][some] for i in agents]))
                bound = jnp.asarray(np.concatenate([np.tile(limits[i], (step, 1)) for i in agents]))
                value = objective(played)
                known = np.abs(np.asarray(value))
                wanted = tolerance * np.maximum(np.maximum(known, FLOOR * known.mean()), 1e-300)
                found = minimise(
                    objective,
                    played,
                    bound,
                    jnp.asarray(wanted),
                    jnp.full(value.shape, 1e-3),
                    jnp.asarray(STEPS),
                )
                for out, figure in (
                    (cost, value),
                    (gap, jnp.maximum(value - found.value, 0.0)),
                    (certificate, found.gap),
                    (accepted, wanted),
                ):
                    out[some, agents] = np.asarray(figure).reshape(len(agents), step).T
    return cost, gap, certificate, accepted, asymmetry


def _parameters(trajectory: LinearTrajectory) -> list[np.ndarray]:
    """M as played, (T, H, p_i, n) per agent."""
    check_run(trajectory)
    recorded = trajectory.parameters or (None,) * trajectory.n_agents
    found = []
    for i, (policy, M) in enumerate(zip(trajectory.policies, recorded, strict=True)):
        fixed = getattr(policy, "M", None)
        if M is None and fixed is not None:
            M = np.broadcast_to(np.asarray(fixed, float), (trajectory.rounds, *fixed.shape))
        if M is None:
            raise InputError(
                f"the trajectory holds no M of agent {i}; simulate learners (or disturbance actions) with "
                f'record="parameters".'
            )
        if getattr(policy, "setting", None) == "independent":
            raise InputError(
                f"agent {i} plays in the independent setting, where there is no common game of the M's to be in "
                f'equilibrium of; use setting="aggregated".'
            )
        found.append(M)
    if len({M.shape[1] for M in found}) > 1:
        raise InputError(
            f"the agents' memories differ ({', '.join(str(M.shape[1]) for M in found)}); the gap needs one memory for all."
        )
    return found


def _limits(policy: object, M: np.ndarray, radius: float | None, decay: float | None) -> np.ndarray:
    from phalanx._linalg._balls import bounds
    from phalanx.evaluation._counterfactual import DECAY, RADIUS

    a = getattr(policy, "radius", RADIUS) if radius is None else radius
    rho = getattr(policy, "decay", DECAY) if decay is None else decay
    if not 0 < float(a) < np.inf or not 0 <= float(rho) < 1:
        raise InputError(
            f"radius must be a positive number and decay at least 0 and below 1, but they are {a!r} and {rho!r}."
        )
    return bounds(float(a), float(rho), M.shape[1])
