"""Gradient perturbation: an agent that learns its disturbance action while it plays (P2, Algorithm 1).

A round: act on x_t; pay; take one projected gradient step on the idealised cost of this round, which
reads disturbances up to ŵ_{t−1}; see x_{t+1} and recover ŵ_t from the control actually played. The
policy's `observe` does the last two together. `step` holds the mathematics and serves the scan and
the stream alike.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._linalg import _balls
from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array
from phalanx.online._action import on_device
from phalanx.online._agent import Agent, Setting, recovered
from phalanx.online._idealised import (
    blocks,
    free_response,
    gradient,
    on_top,
    parts,
    state_and_control,
)
from phalanx.policies import LinearView, Policy, RoundFeedback

Update = Literal["gradient", "adaptive", "optimistic"]
UPDATES = ("gradient", "adaptive", "optimistic")
DECAYS = ("none", "sqrt")
# Keeps the adaptive step finite before the first gradient; far below any gradient that matters.
TINY = 1e-30


class Memory(eqx.Module):
    """What a learner carries from round to round.

    Attributes:
        flat: (H·n, p) the transposed blocks of M on top of each other.
        windows: (H+2, H·n) recovered disturbances; row j the H last ones of j rounds ago, newest first.
        e: (H+1, n) inputs of the idealised world, newest first; None where they are the w.
        free: (n,) its free response f.
        past: of the update: a sum of squares, the last gradient, or None.
        rounds: played so far.
    """

    flat: Float[jax.Array, "Hn p"]
    windows: Float[jax.Array, "H2 Hn"]
    e: Float[jax.Array, "H1 n"] | None
    free: Float[jax.Array, " n"]
    past: Any
    rounds: Any

    @property
    def M(self) -> Any:
        """(H, p, n): M[p − 1] is the paper's M^{[p]}."""
        return blocks(self.flat, self.windows.shape[-2] - 2)

    @property
    def w(self) -> Any:
        """(2H+1, n): the last recovered disturbances, newest first."""
        memory = self.windows.shape[-2] - 2
        rows = self.windows.reshape(*self.windows.shape[:-1], memory, -1)
        pieces = [rows[..., 0, :, :], rows[..., 1, -1:, :], rows[..., -1, :, :]]
        library = np if isinstance(self.windows, np.ndarray) else jnp
        return library.concatenate(pieces, axis=-2)


class GradientPerturbation(Policy):
    """Multi-agent gradient-perturbation controller of one agent (P2, Algorithm 1).

    u_t = −K x_t + Σ_{p=1..H} M_t^{[p]} ŵ_{t−p}, with M learned from M_0 = 0 by projected gradient steps on the
    idealised cost, over the set ‖M^{[p]}‖₂ ≤ radius·(1 − decay)^p.

    Args:
        A: (n, n) the shared system. B: (n, p) the agent's own inputs.
        K: (p, n) its fixed gain; A − B K should be stable (A − Σ_j B_j K_j in the aggregated setting).
        memory: H, how many past disturbances a control reads.
        step_size: η, a positive number, or {"initial": η_0, "decay": "sqrt"} for η_0/√(t+1).
        radius: a, and decay: ρ in [0, 1), of the set.
        setting: "independent" (P2, 2.1), "aggregated" (2.2) or "aggregated-agentwise" (C.3).
        others: (n, n) Σ_{j≠i} B_j K_j, for the aggregated setting only.
        update: "gradient" as in the paper; "adaptive" divides η by the root of the summed squares of
            past gradients (AdaGrad's norm form); "optimistic" steps along 2 g_t − g_{t−1}.
        initial: (H, p, n) M_0; zero when left out.

    Raises:
        InputError: sizes that do not fit, or a setting outside its range.

    Source: P2, Algorithm 1 and Section 3; docs/notation.md.

    Example:
        >>> import phalanx as px
        >>> system = px.LinearSystem(A=[[1.0, 1.0], [0.0, 1.0]], B=[[0.0], [1.0]])
        >>> learner = px.GradientPerturbation(system.A, system.B[0], K=[[0.4, 1.2]], memory=6)
        >>> run = px.simulate(
        ...     system, learner, px.Sinusoid(1.0, period=39.5), px.Quadratic(), rounds=1000
        ... )
        >>> fixed = px.simulate(
        ...     system,
        ...     px.LinearFeedback([[0.4, 1.2]]),
        ...     px.Sinusoid(1.0, period=39.5),
        ...     px.Quadratic(),
        ...     rounds=1000,
        ... )
        >>> bool(run.cost.sum() < fixed.cost.sum() / 2)
        True
    """

    agent: Agent
    limits: Float[np.ndarray, " H"]
    initial_step: Float[np.ndarray, ""]
    initial: Float[np.ndarray, "Hn p"]
    radius: float
    decay: float
    slowing: str = eqx.field(static=True)
    update: Update = eqx.field(static=True)

    def __init__(
        self,
        A: MatrixLike,
        B: MatrixLike,
        K: MatrixLike,
        *,
        memory: int = 6,
        step_size: float | dict = 0.003,
        radius: float = 10.0,
        decay: float = 0.0,
        setting: Setting = "independent",
        others: MatrixLike | None = None,
        update: Update = "gradient",
        initial: MatrixLike | None = None,
    ):
        self.agent = Agent(A, B, K, memory, setting, others)
        self.initial_step, self.slowing = _step_size(step_size)
        self.radius = _number("radius", radius, 0.0, np.inf)
        self.decay = _number("decay", decay, 0.0, 1.0)
        self.limits = _balls.bounds(self.radius, self.decay, self.agent.memory)
        if update not in UPDATES:
            raise InputError(f"update must be one of {', '.join(UPDATES)}, but it is {update!r}.")
        self.update = update
        p, n = self.agent.K.shape
        wanted = (self.agent.memory, p, n)
        start = np.zeros(wanted) if initial is None else array("initial", initial)
        if start.shape != wanted:
            raise InputError(
                f"initial has shape {start.shape} and must have shape {wanted}, (H, p, n)."
            )
        self.initial = on_top(_balls.project_host(start, self.limits))

    @property
    def learns(self) -> bool:
        """True: its cost must be convex."""
        return True

    @property
    def A(self) -> Float[np.ndarray, "n n"]:
        """The shared system."""
        return self.agent.A

    @property
    def B(self) -> Float[np.ndarray, "n p"]:
        """The agent's own inputs."""
        return self.agent.B

    @property
    def K(self) -> Float[np.ndarray, "p n"]:
        """The fixed gain."""
        return self.agent.K

    @property
    def memory(self) -> int:
        """H."""
        return self.agent.memory

    @property
    def setting(self) -> Setting:
        """What the agent is told."""
        return self.agent.setting

    def init(self) -> Memory:
        """Nothing seen, M at its start."""
        return _start(self, jnp.asarray, jnp.zeros)

    def act(self, state: Memory, view: LinearView) -> Float[jax.Array, " p"]:
        """−K x + Σ_p M^{[p]} ŵ_{t−p}."""
        with jax.default_matmul_precision("highest"):
            return control(on_device(self.agent), state, view.x)

    def observe(self, state: Memory, feedback: RoundFeedback) -> Memory:
        """One projected gradient step, then the disturbance of this round."""
        if feedback.cost is None:
            raise InputError(
                "costs is missing: a learner learns from its stage cost; hand costs to `simulate`."
            )
        with jax.default_matmul_precision("highest"):
            agent = on_device(self.agent)
            slope = slope_of(feedback.cost)
            learned = step(self, agent, state, slope, feedback.before.t, _project)
            seen = feedback.before.x, feedback.u, feedback.after.x, feedback.aggregate
            w, e = recovered(agent, *seen)
            # In the independent setting the inputs are the w, and need no record of their own.
            past = state.w[: self.memory + 1] if state.e is None else state.e
            inputs = jnp.concatenate([e[None], past])
            return Memory(
                flat=learned[0],
                windows=_push(jnp.concatenate([w, state.windows[0, : -len(w)]]), state.windows),
                e=None if state.e is None else inputs[:-1],
                free=free_response(agent, state.free, inputs),
                past=learned[1],
                rounds=state.rounds + 1,
            )


def team(
    system: Any, gains: Sequence[MatrixLike], setting: Setting = "independent", **settings: Any
) -> list[GradientPerturbation]:
    """One learner per agent of a linear system, each with what its setting lets it know.

    Args:
        system: `LinearSystem` with constant matrices.
        gains: K_i (p_i, n), one per agent.
        setting: the information setting of all.
        settings: as for `GradientPerturbation` (memory, step_size, radius, decay, update, initial).

    Raises:
        InputError: as many gains as agents are needed; sizes that do not fit.

    Example:
        >>> import numpy as np
        >>> import phalanx as px
        >>> system = px.LinearSystem(A=0.5 * np.eye(2), B=[np.eye(2), [[1.0], [0.0]]])
        >>> [learner.K.shape for learner in px.team(system, [np.zeros((2, 2)), np.zeros((1, 2))])]
        [(2, 2), (1, 2)]
    """
    if system.stages is not None:
        raise InputError("system varies in time; online agents know one constant system.")
    if len(gains) != system.n_agents:
        raise InputError(f"gains holds {len(gains)} matrices for {system.n_agents} agents.")
    inputs = [system.input_matrix(i) for i in range(system.n_agents)]
    gains = [array(f"K of agent {i}", K) for i, K in enumerate(gains)]
    for i, (B, K) in enumerate(zip(inputs, gains, strict=True)):
        if K.shape != B.shape[::-1]:
            raise InputError(
                f"K of agent {i} has shape {K.shape} and must have shape {B.shape[::-1]}."
            )
    if setting != "aggregated":
        make = lambda B, K: GradientPerturbation(system.A, B, K, setting=setting, **settings)  # noqa: E731
        return [make(B, K) for B, K in zip(inputs, gains, strict=True)]
    moved = [B @ K for B, K in zip(inputs, gains, strict=True)]
    total = sum(moved, start=np.zeros_like(system.A))
    learners = [
        GradientPerturbation(system.A, B, K, setting=setting, others=total - own, **settings)
        for B, K, own in zip(inputs, gains, moved, strict=True)
    ]
    # A − Σ_j B_j K_j is the same for all, to the last bit and in memory.
    first = learners[0].agent
    share = lambda learner: (learner.agent.F, learner.agent.tail)  # noqa: E731
    return [eqx.tree_at(share, learner, (first.F, first.tail)) for learner in learners]


def control(agent: Agent, state: Memory, x: Any) -> Any:
    """u_t from the memory and x_t."""
    return state.windows[0] @ state.flat - agent.K @ x


def step(
    learner: GradientPerturbation,
    agent: Agent,
    state: Memory,
    slope: Callable[[Any, Any, Any], tuple[Any, Any]],
    t: Any,
    project: Callable[[Any, Any], Any],
) -> tuple[Any, Any]:
    """M after one projected gradient step on this round's idealised cost, and the update's memory."""
    s = parts(state.flat, state.windows)
    y, v = state_and_control(agent, s, state.free)
    g = gradient(agent, state.windows, *slope(t, y, v))
    eta, past = learner.initial_step, state.past
    if learner.slowing == "sqrt":
        eta = eta / (state.rounds + 1.0) ** 0.5
    direction = g
    if learner.update == "adaptive":
        past = past + (g * g).sum()
        eta = eta / (past + TINY) ** 0.5
    elif learner.update == "optimistic":
        direction, past = 2.0 * g - past, g
    return project(state.flat - eta * direction, learner.limits), past


def slope_of(cost: Any) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """(∂c/∂x, ∂c/∂u) of a stage cost: its own closed form, or automatic differentiation."""
    if hasattr(cost, "gradient"):
        return cost.gradient
    return jax.grad(cost, argnums=(1, 2))


def start(learner: GradientPerturbation) -> Memory:
    """The first memory, in NumPy: what a stream starts from."""
    return _start(learner, np.array, np.zeros)


def _start(learner: GradientPerturbation, make: Callable, zeros: Callable) -> Memory:
    H, n, dtype = learner.memory, learner.A.shape[-1], learner.initial.dtype
    past = {
        "gradient": None,
        "adaptive": zeros((), dtype),
        "optimistic": zeros(learner.initial.shape, dtype),
    }
    return Memory(
        flat=make(learner.initial),
        windows=zeros((H + 2, H * n), dtype),
        e=None if learner.setting == "independent" else zeros((H + 1, n), dtype),
        free=zeros((n,), dtype),
        past=past[learner.update],
        rounds=zeros((), dtype),
    )


def _project(flat: jax.Array, limits: jax.Array) -> jax.Array:
    # Singular values do not ask which way round a block lies.
    by_lag = flat.reshape(limits.shape[-1], -1, flat.shape[-1])
    return _balls.project(by_lag, jnp.asarray(limits)).reshape(flat.shape)


def _push(newest: jax.Array, past: jax.Array) -> jax.Array:
    return jnp.concatenate([newest[None], past[:-1]])


def _step_size(value: Any) -> tuple[np.ndarray, str]:
    slowing = "none"
    if isinstance(value, dict):
        unknown = sorted(set(value) - {"initial", "decay"})
        if unknown or "initial" not in value:
            raise InputError(
                f'step_size must be a positive number or {{"initial": η, "decay": "sqrt"}}, but it is {value!r}.'
            )
        slowing = value.get("decay", "none")
        if slowing not in DECAYS:
            raise InputError(
                f"the decay of step_size must be one of {', '.join(DECAYS)}, but it is {slowing!r}."
            )
        value = value["initial"]
    return np.asarray(_number("step_size", value, 0.0, np.inf)), slowing


def _number(name: str, value: Any, least: float, below: float) -> float:
    number = array(name, value)
    if number.ndim or not least <= number < below:
        ceiling = "" if np.isinf(below) else f" and below {below:g}"
        raise InputError(
            f"{name} must be one number of at least {least:g}{ceiling}, but it is {value!r}."
        )
    return float(number)
