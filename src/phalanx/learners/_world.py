"""The oracle that is learned from: made of a game, or given; and what tells it from others in a state file."""

import hashlib
import math
from typing import Any

import numpy as np

from phalanx._outcome import InputError
from phalanx.equilibria import RobustGame
from phalanx.learners._base import Oracle
from phalanx.learners._exact import ExactOracle
from phalanx.learners._law import LawOracle
from phalanx.learners._population import PopulationOracle

# The mean-field limit, and larger fleets, are rolled out with this many agents.
STAND_IN = 1000


def game_oracle(
    game: RobustGame,
    name: str,
    n_agents: float = math.inf,
    Sigma_y: Any = 1.0,
    Sigma_z: Any = 1.0,
    antithetic: bool = False,
    precision: str = "float64",
) -> Oracle:
    """The oracle of a game by its name.

    Raises:
        InputError: an unknown name, or a game that cannot be learned.
    """
    if precision not in ("float64", "float32"):
        raise InputError(f'precision must be "float64" or "float32", but it is {precision!r}.')
    if name == "exact":
        return ExactOracle(game, n_agents, Sigma_y=Sigma_y, Sigma_z=Sigma_z)
    if name == "law":
        return LawOracle(
            game,
            n_agents,
            Sigma_y=Sigma_y,
            Sigma_z=Sigma_z,
            antithetic=antithetic,
            dtype=precision,
        )
    if name == "population":
        agents = int(min(n_agents, STAND_IN))
        return PopulationOracle(
            game,
            agents,
            Sigma_y=Sigma_y,
            Sigma_z=Sigma_z,
            antithetic=antithetic,
            dtype=precision,
        )
    raise InputError(f'oracle must be "law", "population" or "exact", but it is {name!r}.')


def fingerprint(game: RobustGame) -> str:
    """Tells games of the same sizes apart."""
    digest = hashlib.sha256()
    for part in (game.system, game.cost, game.noise):
        for _, value in sorted(vars(part).items()):
            digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def traits(oracle: Oracle) -> dict[str, str]:
    """What tells populations apart; of another oracle nothing is asked but costs."""
    if not isinstance(oracle, PopulationOracle):
        return {}
    names = ("n_agents", "antithetic", "dtype", "tails", "one")
    return {name: str(getattr(oracle, name)) for name in names}


# What each of a game's arguments is said of an oracle.
ELSEWHERE = {
    "oracle": "names how a game is rolled out, and you gave an oracle of your own already",
    "n_agents": "is the number of agents of a game, and an oracle has its own",
    "Sigma_y": "belongs to the oracle: give it where the oracle is made, as px.CostOracle(..., Sigma_y=...)",
    "Sigma_z": "belongs to the oracle: give it where the oracle is made, as px.CostOracle(..., Sigma_z=...)",
    "antithetic": "is how the noise of a game is drawn, and an oracle draws its own",
    "precision": "is that of a game's rollouts, and an oracle has its own",
}


def given(oracle: Any, of_a_game: dict[str, Any]) -> tuple[str, Oracle]:
    if not isinstance(oracle, Oracle):
        raise InputError(
            f"learn takes a RobustGame or an oracle (px.CostOracle around a simulator), but it was given a {type(oracle).__name__}."
        )
    for name, value in of_a_game.items():
        if value is not None:
            raise InputError(f"{name} {ELSEWHERE[name]}; leave it out.")
    return type(oracle).__name__, oracle
