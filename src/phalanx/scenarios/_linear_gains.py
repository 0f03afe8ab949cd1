"""The fixed gains K_i that a scenario file asks for: by the name of a method, or written out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from phalanx._outcome import InputError
from phalanx._types import frozen, matrix, symmetric
from phalanx.equilibria import stabilising_gains
from phalanx.systems import LinearSystem

METHODS = ("zero", "lqr", "nash", "hinf")


def own_gains(
    system: LinearSystem, costs: Sequence[Any], asked: Sequence[Any]
) -> tuple[np.ndarray, ...]:
    """(p_i, n) per agent.

    "zero", "lqr" and "hinf" look at the agent alone, with its own weights and its own inputs; "nash" is
    the agent's part in the equilibrium of all agents.

    Args:
        system: the shared system.
        costs: one stage cost per agent.
        asked: one name of a method, or one matrix, per agent.

    Raises:
        InputError: an unknown name, a matrix of the wrong shape, a cost without quadratic weights, or an
            agent for whom there is no such gain, with the mode that is in the way.
    """
    n = system.state_size
    out: dict[int, np.ndarray] = {}
    named: dict[str, list[int]] = {}
    for i, K in enumerate(asked):
        if not isinstance(K, str):
            out[i] = matrix(f"K of agent {i}", K, system.control_sizes[i], n)
            if out[i].ndim > 2:
                raise InputError(f"K of agent {i} varies in time and must be one constant matrix.")
        elif K in METHODS:
            named.setdefault(K, []).append(i)
        else:
            raise InputError(
                f"K of agent {i} must be a matrix or one of {', '.join(map(repr, METHODS))}, but it is {K!r}."
            )
    everyone = list(range(system.n_agents))
    for method, agents in named.items():
        players = everyone if method == "nash" else agents
        if method != "zero":
            for i in players:
                _check_weights(system, costs[i], i, method)
        part = LinearSystem(system.A, [system.input_matrix(i) for i in players], system.E)
        found = stabilising_gains(part, [costs[i] for i in players], method)  # pyright: ignore[reportArgumentType]
        for i in agents:
            place = players.index(i)
            if not np.isfinite(found.K[place]).all():
                why = found.own[place].outcome
                raise InputError(f'K of agent {i} cannot be "{method}": {why.text}')
            out[i] = frozen(np.array(found.K[place]))
    return tuple(out[i] for i in everyone)


def _check_weights(system: LinearSystem, cost: Any, agent: int, method: str) -> None:
    if not (hasattr(cost, "Q") and hasattr(cost, "R")):
        raise InputError(
            f'K of agent {agent} cannot be "{method}", which needs the quadratic weights Q and R of every agent concerned, '
            f'but the cost of agent {agent} has none; write "zero", or a matrix.'
        )
    symmetric(f"R of agent {agent}", cost.R, system.control_sizes[agent], definite=True)
