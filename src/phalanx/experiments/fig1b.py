"""P1, Fig. 1b: E-RGDA over T = 15 stages; and what the right step size makes of it."""

from typing import Any

import numpy as np

from phalanx._record import Record
from phalanx.experiments import _learning as lab
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.learners import Learned, learn

HORIZON = 15
# With the best step this many iterations suffice several times over; it stops by itself.
ENOUGH = 300
# P1's number, Theorem 4's rule and the best constant.
STEPS = ("P1", "theory", "auto")


def run(quick: bool, seed: int, progress: Any) -> Record:
    """The reproduction of P1's Fig. 1b; see `reproduce`."""
    w = lab.world(HORIZON)
    iterations = 200 if quick else lab.ITERATIONS
    learned = {}
    for i, name in enumerate(STEPS):
        inside = lab.within(progress, i / 3, (i + 1) / 3, f"E-RGDA, step {name}")
        learned[name] = _learn(w, name, iterations, seed, inside)
    paths = {name: lab.path(w, found) for name, found in learned.items()}
    progress(1.0, "done")
    return reproduction(
        "fig1b",
        "E-RGDA over a longer horizon, T = 15",
        _story(iterations),
        _panels(w, paths, learned),
        [_table(w, learned, paths)],
        _claims(w, learned, paths, iterations),
        {
            "world": "two-by-two with horizon 15",
            "horizon": HORIZON,
            "gamma": w.gamma,
            "gamma_saddle": w.saddle_level,
            "agents": lab.AGENTS,
            "iterations": {"P1": iterations, "theory": iterations, "auto": ENOUGH},
            "step_size": {name: _steps(found) for name, found in learned.items()},
            "ball": lab.BALL,
            "Sigma_y, Sigma_z": [1.0, 1.0],
            "seed": seed,
        },
        [
            "E-RGDA's gradients are exact, so there is nothing random in this figure.",
            "Errors before a stage's turn are those of gains 0.",
            'Steps "theory" and "auto" are found from the curvature that a few costs of each stage show.',
        ],
        {"nash_gap_by_stage": {name: _gaps(w, found) for name, found in learned.items()}},
    )


def _learn(w: lab.World, name: str, iterations: int, seed: int, progress: Any) -> Learned:
    step: Any = lab.STEP_SIZE if name == "P1" else name
    K = ENOUGH if name == "auto" else iterations
    return learn(
        w.game,
        w.gamma,
        "e-rgda",
        iterations=K,
        step_size=step,
        key=seed,
        progress=progress,
        **w.learn_options(),
    )


def _steps(learned: Learned) -> list[float]:
    return [float(learned.step_size.min()), float(learned.step_size.max())]


def _gaps(w: lab.World, learned: Learned) -> np.ndarray:
    """(T,) distance of each stage's gains from Nash."""
    return lab.norm(lab.result(learned) - w.nash)


def _label(name: str, learned: Learned) -> str:
    low, high = _steps(learned)
    word = {"P1": "P1's η", "theory": "Theorem 4's η = μ/L²", "auto": "best constant η"}[name]
    return f"{word} = {low:.2g}" if high - low < 1e-12 else f"{word}: {low:.2g} to {high:.2g}"


def _panels(w: lab.World, paths: dict[str, lab.Path], learned: dict[str, Learned]) -> list[Panel]:
    def curves(name: str, axis: str, parts: tuple[str, ...]) -> list[Curve]:
        # On a logarithmic axis of iterations the start would be lost at 0.
        return [
            Curve(
                _label(key, learned[key]),
                lab.gapped(path.total + (axis == "log"), path.stage),
                lab.gapped(np.maximum(getattr(path, name), 1e-16), path.stage),
                colour=STEPS.index(key),
            )
            for key, path in paths.items()
            if key in parts
        ]

    return [
        Panel(
            "As P1 plots it: with its η each of the fifteen stages converges",
            "iterations, stages 14 … 0 one after the other",
            "‖gains of the stage − Nash‖",
            curves("nash", "linear", ("P1",)),
        ),
        Panel(
            "All gains: the same backwards sweep, with the right step in a fraction of the iterations",
            "iterations + 1",
            "‖all gains − Nash‖",
            curves("every", "log", STEPS),
            x_log=True,
            y_log=True,
        ),
        Panel(
            "What is left at the end of each stage does not grow backwards in time",
            "stage t",
            "‖gains of the stage − Nash‖",
            [
                Curve(
                    _label(key, learned[key]),
                    np.arange(HORIZON),
                    np.maximum(_gaps(w, learned[key]), 1e-16),
                    style="both",
                    colour=STEPS.index(key),
                )
                for key in STEPS
            ],
            y_log=True,
        ),
    ]


def _table(w: lab.World, learned: dict[str, Learned], paths: dict[str, lab.Path]) -> Table:
    rows: list[list[Any]] = []
    for name, found in learned.items():
        path = paths[name]
        used = int(path.total.max())
        rows.append(
            [
                _label(name, found),
                used,
                _until(path, 1e-2),
                _until(path, 1e-6),
                float(np.linalg.norm(_gaps(w, found))),
                float(np.max(_gaps(w, found) / lab.norm(w.nash))),
            ]
        )
    header = [
        "step",
        "iterations in all",
        "worst stage to 10⁻²",
        "worst stage to 10⁻⁶",
        "final error, all gains",
        "worst stage, relative",
    ]
    return Table("Iterations a stage needs until its inner error is below a level", header, rows)


def _until(path: lab.Path, level: float) -> Any:
    """Iterations of the slowest stage until its inner error is below `level`; a dash if one never is."""
    needed = []
    for t in range(HORIZON):
        here = path.stage == t
        below = np.flatnonzero(path.inner[here] <= level)
        if not below.size:
            return "–"
        needed.append(int(path.iteration[here][below[0]]))
    return max(needed)


def _claims(
    w: lab.World, learned: dict[str, Learned], paths: dict[str, lab.Path], iterations: int
) -> list[Claim]:
    path, final = paths["P1"], lab.result(learned["P1"])
    worst, fitted = [], []
    for t in range(HORIZON):
        here = path.stage == t
        found = lab.rates(w, t, lab.value_after(w, t, final), lab.STEP_SIZE)
        e, k = path.inner[here], path.iteration[here]
        falls = (e[1:] / e[:-1]) ** (2 / np.diff(k))
        worst.append(float(falls.max()) - (1 - found.mu * lab.STEP_SIZE))
        fitted.append(np.log(lab.fitted_factor(k, e)) / (2 * np.log(found.slowest)))
    relative = _gaps(w, learned["P1"]) / lab.norm(w.nash)
    auto = paths["auto"]
    reached = float(np.max(_gaps(w, learned["P1"])))
    quick_stage = _until(auto, reached)
    gap = _gaps(w, learned["auto"])
    return [
        Claim(
            "E-RGDA converges linearly in each of fifteen stages.",
            "P1, Fig. 1b",
            bool(max(worst) <= 0 and min(fitted) > 0.95),
            f"The squared inner error falls by a factor at least {-max(worst):.2g} below 1 − μη in every stage; late in a stage the fitted rate is "
            f"{min(fitted):.3f} to {max(fitted):.3f} times the slowest eigenvalue's. After {iterations} iterations at η = {lab.STEP_SIZE:g} a stage is "
            f"{relative.min():.1%} to {relative.max():.1%} of its gains from Nash.",
        ),
        Claim(
            "Errors of later stages do not pile up on the way back.",
            "P1, Theorem 5",
            bool(np.max(gap) < 1e-6 and relative[0] <= relative.max()),
            f"Stage 0 ends {relative[0]:.2%} off and stage {HORIZON - 1} {relative[-1]:.2%}; with the best step all stages end within "
            f"{np.max(gap):.1g}.",
        ),
        Claim(
            "P1's step size is far from the best one.",
            "this project",
            bool(quick_stage != "–" and quick_stage < iterations / 5),
            f"With η = {learned['auto'].step_size.min():.3g} to {learned['auto'].step_size.max():.3g} each stage is within {reached:.2g} after at most "
            f"{quick_stage} iterations, where P1's η takes {iterations}.",
        ),
    ]


def _story(iterations: int) -> str:
    return (
        "Does the backwards sweep keep its linear convergence over a longer horizon? "
        f"{lab.MATRICES} Each stage takes K = {iterations} steps of descent–ascent with exact gradients and P1's "
        f"η = {lab.STEP_SIZE:g}, from states drawn from N(0, I); then again with Theorem 4's own η = μ/L² and with the constant η that "
        "contracts best, both found from costs."
    )
