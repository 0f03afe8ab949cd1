"""`phalanx reproduce`: figures and theorems of the papers, and what they leave open, by name.

Each is one file beside this one with a function `run(quick, seed, progress)` that returns a `Record` of
kind "reproduction". `quick` makes it small enough for a test; the full size is what the docs show.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from phalanx import __version__
from phalanx._outcome import InputError
from phalanx._record import Record

# Called with the share of the work that is done, 0 to 1, and a few words.
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Reproduction:
    """One entry of the list. Attributes: file (of this package), title, source, time (full size, two cores)."""

    file: str
    title: str
    source: str
    time: str


REPRODUCTIONS = {
    "fig1a": Reproduction("fig1a", "RGDA against E-RGDA, T = 3", "P1, Fig. 1a", "2 min"),
    "fig1b": Reproduction("fig1b", "E-RGDA over a longer horizon, T = 15", "P1, Fig. 1b", "10 s"),
    "fig2": Reproduction("fig2", "E-RGDA against E-DDPG, T = 2 to 5", "P1, Fig. 2", "1 min"),
    "theorem4": Reproduction(
        "theorem4", "Inner error against K, N_b and r", "P1, Theorem 4", "5 min"
    ),
    "theorem5": Reproduction(
        "theorem5", "Total error against inner error", "P1, Theorem 5", "1 min"
    ),
    "sample-efficiency": Reproduction(
        "sample_efficiency", "Rollouts until the Nash gap is 0.01", "beyond P1", "15 min"
    ),
    "beyond-linear": Reproduction(
        "beyond_linear", "Gains for worlds without a Riccati equation", "beyond P1", "2 min"
    ),
    "misspecified": Reproduction(
        "misspecified", "Gains from a wrong model, on the true one", "beyond P1", "2 min"
    ),
    "regret-rounds": Reproduction(
        "regret_rounds", "Regret against the number of rounds", "P2, Theorems 3.2, 3.4", "4 min"
    ),
    "regret-agents": Reproduction(
        "regret_agents", "Regret against the number of agents", "P2, Theorems 3.2–3.5", "4 min"
    ),
    "strangers": Reproduction(
        "strangers", "One learner among agents that do as they please", "P2, Theorem 3.2", "3 min"
    ),
    "lower-bound": Reproduction(
        "lower_bound", "Nobody beats √T", "P2, Theorems 3.3 and H.3", "2 min"
    ),
    "bounded": Reproduction(
        "bounded", "Do controls stay bounded when everyone learns?", "beyond P2", "2 min"
    ),
    "no-global-stability": Reproduction(
        "no_global_stability", "The aggregated setting without Assumption 4", "P2, C.3", "1 min"
    ),
    "equilibrium-tracking": Reproduction(
        "equilibrium_tracking", "Equilibria of agents with one interest", "P2, Theorem 4.1", "2 min"
    ),
    "tracking-floor": Reproduction(
        "tracking_floor", "Is the equilibrium gap's floor real?", "beyond P2", "2 min"
    ),
    "information": Reproduction(
        "information", "What it is worth to know what the others did", "beyond P2", "3 min"
    ),
    "single-agent": Reproduction(
        "single_agent", "Learning against fixed controllers, N = 1", "beyond P2", "1 min"
    ),
    "comparators": Reproduction(
        "comparators", "Two benchmarks: linear and DAC", "beyond P2", "1 min"
    ),
}


def known(name: str) -> None:
    """Refuse a name that is none.

    Raises:
        InputError: an unknown name.
    """
    if name not in REPRODUCTIONS:
        raise InputError(
            f"there is no reproduction {name!r}; there are {', '.join(REPRODUCTIONS)}."
        )


def reproduce(
    name: str,
    quick: bool = False,
    seed: int = 0,
    progress: Progress = lambda done, text: None,
) -> Record:
    """Run one reproduction.

    Args:
        name: one of `REPRODUCTIONS`.
        quick: small enough to take seconds.
        seed: of everything random.
        progress: called with the share done and a few words; may raise to stop.

    Raises:
        InputError: an unknown name.
    """
    known(name)
    module = importlib.import_module(f"phalanx.experiments.{REPRODUCTIONS[name].file}")
    record = module.run(quick, seed, progress)
    command = f"phalanx reproduce {name}{' --quick' if quick else ''} --seed {seed}"
    made = {"version": __version__, "command": command, "seed": seed, "precision": "float64"}
    return replace(record, provenance=made)
