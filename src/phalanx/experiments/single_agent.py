"""One agent: gradient perturbation against fixed controllers, on noise, on a walk and on a wave."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from phalanx._record import Record
from phalanx.costs import Quadratic
from phalanx.disturbances import Replay
from phalanx.equilibria import stabilising_gains
from phalanx.evaluation import best_dac, best_linear
from phalanx.experiments import _online as online
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.online import GradientPerturbation, ModelPredictive
from phalanx.policies import LinearFeedback
from phalanx.simulation import simulate
from phalanx.systems import LinearSystem

A, B = ((1.0, 1.0), (0.0, 1.0)), ((0.0,), (1.0,))
# The wave w_t = sin(t/2π)·(1, 1): its figures are known.
FIXTURE_ROUNDS, FIXTURE_COST = 1000, 14.8636
WORLDS = {
    "iid": "independent draws",
    "random-walk": "random walk",
    "steps": "steps",
    "wave": "wave, sin(t/2π)",
}
CONTROLLERS = {
    "lqr": "LQR",
    "hinf": "H∞",
    "mpc": "MPC, last disturbance stays",
    "gpc": "GPC, η = 0.003",
    "adaptive": "GPC, adaptive steps",
    "perfect": "MPC, disturbances known",
}
HINDSIGHT = {"best_linear": "best linear, in hindsight", "best_dac": "best DAC, in hindsight"}
MEMORY, STEP, RADIUS, HORIZON, BOUND = 6, 0.003, 10.0, 30, np.sqrt(2.0)
ADAPTIVE = 0.3
# What "slightly worse" and "far better" are taken to mean, as shares of LQR's cost.
SLIGHTLY, FAR = 1.1, 0.5


@dataclass(frozen=True, eq=False)
class Played:
    """Mean costs of a round in one world, by controller, over seeds; and for the first seed the running means."""

    costs: dict[str, np.ndarray]
    paths: dict[str, np.ndarray]


def run(quick: bool, seed: int, progress: Any) -> Record:
    """The comparison; see `reproduce`."""
    rounds, seeds = (1000, 3) if quick else (10_000, 10)
    system = LinearSystem(A, B)
    gains = {name: stabilising_gains(system, Quadratic(), name).K[0] for name in ("lqr", "hinf")}
    played = {}
    for done, (kind, words) in enumerate(WORLDS.items()):
        progress(done / len(WORLDS), words)
        # The wave is the same for every seed.
        draws = 1 if kind == "wave" else seeds
        played[kind] = _play(system, gains, kind, FIXTURE_ROUNDS if kind == "wave" else rounds, draws, seed)  # fmt: skip
    progress(1.0, "done")
    return reproduction(
        "single-agent",
        "One agent: learning against fixed controllers",
        _story(rounds, seeds),
        _panels(played),
        [_table(played)],
        _claims(played),
        {
            "A": A,
            "B": B,
            "Q, R": [1.0, 1.0],
            "memory": MEMORY,
            "step_size": STEP,
            "radius": RADIUS,
            "adaptive": ADAPTIVE,
            "K of GPC": gains["lqr"],
            "MPC horizon": HORIZON,
            "|w|": f"at most {BOUND:.4g}",
            "rounds": {kind: FIXTURE_ROUNDS if kind == "wave" else rounds for kind in WORLDS},
            "seeds": seeds,
            "seed": seed,
        },
        _notes(),
        {"costs_by_world": {kind: {name: float(c.mean()) for name, c in p.costs.items()} for kind, p in played.items()}},
    )  # fmt: skip


def disturbance(kind: str, rounds: int, rng: np.random.Generator) -> np.ndarray:
    """(T, 2) a record of one of `WORLDS`."""
    if kind == "wave":
        return np.sin(np.arange(rounds) / (2 * np.pi))[:, None] * np.ones(2)
    return online.signal(kind, rounds, 2, BOUND, rng)


def _play(
    system: LinearSystem, gains: dict, kind: str, rounds: int, seeds: int, seed: int
) -> Played:
    costs: dict[str, list[float]] = {name: [] for name in (*CONTROLLERS, *HINDSIGHT)}
    paths = {}
    for s in range(seeds):
        w = disturbance(kind, rounds, np.random.default_rng((seed, s)))
        for name, policy in _controllers(system, gains, w).items():
            found = simulate(system, policy, Replay(w), Quadratic(), rounds)
            costs[name].append(float(found.cost.mean()))
            if s == 0:
                paths[name] = found.cost[:, 0].cumsum() / np.arange(1, rounds + 1)
            if name == "gpc":
                costs["best_dac"].append(best_dac(found, 0).cost / rounds)
                costs["best_linear"].append(best_linear(found, 0, starts=3).cost / rounds)
    return Played({name: np.array(values) for name, values in costs.items()}, paths)


def _controllers(system: LinearSystem, gains: dict, w: np.ndarray) -> dict[str, Any]:
    a, b = system.A, system.input_matrix(0)
    learner = {"memory": MEMORY, "radius": RADIUS}
    return {
        "lqr": LinearFeedback(gains["lqr"]),
        "hinf": LinearFeedback(gains["hinf"]),
        "mpc": ModelPredictive(a, b, horizon=HORIZON),
        "gpc": GradientPerturbation(a, b, gains["lqr"], step_size=STEP, **learner),
        "adaptive": GradientPerturbation(
            a, b, gains["lqr"], step_size=ADAPTIVE, update="adaptive", **learner
        ),
        "perfect": ModelPredictive(a, b, horizon=HORIZON, forecast="perfect", record=w),
    }


def _panels(played: dict[str, Played]) -> list[Panel]:
    panels = []
    for kind, found in played.items():
        curves = []
        for i, (name, words) in enumerate(CONTROLLERS.items()):
            path = found.paths[name]
            at = np.unique(np.geomspace(10, len(path) - 1, 200).astype(int))
            style = "dotted" if name == "perfect" else "line"
            curves.append(Curve(words, at + 1, path[at], style=style, colour=i))
        ends = np.array([10, len(found.paths["lqr"])])
        best = np.full(2, found.costs["best_dac"][0])
        curves.append(Curve(HINDSIGHT["best_dac"], ends, best, style="dashed", colour=7))
        panels.append(
            Panel(TITLES[kind], "round", "mean cost so far", curves, x_log=True, y_log=True)
        )
    return panels


TITLES = {
    "iid": "Independent draws: nothing to learn, and learning costs little",
    "random-walk": "Random walk: what came last is the best forecast",
    "steps": "Steps: a disturbance that stays can be learned",
    "wave": "Wave: the learner comes to predict it, a fixed gain cannot",
}


def _table(played: dict[str, Played]) -> Table:
    rows = []
    for name, words in (CONTROLLERS | HINDSIGHT).items():
        cells = []
        for found in played.values():
            ratio = found.costs[name] / found.costs["lqr"]
            cells.append(f"{found.costs[name].mean():.4g} ({ratio.mean():.2f})")
        rows.append([words, *cells])
    header = ["controller", *WORLDS.values()]
    return Table("Mean cost of a round, and as a share of LQR's", header, rows)


def _claims(played: dict[str, Played]) -> list[Claim]:
    def share(kind: str, name: str = "gpc", of: str = "lqr") -> np.ndarray:
        return played[kind].costs[name] / played[kind].costs[of]

    wave = played["wave"].costs
    iid, walk = share("iid"), share("random-walk")
    learned = {name: share("wave", name)[0] for name in ("gpc", "adaptive")}
    floor = {
        kind: min(float(np.min(p.costs[name] / p.costs["perfect"])) for name in (*CONTROLLERS, *HINDSIGHT))
        for kind, p in played.items()
    }  # fmt: skip
    naive = {kind: share(kind, "mpc") for kind in WORLDS}
    robust = {kind: share(kind, "hinf") for kind in WORLDS}
    return [
        Claim(
            f"On the wave LQR's mean cost is {FIXTURE_COST}, and the best fixed DAC's is below 1.",
            "the issue's fixture",
            bool(abs(wave["lqr"][0] - FIXTURE_COST) < 5e-5 and wave["best_dac"][0] < 1),
            f"LQR {wave['lqr'][0]:.4f}, best DAC {wave['best_dac'][0]:.4f}.",
        ),
        Claim(
            "On independent draws GPC is slightly worse than LQR.",
            "P2 (the single-agent results that it builds on)",
            bool(1 < iid.mean() < SLIGHTLY),
            f"{iid.mean():.4f} of LQR's cost (seeds {iid.min():.4f} to {iid.max():.4f}).",
        ),
        Claim(
            "On a random walk and on a wave it is far better.",
            "P2 (the single-agent results that it builds on)",
            bool(walk.mean() < FAR and learned["gpc"] < FAR),
            f"Random walk: {walk.mean():.3f} of LQR's cost (seeds {walk.min():.3f} to {walk.max():.3f}); wave: {learned['gpc']:.3f}, with adaptive steps {learned['adaptive']:.3f}.",
        ),
        Claim(
            "A plan for the last disturbance to stay beats the learner where it does stay, and loses to LQR where it does not.",
            "this project",
            bool(np.mean(share("random-walk", "mpc", "gpc")) < 1 and np.mean(share("steps", "mpc", "gpc")) < 1 and naive["iid"].mean() > 1),
            "Naive MPC as a share of LQR: " + ", ".join(f"{v.mean():.3f} ({WORLDS[k]})" for k, v in naive.items())
            + f"; as a share of GPC: {share('random-walk', 'mpc', 'gpc').mean():.3f} on the walk, {share('steps', 'mpc', 'gpc').mean():.3f} on steps.",
        ),
        Claim(
            "A robust gain is no substitute for learning: H∞ beats LQR where disturbances last, by far less than GPC.",
            "this project",
            bool(all(robust[k].mean() < 1 and share(k).mean() < robust[k].mean() for k in ("random-walk", "steps", "wave"))),
            "H∞ as a share of LQR: " + ", ".join(f"{v.mean():.3f} ({WORLDS[k]})" for k, v in robust.items())
            + "; GPC: " + ", ".join(f"{share(k).mean():.3f} ({WORLDS[k]})" for k in WORLDS) + ".",
        ),
        Claim(
            "Nobody beats the plan that knows all disturbances.",
            "this project",
            bool(min(floor.values()) >= 1 - 1e-3),
            "The least cost of anybody, hindsight included, as a share of its: " + ", ".join(f"{v:.4f} ({WORLDS[k]})" for k, v in floor.items()) + ".",
        ),
    ]  # fmt: skip


def _notes() -> list[str]:
    return [
        "GPC learns on top of LQR's gain, and starts as LQR: what it loses on independent draws is the noise of its steps.",
        f"Slightly worse is read as within {SLIGHTLY - 1:.0%}, far better as at most {FAR:.0%} of LQR's cost.",
        f"MPC plans {HORIZON} rounds; known disturbances are told as far ahead as that. Its last stage is weighed by LQR's value.",
        "Costs in hindsight are of the same world replayed from round 0; the best linear one is an upper bound.",
        "The plant is a double integrator, unstable without feedback, and w pushes position and velocity alike.",
    ]


def _story(rounds: int, seeds: int) -> str:
    return (
        "What is online learning good for, before anybody else is in the world? A double integrator, x² and u² paid for, is held by LQR, by H∞ at 1.1 of its least level, by model-predictive "
        "control with a naive and with a perfect forecast, and by gradient perturbation on top of LQR. The disturbance is independent draws, a reflected random walk, steps "
        f"({rounds} rounds, {seeds} seeds each), or the wave sin(t/2π)·(1, 1) for {FIXTURE_ROUNDS} rounds, whose figures are known beforehand."
    )
