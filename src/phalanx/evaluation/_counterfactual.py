"""One agent's own world: a recorded run, turned into a problem in which only that agent is left to decide.

Two readings of "the others stay as they were" (docs/notation.md), one form:

    x_{t+1} = A x_t + B u_t + e_t,    u_t = −K x_t + Σ_p M^{[p]} ŵ_{t−p}

    open-loop   the others' recorded controls are replayed:    A as it is,        e = E w + Σ_{j≠i} B_j u^j
    reacting    their learned parts are, and they go on
                reacting to the state through −K_j x:          A − Σ_{j≠i} B_jK_j,  e = E w + Σ_{j≠i} B_j (u^j + K_j x)

The disturbance ŵ that the agent's policy is fed is e in the independent setting, where others are noise, and E w in
the aggregated one. Neither depends on what the agent does, so the state is affine in M and nothing is approximated:
replays start at round 0, in the recorded x_0.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx.simulation import LinearTrajectory

Reading = Literal["open-loop", "reacting"]
# What the learners in `phalanx.online` assume where nothing else is said.
MEMORY, RADIUS, DECAY = 6, 10.0, 0.0


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """What one agent faces when the others are held as recorded.

    Attributes:
        agent: i. reading: "open-loop" or "reacting".
        A: (n, n) and B: (n, p): what is left for the agent to control.
        K: (p, n) the feedback its policy is built around; zeros where it has none.
        e: (T, n) everything else that moves the state. fed: (T, n) ŵ as its policy sees it.
        x0: (n,). cost: the agent's stage cost c(t, x, u). paid: (T,) what it paid.
        policy: the agent's policy. first_round: number of round 0, for costs that vary in time.
    """

    agent: int
    reading: Reading
    A: Float[np.ndarray, "n n"]
    B: Float[np.ndarray, "n p"]
    K: Float[np.ndarray, "p n"]
    e: Float[np.ndarray, "T n"]
    fed: Float[np.ndarray, "T n"]
    x0: Float[np.ndarray, " n"]
    cost: Any
    paid: Float[np.ndarray, " T"]
    policy: Any = None
    first_round: int = 0

    @property
    def rounds(self) -> int:
        """T."""
        return len(self.e)

    @property
    def loop(self) -> Float[np.ndarray, "n n"]:
        """A − BK, the loop that the learned part rides on."""
        return self.A - self.B @ self.K

    def until(self, rounds: int) -> "Counterfactual":
        """The first rounds only."""
        return replace(self, e=self.e[:rounds], fed=self.fed[:rounds], paid=self.paid[:rounds])

    def around(self, K: np.ndarray) -> "Counterfactual":
        """The same world, with another feedback under the learned part."""
        return replace(self, K=K)

    def set_of(
        self, memory: int | None, radius: float | None, decay: float | None
    ) -> tuple[int, float, float]:
        """(H, a, ρ) of the policies compared with: as asked for, else the agent's own, else the learners' defaults."""
        H: Any = getattr(self.policy, "memory", MEMORY) if memory is None else memory
        a: Any = getattr(self.policy, "radius", RADIUS) if radius is None else radius
        rho: Any = getattr(self.policy, "decay", DECAY) if decay is None else decay
        whole("memory", H, 1)
        if not 0 < float(a) < np.inf:
            raise InputError(f"radius must be a positive number, but it is {a!r}.")
        if not 0 <= float(rho) < 1:
            raise InputError(f"decay must be at least 0 and below 1, but it is {rho!r}.")
        return int(H), float(a), float(rho)


def build(
    trajectory: LinearTrajectory,
    agent: int,
    reading: Reading | None = None,
    rounds: int | None = None,
    burn_in: int = 0,
) -> Counterfactual:
    """What `agent` faces when the others are held as recorded.

    Args:
        trajectory: a run simulated with costs.
        agent: i, from 0.
        reading: "open-loop" or "reacting"; None: reacting for an agent in the aggregated setting,
            open-loop for every other.
        rounds: the first so many; all when left out.
        burn_in: so many of them will not count (only checked here).

    Raises:
        InputError: no such agent or reading, a run without costs or with time-varying matrices, or
            "reacting" where some ŵ depends on what the agent does (the independent setting).
    """
    system, policies = trajectory.system, trajectory.policies
    costs, cost = check_run(trajectory)
    N, T = trajectory.n_agents, trajectory.rounds if rounds is None else rounds
    whole("rounds", T, 1, trajectory.rounds)
    whole("burn_in", burn_in, 0, T - 1)
    whole("agent", agent, 0, N - 1)
    own = getattr(policies[agent], "setting", None)
    if reading is None:
        reading = "reacting" if own == "aggregated" else "open-loop"
    if reading not in ("open-loop", "reacting"):
        raise InputError(
            f'counterfactual must be "open-loop" or "reacting", but it is {reading!r}.'
        )
    B, K = system.input_matrix(agent), base_feedback(policies[agent], trajectory, agent)
    w = np.asarray(trajectory.w, np.float64) @ system.E.T  # whatever the run's precision
    A, others = system.A, [j for j in range(N) if j != agent]
    controls = np.array(trajectory.u, np.float64)
    controls[:, agent] = 0.0
    pushed = np.einsum("jnp,tjp->tn", system.B, controls)
    if reading == "reacting":
        for j in range(N):
            if getattr(policies[j], "forecast", None) == "naive":
                raise InputError(
                    f'counterfactual="reacting" is not defined here: the forecast of agent {j} follows the state it would '
                    f'have seen, so what it plays beside its gain would not stay as recorded; use "open-loop".'
                )
            if getattr(policies[j], "setting", None) == "independent":
                raise InputError(
                    f'counterfactual="reacting" is not defined here: agent {j} plays in the independent setting, where '
                    f"the others' controls are part of its disturbance, so its learned part would not stay as recorded; "
                    f'use "open-loop".'
                )
        for j in others:
            push = system.input_matrix(j) @ base_feedback(policies[j], trajectory, j, needed=True)
            A = A - push
            pushed = pushed + trajectory.x[:-1] @ push.T
    e = w + pushed
    fed = w if own in ("aggregated", "aggregated-agentwise") or reading == "reacting" else e
    return Counterfactual(
        int(agent),
        reading,
        A,
        B,
        K,
        e,
        fed,
        np.array(trajectory.x[0], np.float64),
        costs[agent],
        np.array(cost[:, agent], np.float64),
        policies[agent],
        trajectory.first_round,
    ).until(T)


def base_feedback(
    policy: Any, trajectory: LinearTrajectory, agent: int, needed: bool = False
) -> Float[np.ndarray, "p n"]:
    """K_i of the agent's policy; zeros for a policy without one, unless it is needed."""
    shape = (trajectory.system.control_sizes[agent], trajectory.system.state_size)
    K = getattr(policy, "K", None)
    if K is None and not needed:
        return np.zeros(shape)
    if K is None:
        raise InputError(
            f'counterfactual="reacting" needs the feedback of every other agent, but the policy of agent {agent} has no '
            f'K; use "open-loop".'
        )
    K = np.array(K, dtype=np.float64)
    if K.shape != shape:  # gains that vary in time
        if not needed:
            return np.zeros(shape)
        raise InputError(
            f"K of agent {agent} has shape {K.shape} and must have shape {shape}: replays need constant feedback."
        )
    return K


def check_run(trajectory: LinearTrajectory) -> tuple[tuple[Any, ...], np.ndarray]:
    """The run's stage costs and what was paid; runs that cannot be evaluated are refused."""
    if not isinstance(trajectory, LinearTrajectory):
        raise InputError(
            f"trajectory must be the run of a linear system, but it is a {type(trajectory).__name__}."
        )
    if trajectory.cost is None or trajectory.costs is None:
        raise InputError("the trajectory has no costs; simulate with costs=….")
    if trajectory.system.stages is not None:
        raise InputError(
            "the system's matrices vary in time; regret and gaps are computed for constant matrices."
        )
    return trajectory.costs, trajectory.cost


def whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Refuse what is not a whole number within its limits."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | np.integer)
        or value < least
        or (most is not None and value > most)
    ):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InputError(f"{name} must be a whole number {limits}, but it is {value!r}.")
