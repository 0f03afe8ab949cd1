"""`simulate`: the one door through which time passes.

Checks what it is handed, fixes the precision, and runs one compiled scan. Two runs of the same
shapes share one compiled program; the second starts at once.
"""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx import _random
from phalanx._outcome import InputError, NoSolutionError, Outcome
from phalanx._types import MatrixLike
from phalanx.disturbances import Disturbance, Replay
from phalanx.policies import Policy
from phalanx.simulation._online import simulate_linear
from phalanx.simulation._population import Inputs, Static
from phalanx.simulation._population import run as run_population
from phalanx.simulation._population_inputs import prepare
from phalanx.simulation._trajectory import Trajectory
from phalanx.systems import LinearSystem, MeanFieldNoise, MeanFieldSystem

Record = Literal["totals", "means", "states", "parameters"]
Information = Literal["independent", "aggregated"]
Precision = Literal["float64", "float32"]
# Agents of independent runs that are simulated at once.
SIDE_BY_SIDE = 65_536


def simulate(
    system: MeanFieldSystem | LinearSystem,
    policies: Policy | Sequence[Policy],
    disturbance: Disturbance | None = None,
    costs: Any = None,
    rounds: int | None = None,
    key: int | jax.Array = 0,
    *,
    n_agents: int | None = None,
    noise: MeanFieldNoise | None = None,
    x0: MatrixLike | None = None,
    runs: int | None = None,
    record: Record = "means",
    limits: tuple[MatrixLike, MatrixLike] | None = None,
    first_round: int = 0,
    information: Information = "independent",
    precision: Precision = "float64",
    throw: bool = True,
) -> Any:
    """Run agents and world for `rounds` rounds, in one compiled scan.

    Args:
        system: a population (`MeanFieldSystem`, with `n_agents`) or a `LinearSystem`.
        policies: one policy, played by every agent; for a linear system also one per agent.
        disturbance: where d (or w) comes from; none by default.
        costs: `MeanFieldCost`; for a linear system one stage cost c(t, x, u) or one per agent.
        rounds: T; taken from time-varying matrices when left out.
        key: a seed or a JAX key; consumed.
        n_agents: N ≥ 1 agents, each simulated explicitly.
        noise: process noise and initial covariances, drawn as Gaussians.
        x0: (m,) for all agents alike, or (N, m); drawn from `noise` when left out (0 without noise).
        runs: repeat a population's run this many times with independent draws; every figure of the
            trajectory then has a leading axis of this length.
        record: "totals" (sums only: memory does not grow with T), "means" (paths of means, spreads
            and extremes), "states" (every agent's states, controls and disturbances). A linear system's
            paths are always kept; "parameters" keeps what its learners learned, round by round, too.
        limits: (low, high), each (m,): count how often a state entry is outside.
        first_round: number of the first round, for policies and replays that go on from before.
        information: of a linear system: what its agents are told after a round beside the state and
            their own cost: nothing ("independent", P2's setting 2.1), or what the others together
            did to the state ("aggregated", 2.2).
        precision: "float64", or "float32" at about twice the speed. JAX's global setting is left alone.
        throw: raise when a linear system's states grow beyond any number; otherwise the trajectory ends
            there and its `outcome` says so.

    Returns:
        `Trajectory` for a population, `LinearTrajectory` for a linear system.

    Raises:
        InputError: sizes that do not fit, or a record shorter than the rounds.
        NoSolutionError: the states grew beyond any number (status "diverged").

    Source: P1, eqs. 1–3; P2, Section 2.

    Example:
        >>> import phalanx as px
        >>> scenario = px.scenario("two-by-two")
        >>> saddle = px.solve(scenario.game, gamma=3.0)
        >>> controller = px.MeanFieldFeedback(saddle.K1, saddle.L1)
        >>> run = px.simulate(
        ...     scenario.game.system,
        ...     controller,
        ...     costs=scenario.game.cost,
        ...     rounds=10,
        ...     n_agents=50,
        ...     x0=[1.0, 0.0],
        ... )
        >>> run.x_bar.shape
        (11, 2)
    """
    kept = ("totals", "means", "states", "parameters")
    if record not in kept or (record == "parameters" and not isinstance(system, LinearSystem)):
        raise InputError(
            f'record must be "totals", "means" or "states" ("parameters" for a linear system), but it is {record!r}.'
        )
    if precision not in ("float64", "float32"):
        raise InputError(f'precision must be "float64" or "float32", but it is {precision!r}.')
    T = _rounds(system, rounds, first_round)
    _whole("runs", runs, 1)
    _enough_rounds(disturbance, first_round + T)
    if isinstance(system, LinearSystem):
        given = {"noise": noise, "runs": runs, "limits": limits, "n_agents": n_agents}
        for name, value in given.items():
            if value is not None:
                raise InputError(
                    f"{name} belongs to populations; a LinearSystem takes its disturbance and policies alone."
                )
    elif isinstance(policies, list | tuple):
        raise InputError(
            "policies must be one policy for a mean-field system: its agents are exchangeable."
        )
    with jax.enable_x64(precision == "float64"):
        dtype = jnp.dtype(precision)
        disturbance = _cast(disturbance, dtype)
        key = _random.as_key(key)
        if isinstance(system, LinearSystem):
            return simulate_linear(
                system,
                policies,
                disturbance,
                costs,
                T,
                key,
                x0=x0,
                first_round=first_round,
                information=information,
                keep_parameters=record == "parameters",
                dtype=dtype,
                throw=throw,
            )
        prepared = prepare(
            system, costs, T, n_agents, noise, x0, record, limits, first_round, dtype
        )
        return _run_population(prepared, _cast(policies, dtype), disturbance, key, runs)


def _run_population(
    prepared: tuple[Static, Inputs],
    policy: Any,
    disturbance: Any,
    key: jax.Array,
    runs: int | None,
) -> Trajectory:
    static, inputs = prepared
    keys = key if runs is None else jax.random.split(key, runs)
    totals, ends, finite, paths = _compiled_population(static, inputs, policy, disturbance, keys)
    _finite(finite, static.rounds)
    initial, final = (None if end is None else np.asarray(end).swapaxes(-1, -2) for end in ends)
    paths = {name: np.asarray(value) for name, value in paths.items()}
    for name in {"x", "u", "d"} & set(paths):  # agents last inside the scan, in the middle outside
        paths[name] = paths[name].swapaxes(-1, -2)
    if not static.has_cost:
        paths.pop("stage_cost", None)
    return Trajectory(
        n_agents=static.n_agents,
        rounds=static.rounds,
        cost=_number(totals.cost) if static.has_cost else None,
        disturbance_energy=_number(totals.disturbance_energy),
        noise_energy=_number(totals.noise_energy),
        outside=np.asarray(totals.outside) if static.has_limits else None,
        initial=initial,
        final=final,
        **paths,
    )


@eqx.filter_jit
def _compiled_population(static, inputs, policy, disturbance, keys):
    def one(key: jax.Array) -> tuple:
        totals, initial, final, paths = run_population(static, inputs, policy, disturbance, key)
        # Many runs of which only sums are asked for keep no states at all.
        keep = static.record != "totals" or keys.ndim == 0
        ends = (initial, final) if keep else (None, None)
        return totals, ends, jnp.isfinite(final).all(), paths

    if keys.ndim == 0:
        return one(keys)
    # Small populations run side by side, large ones one after the other: memory stays bounded.
    return jax.lax.map(one, keys, batch_size=max(1, SIDE_BY_SIDE // static.n_agents))


def _cast(part: Any, dtype: jnp.dtype) -> Any:
    """Floating leaves in the run's precision, so that one policy serves both precisions."""

    def leaf(value: Any) -> Any:
        if isinstance(value, np.ndarray | jax.Array) and jnp.issubdtype(value.dtype, jnp.floating):
            return jnp.asarray(np.asarray(value), dtype)
        if isinstance(value, float):  # a number of the user's: as an array it does not recompile
            return jnp.asarray(value, dtype)
        return jnp.asarray(value) if isinstance(value, np.ndarray) else value

    return jax.tree.map(leaf, part)


def _rounds(system: MeanFieldSystem | LinearSystem, rounds: int | None, first_round: int) -> int:
    _whole("first_round", first_round, 0)
    if rounds is None and system.stages is not None:
        rounds = system.stages - first_round
    if rounds is None:
        raise InputError("rounds is missing; say how many rounds to simulate.")
    _whole("rounds", rounds, 1)
    return int(rounds)


def _whole(name: str, value: Any, least: int) -> None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least
    ):
        raise InputError(f"{name} must be a whole number of at least {least}, but it is {value!r}.")


def _enough_rounds(disturbance: Any, needed: int) -> None:
    """A replay that ends too early is a fault, not silence: JAX would repeat its last row."""
    for part in jax.tree.leaves(disturbance, is_leaf=lambda node: isinstance(node, Replay)):
        if isinstance(part, Replay) and part.rounds_available < needed:
            raise InputError(
                f"the disturbance's record lasts {part.rounds_available} rounds, but round {needed - 1} is asked for; "
                f"simulate fewer rounds or give a longer record."
            )


def _number(value: jax.Array) -> Any:
    return np.asarray(value) if value.ndim else float(value)


def _finite(finite: Any, T: int) -> None:
    if not np.all(finite):
        raise NoSolutionError(
            Outcome(
                "diverged",
                f"The states grew beyond any number within {T} rounds.",
                "Check that the controller stabilises the system, or simulate fewer rounds.",
            )
        )
