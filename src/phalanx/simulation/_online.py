"""One run of a linear system: what it is handed, checked and sorted, and what it leaves, brought home."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx._outcome import InputError, NoSolutionError, Outcome
from phalanx._types import array
from phalanx.costs import require_convex
from phalanx.simulation._kinds import Kind, kinds
from phalanx.simulation._linear import Options, World, run
from phalanx.simulation._linear_trajectory import LinearTrajectory
from phalanx.simulation._population_inputs import stages
from phalanx.systems import LinearSystem

# States this share of 1/ε times all that was put in hold no digit of it any more.
ROUNDING = 0.2
# Rounds whose controls show how hard agents push by themselves.
FIRST = 10
INFORMATION = ("independent", "aggregated")


def simulate_linear(
    system: LinearSystem,
    policies: Any,
    disturbance: Any,
    costs: Any,
    rounds: int,
    key: jax.Array,
    *,
    x0: Any,
    first_round: int,
    information: str,
    keep_parameters: bool,
    dtype: Any,
    throw: bool,
) -> LinearTrajectory:
    """See `simulate`, whose arguments these are."""
    N, n = system.n_agents, system.state_size
    policies = _one_each("policies", "policies", policies, N)
    costs = None if costs is None else _one_each("costs", "stage costs", costs, N)
    _informed(policies, information)
    _learnable(policies, costs, system)
    x0 = np.zeros(n) if x0 is None else array("x0", x0)
    if x0.shape != (n,):
        raise InputError(f"x0 has shape {x0.shape} and must have shape ({n},).")
    matrices = {name: jnp.asarray(getattr(system, name), dtype) for name in ("A", "B", "E")}
    for name, axes in (("A", 2), ("B", 3), ("E", 2)):
        if matrices[name].ndim > axes:
            matrices[name] = stages(name, matrices[name], first_round, rounds)
    pairs = list(zip(policies, costs or [None] * N, strict=True))
    members = kinds(pairs, system.control_sizes, dtype)
    world = World(matrices, jnp.asarray(x0, dtype), members, disturbance)
    options = Options(rounds, costs is not None, information == "aggregated", keep_parameters)
    paths, states = _compiled(options, jnp.asarray(first_round), world, key)
    parameters = paths.pop("parameters", None)
    x, u, w = (np.asarray(paths[name]) for name in ("x", "u", "w"))
    cost = None if paths["cost"] is None else np.asarray(paths["cost"])
    limit = _blind_beyond(system, policies, x[0], u, w, dtype)
    played = _rounds_played(x, u, cost, limit)
    trajectory = LinearTrajectory(
        n_agents=N,
        rounds=played,
        x=x[: played + 1],
        u=u[:played],
        w=w[:played],
        cost=None if cost is None else cost[:played],
        system=system,
        policies=tuple(policies),
        costs=None if costs is None else tuple(costs),
        states=tuple(_by_agent(members, states, axis=0)),
        parameters=None
        if parameters is None
        else tuple(
            None if M is None else M[:played] for M in _by_agent(members, parameters, axis=1)
        ),
        first_round=first_round,
        outcome=_outcome(played, rounds, first_round),
    )
    if throw and not trajectory.outcome.ok:
        raise NoSolutionError(trajectory.outcome)
    return trajectory


@eqx.filter_jit
def _compiled(options: Options, first_round: jax.Array, world: World, key: jax.Array) -> tuple:
    return run(options, first_round, world, key)


def _one_each(name: str, what: str, given: Any, n_agents: int) -> list:
    each = list(given) if isinstance(given, list | tuple) else [given] * n_agents
    if len(each) != n_agents:
        raise InputError(
            f"{name} holds {len(each)} {what} for {n_agents} agents; give one, or one per agent."
        )
    return each


def _informed(policies: list, information: str) -> None:
    """No agent asks for more than this world tells."""
    if information not in INFORMATION:
        raise InputError(
            f'information must be "independent" or "aggregated", but it is {information!r}.'
        )
    if information == "aggregated":
        return
    for i, policy in enumerate(policies):
        setting = getattr(policy, "setting", "independent")
        if setting != "independent":
            raise InputError(
                f"the policy of agent {i} is made for the setting {setting!r}, but in this world agents are not told what "
                f'the others did; say information="aggregated", or make it for "independent".'
            )


def _learnable(policies: list, costs: list | None, system: LinearSystem) -> None:
    """A learner's cost is convex, as far as can be seen; each cost object is asked once."""
    asked = set()
    for i, policy in enumerate(policies):
        if costs is None or not getattr(policy, "learns", False):
            continue
        mark = (id(costs[i]), system.control_sizes[i])
        if mark not in asked:
            require_convex(costs[i], system.state_size, mark[1], f"the cost of agent {i}")
            asked.add(mark)


def _blind_beyond(
    system: LinearSystem, policies: list, x0: np.ndarray, u: np.ndarray, w: np.ndarray, dtype: Any
) -> float:
    """How large a state may grow before it holds no digit of what drives it.

    Beyond one over the rounding of all that was put in, a disturbance no longer shows in a state: a
    learner would recover rounding, stop learning, and look tame. What agents put in by themselves is
    judged by their first rounds; learners, who blow up from there, do not count. With nothing put in
    any number may stand.
    """
    learns = np.array([bool(getattr(policy, "learns", False)) for policy in policies])
    first = np.nan_to_num(np.abs(u[:FIRST])).max(axis=0, initial=0.0)
    put_in = np.abs(x0).max() + np.abs(system.E).max() * np.abs(w).max(initial=0.0)
    put_in += np.abs(system.B).max() * first[~learns].sum()
    return ROUNDING * put_in / float(jnp.finfo(dtype).eps) if put_in > 0 else np.inf


def _rounds_played(x: np.ndarray, u: np.ndarray, cost: np.ndarray | None, limit: float) -> int:
    """How many rounds ended in numbers that still mean something."""
    with np.errstate(invalid="ignore"):
        fine = np.logical_and(np.isfinite(x[1:]).all(1), np.isfinite(u).all((1, 2)))
        fine &= np.abs(x[1:]).max(1) <= limit
    if cost is not None:
        fine &= np.isfinite(cost).all(1)
    return len(fine) if fine.all() else int(np.argmin(fine))


def _outcome(played: int, rounds: int, first_round: int) -> Outcome:
    if played == rounds:
        return Outcome("solved", f"All {rounds} rounds were played.")
    return Outcome(
        "diverged",
        f"In round {first_round + played} the states, controls or costs grew beyond any number that means something; the record ends before it.",
        "Lower the step size or the radius of learners, or check that the gains of all agents together stabilise the system.",
    )


def _by_agent(members: list[Kind], stacked: list, axis: int) -> list:
    """What each kind holds stacked along `axis`, one tree per agent, in NumPy."""
    out: dict[int, Any] = {}
    for kind, held in zip(members, stacked, strict=True):
        host = jax.tree.map(np.asarray, held)
        for place, agent in enumerate(kind.agents):
            out[agent] = jax.tree.map(lambda leaf, at=place: leaf.take(at, axis), host)
    return [out[agent] for agent in range(len(out))]
