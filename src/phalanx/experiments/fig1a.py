"""P1, Fig. 1a: RGDA (from costs of rollouts) against E-RGDA (exact gradients), T = 3."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from phalanx._record import Record
from phalanx.experiments import _learning as lab
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.learners import Learned, learn

HORIZON = 3
RADII = (0.1, 1.0)
# Where whole runs start in this world: Σ⁰ and Σ̄⁰ of the scenario.
WIDE = (6.0, 4.0)


@dataclass(frozen=True)
class Size:
    """How much is done. Attributes: iterations (K), batch (N_b), runs (seeds)."""

    iterations: int
    batch: int
    runs: int


FULL = Size(lab.ITERATIONS, lab.BATCH, 5)
QUICK = Size(100, 500, 2)


def run(quick: bool, seed: int, progress: Any) -> Record:
    """The reproduction of P1's Fig. 1a; see `reproduce`."""
    size = QUICK if quick else FULL
    narrow = lab.world(HORIZON)
    wide = lab.world(HORIZON, Sigma_y=WIDE[0], Sigma_z=WIDE[1])
    progress(0.0, "E-RGDA")
    exact = {name: _exact(w, size) for name, w in (("narrow", narrow), ("wide", wide))}
    sampled = {
        r: _sampled(narrow, size, r, seed, progress, i / len(RADII), (i + 1) / len(RADII))
        for i, r in enumerate(RADII)
    }
    paths = {r: [lab.path(narrow, learned) for learned in runs] for r, runs in sampled.items()}
    exact_path = lab.path(narrow, exact["narrow"])
    wide_path = lab.path(wide, exact["wide"])
    rows = _stages(narrow, exact["narrow"], exact_path) + _stages(wide, exact["wide"], wide_path)
    progress(1.0, "done")
    return reproduction(
        "fig1a",
        "RGDA against E-RGDA, T = 3",
        _story(size),
        _panels(exact_path, paths, (narrow, exact["narrow"]), (wide, exact["wide"], wide_path)),
        [_rates_table(rows), _final_table(exact_path, paths)],
        _claims(narrow, rows, exact_path, paths),
        _settings(size, seed, narrow),
        _notes(rows, exact_path, narrow),
        {
            "final_nash_error": {
                "e-rgda": _final(exact_path, "nash").tolist(),
                **{
                    f"rgda r={r:g}": _finals(p, "nash").mean(axis=0).tolist()
                    for r, p in paths.items()
                },
            }
        },
    )


# --- the runs ----------------------------------------------------------------------------------------


def _exact(w: lab.World, size: Size) -> Learned:
    return learn(
        w.game,
        w.gamma,
        "e-rgda",
        iterations=size.iterations,
        step_size=lab.STEP_SIZE,
        **w.learn_options(),
    )


def _sampled(
    w: lab.World, size: Size, radius: float, seed: int, progress: Any, begin: float, end: float
) -> list[Learned]:
    out, share = [], (end - begin) / size.runs
    for i, key in enumerate(lab.seeds(seed, size.runs)):
        words = f"RGDA, r = {radius:g}, run {i + 1} of {size.runs}"
        inside = lab.within(progress, begin + i * share, begin + (i + 1) * share, words)
        out.append(
            learn(
                w.game,
                w.gamma,
                "rgda",
                iterations=size.iterations,
                batch=size.batch,
                step_size=lab.STEP_SIZE,
                radius=radius,
                key=key,
                precision="float32",
                progress=inside,
                **w.learn_options(),
            )
        )
    return out


@dataclass(frozen=True)
class StageRate:
    """One stage of E-RGDA: fitted and predicted factors of the squared inner error per iteration."""

    start: str
    stage: int
    rates: lab.Rates
    fitted: float
    predicted: float
    bound: float
    worst: float
    final: float


def _stages(w: lab.World, learned: Learned, path: lab.Path) -> list[StageRate]:
    """Rates of each stage under the later gains that were learned."""
    out, final = [], lab.result(learned)
    for t in range(w.horizon - 1, -1, -1):
        found = lab.rates(w, t, lab.value_after(w, t, final), lab.STEP_SIZE)
        here = path.stage == t
        k, e = path.iteration[here], path.inner[here]
        seen = e[1:] > 1e-11 * e[0]
        falls = (e[1:] / e[:-1])[seen] ** (2 / np.diff(k)[seen])
        out.append(
            StageRate(
                f"{w.Sigma[0, 0, 0]:g} I, {w.Sigma[1, 0, 0]:g} I",
                t,
                found,
                lab.fitted_factor(k, e),
                found.slowest**2,
                1 - found.mu * lab.STEP_SIZE,
                float(falls.max()),
                float(path.nash[here][-1]),
            )
        )
    return out


def _final(path: lab.Path, name: str) -> np.ndarray:
    """(T,) error at the end of each stage."""
    values = getattr(path, name)
    return np.array([values[path.stage == t][-1] for t in range(HORIZON)])


def _finals(paths: list[lab.Path], name: str) -> np.ndarray:
    return np.stack([_final(path, name) for path in paths])


# --- what is shown -----------------------------------------------------------------------------------


def _curves(
    exact: lab.Path, paths: dict[float, list[lab.Path]], name: str, floor: float
) -> list[Curve]:
    x = lab.gapped(exact.total, exact.stage)
    curves = []
    for i, (r, runs) in enumerate(paths.items()):
        many = np.stack([getattr(path, name) for path in runs])
        mean, sd = many.mean(axis=0), many.std(axis=0, ddof=1)
        parts = (mean, np.maximum(mean - sd, floor * mean), mean + sd)
        y, low, high = (lab.gapped(part, exact.stage) for part in parts)
        curves.append(Curve(f"RGDA, r = {r:g}", x, y, low, high, colour=i + 1))
    own = lab.gapped(getattr(exact, name), exact.stage)
    return [*curves, Curve("E-RGDA", x, own, colour=0)]


def _panels(
    exact: lab.Path,
    paths: dict[float, list[lab.Path]],
    narrow: tuple[lab.World, Learned],
    wide: tuple[lab.World, Learned, lab.Path],
) -> list[Panel]:
    label = "iterations, stages 2, 1, 0 one after the other"
    return [
        Panel(
            "As P1 plots it: RGDA follows E-RGDA down in every stage",
            label,
            "‖gains of the stage − Nash‖, mean ± s.d.",
            _curves(exact, paths, "nash", 0.0),
        ),
        Panel(
            "On a log scale: sampling leaves a floor, lower for the larger r",
            label,
            "‖gains of the stage − Nash‖, mean ± s.d.",
            _curves(exact, paths, "nash", 0.05),
            y_log=True,
        ),
        Panel(
            "All gains at once: each stage takes its share off",
            label,
            "‖all gains − Nash‖, mean ± s.d.",
            _curves(exact, paths, "every", 0.0),
        ),
        Panel(
            "E-RGDA is linear in each stage, faster than Theorem 4's bound",
            label,
            "inner error ‖gains − stage's saddle point‖",
            [
                *_with_bound(*narrow, exact, "Σ_y = Σ_z = I", 0),
                *_with_bound(*wide, f"Σ_y = {WIDE[0]:g}I, Σ_z = {WIDE[1]:g}I", 3),
            ],
            y_log=True,
        ),
    ]


def _with_bound(
    w: lab.World, learned: Learned, path: lab.Path, label: str, colour: int
) -> list[Curve]:
    final, bound = lab.result(learned), np.zeros_like(path.inner)
    for t in range(w.horizon):
        mu = lab.rates(w, t, lab.value_after(w, t, final), lab.STEP_SIZE).mu
        here = path.stage == t
        shrink = (1 - mu * lab.STEP_SIZE) ** (path.iteration[here] / 2)
        bound[here] = path.inner[here][0] * shrink
    x = lab.gapped(path.total, path.stage)
    return [
        Curve(f"E-RGDA, {label}", x, lab.gapped(path.inner, path.stage), colour=colour),
        Curve(
            f"bound (1 − μη)^(k/2), {label}",
            x,
            lab.gapped(bound, path.stage),
            style="dashed",
            colour=colour,
        ),
    ]


def _rates_table(rows: list[StageRate]) -> Table:
    header = ["Σ_y, Σ_z", "stage", "μ", "L", "μ/L²", "fitted", "(1 − ηλ)²", "1 − μη", "final error"]
    return Table(
        "E-RGDA: factor of the squared inner error per iteration",
        header,
        [
            [
                row.start,
                row.stage,
                row.rates.mu,
                row.rates.lipschitz,
                row.rates.limit,
                row.fitted,
                row.predicted,
                row.bound,
                row.final,
            ]
            for row in rows
        ],
    )


def _final_table(exact: lab.Path, paths: dict[float, list[lab.Path]]) -> Table:
    rows: list[list[Any]] = [["E-RGDA", *_final(exact, "nash")]]
    rows += [
        [f"RGDA, r = {r:g}", *(lab.spread(e) for e in _finals(runs, "nash").T)]
        for r, runs in paths.items()
    ]
    header = ["", *(f"stage {t}" for t in range(HORIZON))]
    return Table("‖gains − Nash‖ at the end of each stage, mean ± s.d. over runs", header, rows)


def _claims(
    w: lab.World, rows: list[StageRate], exact: lab.Path, paths: dict[float, list[lab.Path]]
) -> list[Claim]:
    linear = all(row.worst <= row.bound for row in rows)
    speeds = [float(np.log(row.fitted) / np.log(row.predicted)) for row in rows]
    start = lab.norm(w.nash)
    small, large = (_finals(paths[r], "nash") for r in RADII)
    ratio = float(np.sqrt((small**2).mean() / (large**2).mean()))
    ends = [small.mean(axis=0) / start, large.mean(axis=0) / start]
    apart = [_apart(exact, paths[r]) for r in RADII]
    return [
        Claim(
            "E-RGDA converges linearly in each stage, at least as fast as the factor 1 − μη of Theorem 4.",
            "P1, Fig. 1a and Theorem 4",
            bool(linear and min(speeds) > 0.95),
            f"Between any two records the squared inner error's factor is at least {min(r.bound - r.worst for r in rows):.2g} below the "
            f"bound; late in a stage the fitted rate is {min(speeds):.3f} to {max(speeds):.3f} times 2 log(1 − ηλ) of the slowest "
            f"eigenvalue, and {_times(rows)} times the bound's (more than once while faster directions still fall).",
        ),
        Claim(
            "RGDA imitates E-RGDA noisily, with a downward trend in every stage.",
            "P1, Section 5",
            bool(max(e.max() for e in ends) < 1),
            f"At the end of a stage its error is {ends[0].min():.1%} to {ends[0].max():.1%} of the start's at r = {RADII[0]:g} and "
            f"{ends[1].min():.1%} to {ends[1].max():.1%} at r = {RADII[1]:g}; root mean square difference between the two error curves "
            f"{apart[0]:.2g} and {apart[1]:.2g}.",
        ),
        Claim(
            "The approximation is sharpened by decreasing the smoothing radius r.",
            "P1, Section 5",
            None if 0.8 < ratio < 1.25 else bool(ratio < 1),
            f"The final error at r = {RADII[0]:g} is {ratio:.2g} times that at r = {RADII[1]:g}: the one-point estimate of a "
            "quadratic has no bias that a small r could remove, only a variance that it inflates.",
        ),
    ]


def _times(rows: list[StageRate]) -> str:
    ratios = [np.log(row.fitted) / np.log(row.bound) for row in rows]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def _apart(exact: lab.Path, runs: list[lab.Path]) -> float:
    return float(np.sqrt(np.mean([(path.nash - exact.nash) ** 2 for path in runs])))


def _settings(size: Size, seed: int, w: lab.World) -> dict[str, Any]:
    return {
        "world": "two-by-two with horizon 3",
        "horizon": HORIZON,
        "gamma": w.gamma,
        "gamma_saddle": w.saddle_level,
        "agents": lab.AGENTS,
        "iterations": size.iterations,
        "batch": size.batch,
        "step_size": lab.STEP_SIZE,
        "radii": list(RADII),
        "ball": lab.BALL,
        "Sigma_y, Sigma_z": [1.0, 1.0],
        "Sigma_y, Sigma_z of the second E-RGDA": list(WIDE),
        "runs": size.runs,
        "seed": seed,
        "rollouts": "float32; gains and everything exact: float64",
    }


def _notes(rows: list[StageRate], exact: lab.Path, w: lab.World) -> list[str]:
    left = _final(exact, "nash") / lab.norm(w.nash)
    wide = max(row.final for row in rows if row.start != rows[0].start)
    return [
        f"P1 states no r; r = {RADII[0]:g} is called its setting here.",
        f"P1 states no Σ_y, Σ_z either. With I, η = {lab.STEP_SIZE:g} leaves E-RGDA {left.min():.1%} to {left.max():.1%} of the stage's "
        f"gains short of Nash after K iterations; with the wider states of the last panel {wide:.1g} is left.",
        "Errors before a stage's turn are those of gains 0.",
    ]


def _story(size: Size) -> str:
    return (
        "Can both players' gains be found from costs of rollouts alone, stage by stage backwards in time? "
        f"{lab.MATRICES} Each stage starts from gains 0 and takes K = {size.iterations} simultaneous steps of η = {lab.STEP_SIZE:g}; "
        f"RGDA estimates each gradient from N_b = {size.batch} rollouts of one of M = {lab.AGENTS} agents, E-RGDA knows it. "
        "States at a stage are drawn from N(0, I), which makes K iterations at this η just enough to see the convergence of P1's "
        "figure; a second pair of covariances shows E-RGDA with the same η where it is ample."
    )
