"""P2, Theorem 3.2 as it is stated: one learner, and neighbours that do whatever they like."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from phalanx._record import Record
from phalanx.costs import Quadratic
from phalanx.disturbances import Replay
from phalanx.equilibria import stabilising_gains, strong_stability
from phalanx.evaluation import Exponent, best_dac, fit_exponent
from phalanx.experiments import _online as lab
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.experiments._strangers import CASTS, MOODS, Stranger, cast_of
from phalanx.online import DisturbanceAction, GradientPerturbation
from phalanx.simulation import simulate
from phalanx.systems import LinearSystem

A = np.array([[0.8, 0.2], [-0.2, 0.8]])
# The learner's input, then three strangers'.
B = np.array([[[1.0], [0.5]], [[0.0], [1.0]], [[0.6], [-0.6]], [[0.5], [0.5]]])
BOUND, SIZE = 1.0, 1.0
MEMORY, RADIUS, DECAY, STEP = 20, 1.0, 0.3, 0.1
SETTINGS = ("independent", "aggregated-agentwise")
# A stranger beyond the theorem: its feedback leaves the learner's loop with an eigenvalue outside the circle.
WRECKER = -0.35
WRECKED_ROUNDS = 400
# A short run, in which the learner is far from settled; one of the lengths.
EARLY = 316
# Rounds after which it may be expected to have settled.
SETTLED = 10_000


@dataclass(frozen=True)
class Size:
    """How much is done. Attributes: rounds: the longest run. seeds."""

    rounds: int
    seeds: int

    @property
    def lengths(self) -> list[int]:
        """Where regret is taken."""
        return lab.lengths(self.rounds)


@dataclass(frozen=True, eq=False)
class Met:
    """One learner among one cast of strangers.

    Attributes:
        regret: (seeds, lengths) against the best DAC of that length. fit: its exponent.
        paid, idle: (seeds, lengths) mean cost up to there, learning and with the gain K alone, each really played.
        replayed, played: (seeds, 2) mean cost of the best DAC of the first `EARLY` rounds over those, and of the whole
            run over that: in the replay, and really played.
        largest: of |x| in any round. lengths: where these were taken.
    """

    regret: Float[np.ndarray, "S C"]
    fit: Exponent
    paid: Float[np.ndarray, "S C"]
    idle: Float[np.ndarray, "S C"]
    replayed: Float[np.ndarray, "S 2"]
    played: Float[np.ndarray, "S 2"]
    largest: float
    lengths: Float[np.ndarray, " C"]

    @property
    def excess(self) -> Float[np.ndarray, "S C"]:
        """Regret as a share of what the best DAC pays."""
        return self.regret / (self.paid * self.lengths - self.regret)

    @property
    def share(self) -> Float[np.ndarray, "S C"]:
        """Cost as a share of what the gain alone costs."""
        return self.paid / self.idle

    @property
    def astray(self) -> Float[np.ndarray, "S 2"]:
        """How much more the best DAC costs when it is really played, as a share."""
        return self.played / self.replayed - 1


def run(quick: bool, seed: int, progress: Any) -> Record:
    """The reproduction of a learner among strangers; see `reproduce`."""
    size = Size(3162, 3) if quick else Size(100_000, 6)
    system, cost = LinearSystem(A, B), Quadratic()
    K = own_gain()
    met = {}
    cells = [(cast, setting) for setting in SETTINGS for cast in CASTS]
    for done, (cast, setting) in enumerate(cells):
        progress(done / (len(cells) + 1), f"{CASTS[cast]}, {setting}, {size.rounds} rounds")
        met[cast, setting] = meet(system, cost, K, cast, setting, size, seed)
    progress(len(cells) / (len(cells) + 1), "a stranger that destabilises")
    wrecked = wreck(system, cost, K, seed)
    progress(1.0, "done")
    own = strong_stability(A, B[0], K)
    return reproduction(
        "strangers",
        "One learner among agents that do as they please",
        _story(size),
        _panels(size, met),
        [_table(size, met)],
        _claims(size, met, wrecked),
        {
            "A": A,
            "B": B,
            "K of the learner": K,
            "spectral radius, kappa, rho of A − BK": [own.spectral_radius, own.kappa, own.decay],
            "Q, R": 1.0,
            "W": BOUND,
            "strangers' size": SIZE,
            "memory": MEMORY,
            "radius": RADIUS,
            "decay": DECAY,
            "step_size": {"initial": f"{STEP:g}/(W + Σ|B_j|U_j)", "decay": "sqrt"},
            "rounds": size.lengths,
            "seeds": size.seeds,
            "seed": seed,
        },
        _notes(met),
        {
            "exponents": {
                f"{cast}, {setting}": None
                if m.fit.nonpositive
                else [m.fit.exponent, m.fit.low, m.fit.high]
                for (cast, setting), m in met.items()
            }
        },
    )


def own_gain() -> Float[np.ndarray, "1 2"]:
    """The learner's LQR gain, made as if it were alone."""
    return stabilising_gains(LinearSystem(A, B[:1]), Quadratic(), "lqr", throw=True).K[0]


def learner(K: np.ndarray, setting: Any, scale: float = 1.0) -> GradientPerturbation:
    """The one agent that learns; `scale` is the most that others and the world may do to the state in a round."""
    step = {"initial": STEP / scale, "decay": "sqrt"}
    options: dict[str, Any] = {"memory": MEMORY, "radius": RADIUS, "decay": DECAY}
    return GradientPerturbation(A, B[0], K, setting=setting, step_size=step, **options)


def meet(
    system: LinearSystem,
    cost: Quadratic,
    K: np.ndarray,
    cast: str,
    setting: Any,
    size: Size,
    seed: int,
) -> Met:
    """All seeds of one cast in one setting."""
    T, ends = size.rounds, np.array(size.lengths)
    information = "independent" if setting == "independent" else "aggregated"
    regret, paid, idle, replayed, played, largest = [], [], [], [], [], 0.0
    for s in range(size.seeds):
        rng = np.random.default_rng((seed, s))
        push = Replay(lab.signal("random-walk", T, 2, BOUND, rng))
        others = cast_of(cast, system, SIZE, T, rng)
        # At rest a hostile stranger would not know where to push.
        x0 = 0.1 * rng.standard_normal(2)

        def play(
            first: Any, push: Replay = push, others: list = others, x0: np.ndarray = x0
        ) -> Any:
            agents = [first, *others]
            return simulate(system, agents, push, cost, T, seed, x0=x0, information=information)

        # Gradients grow with what is to be reckoned with, and P2's learner knows W and the bound U on controls.
        reach = [np.linalg.norm(b) * o.bound for b, o in zip(B[1:], others, strict=True)]
        run = play(learner(K, setting, BOUND + float(sum(reach))))
        regret.append(lab.regrets(run, [0], size.lengths)[0])
        paid.append(np.cumsum(run.cost[:, 0])[ends - 1] / ends)
        still = play(DisturbanceAction(A, B[0], K, np.zeros((MEMORY, 1, 2)), setting=setting))
        idle.append(np.cumsum(still.cost[:, 0])[ends - 1] / ends)
        for rounds in (EARLY, T):
            best = best_dac(run, 0, rounds=rounds)
            wise = play(DisturbanceAction(A, B[0], K, best.M, setting=setting))
            replayed.append(best.cost / rounds)
            played.append(wise.cost[:rounds, 0].mean())
        largest = max(largest, float(np.abs(run.x).max()))
    values = np.array(regret)
    return Met(
        values,
        fit_exponent(ends, values),
        np.array(paid),
        np.array(idle),
        np.reshape(replayed, (-1, 2)),
        np.reshape(played, (-1, 2)),
        largest,
        ends,
    )


def wreck(system: LinearSystem, cost: Quadratic, K: np.ndarray, seed: int) -> dict[str, float]:
    """A stranger whose feedback is unbounded and destabilises: size of the state, and regret, at 100 rounds and at the end."""
    feedback = WRECKER * B[1].T
    rng = np.random.default_rng(seed)
    push = Replay(lab.signal("random-walk", WRECKED_ROUNDS, 2, BOUND, rng))
    none = Stranger(np.zeros((WRECKED_ROUNDS, 1)), np.zeros((1, 2)))
    bad = Stranger(np.zeros((WRECKED_ROUNDS, 1)), feedback)
    agents = [learner(K, "independent"), bad, none, none]
    run = simulate(system, agents, push, cost, WRECKED_ROUNDS, seed, throw=False)
    marks = [100, run.rounds]
    regret = lab.regrets(run, [0], marks)[0]
    joint = np.abs(np.linalg.eigvals(A - B[0] @ K - B[1] @ feedback)).max()
    alone = np.abs(np.linalg.eigvals(A - B[1] @ feedback)).max()
    return {
        "joint": float(joint),
        "alone": float(alone),
        "rounds": float(run.rounds),
        "early_state": float(np.abs(run.x[100]).max()),
        "late_state": float(np.abs(run.x[-1]).max()),
        "early": float(regret[0]),
        "late": float(regret[1]),
    }


# --- what is shown -----------------------------------------------------------------------------------


def _panels(size: Size, met: dict) -> list[Panel]:
    T = np.array(size.lengths)
    curves = []
    for i, (cast, words) in enumerate(CASTS.items()):
        values = met[cast, "independent"].regret
        seen = [np.where(v > 0, v, np.nan) for v in _bands(values)]
        curves.append(Curve(words, T, *seen, style="both", colour=i))
    level = float(np.median([np.nanmax(c.y) for c in curves])) / np.sqrt(T[-1])
    curves.append(Curve("∝ √T", T, level * np.sqrt(T), style="dotted", colour=7))
    title = "Told nothing: regret grows no faster than √T, whoever the others are"
    panels = [Panel(title, "rounds T", "regret of the learner", curves, True, True)]
    told = [
        Curve(words, T, *_bands(met[cast, "aggregated-agentwise"].excess), style="both", colour=i)
        for i, (cast, words) in enumerate(CASTS.items())
    ]
    title = "Told what the others together did: regret fades, or is below 0"
    panels.append(Panel(title, "rounds T", "regret / cost of the best DAC", told, x_log=True))
    for setting in SETTINGS:
        curves = []
        for i, (cast, words) in enumerate(CASTS.items()):
            bands = _bands(met[cast, setting].share)
            curves.append(Curve(words, T, *bands, style="both", colour=i))
        told = {"independent": "told nothing", "aggregated-agentwise": "told the others' sum"}
        panels.append(
            Panel(
                f"Both really played: what learning costs beside the gain alone ({told[setting]})",
                "rounds T",
                "mean cost up to T / that of the gain alone",
                curves,
                x_log=True,
            )
        )
    return panels


def _bands(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, least and greatest over seeds."""
    return values.mean(0), values.min(0), values.max(0)


def _table(size: Size, met: dict) -> Table:
    rows = [
        [
            CASTS[cast],
            setting,
            lab.words(m.fit),
            float(m.regret[:, -1].mean()),
            float(m.idle[:, -1].mean()),
            float(m.paid[:, -1].mean()),
            float(m.replayed[:, 1].mean()),
            float(m.played[:, 1].mean()),
        ]
        for (cast, setting), m in met.items()
    ]
    header = ["strangers", "the learner's setting", "exponent of regret"]
    header += [f"regret at T = {size.lengths[-1]}", "mean cost: gain alone", "learning"]
    header += ["best DAC, replayed", "best DAC, really played"]
    return Table("The learner among strangers, means over seeds", header, rows)


def _claims(size: Size, met: dict, wrecked: dict[str, float]) -> list[Claim]:
    out = []
    for setting, source in zip(SETTINGS, ("P2, Theorem 3.2", "P2, C.3"), strict=True):
        cells = {cast: met[cast, setting] for cast in CASTS}
        said = ", ".join(f"{CASTS[cast]} {lab.words(m.fit)}" for cast, m in cells.items())
        out.append(
            Claim(
                f"Whatever the others do, the learner's regret grows no faster than √T ({setting}).",
                source,
                lab.worst([lab.verdict(m.fit, 0.5) for m in cells.values()]),
                f"Exponents over T = {size.lengths[0]} to {size.lengths[-1]}: {said}.",
            )
        )
    shares = {key: m.share[:, -1] for key, m in met.items()}
    said = "; ".join(
        f"{setting}: " + ", ".join(f"{CASTS[c]} {shares[c, setting].mean():.3f}" for c in CASTS)
        for setting in SETTINGS
    )
    out.append(
        Claim(
            "Learning pays among strangers of every kind.",
            "this project",
            bool(max(v.max() for v in shares.values()) < 1),
            f"Mean cost over that of the gain alone, both really played, at T = {size.lengths[-1]}: {said}.",
        )
    )
    astray = {cast: met[cast, "independent"].astray for cast in CASTS}
    quiet = max(np.abs(astray[cast]).max() for cast in ("nobody", "erratic"))
    answers = ("fixed", "hostile", "mixed")
    gone = [max(abs(astray[cast][:, k].mean()) for cast in answers) for k in (0, 1)]
    differs = bool(quiet < 1e-9 and gone[0] > 0.01)
    said = [
        ", ".join(f"{astray[cast][:, k].mean():+.1%} ({CASTS[cast]})" for cast in answers)
        for k in (0, 1)
    ]
    out.append(
        Claim(
            "Regret is no promise of what would have been, because strangers that answer the state answer another policy differently; "
            "once the learner has settled, it nearly is.",
            "this project",
            None if differs and size.rounds < SETTLED else differs and bool(gone[1] < gone[0] / 2),
            f"The best DAC in hindsight, really played from round 0 (independent setting), costs more than its replay by {said[0]} over {EARLY} rounds and by "
            f"{said[1]} over {size.rounds}; among strangers that answer nothing the two agree to {quiet:.1g}.",
        )
    )
    out.append(
        Claim(
            "What the theorem does need is that the others' controls are bounded: two feedbacks that each hold the system alone can wreck it together.",
            "P2, Assumption 3 and its bound U on controls",
            bool(
                wrecked["joint"] > 1 > wrecked["alone"]
                and wrecked["late"] / wrecked["early"] > wrecked["rounds"] / 100
            ),
            f"A neighbour with fixed feedback, spectral radius {wrecked['alone']:.3f} without the learner and {wrecked['joint']:.3f} with it: "
            f"|x| is {wrecked['early_state']:.2g} after 100 rounds and {wrecked['late_state']:.2g} after {wrecked['rounds']:.0f}, the learner's "
            f"regret {wrecked['early']:.2g} and {wrecked['late']:.2g}.",
        )
    )
    return out


def _notes(met: dict) -> list[str]:
    return [
        "Regret replays what the strangers did (open-loop) around the learner's own best fixed M, exactly and from round 0.",
        "Hostile strangers push with all they have the way the state is already going, u = sign(B_jᵀA x). Erratic ones jump to another level "
        f"every {MOODS} rounds on average, a third of the time to none. Fixed ones play their own LQR gains, made for a price of control of 5 and as if each were alone.",
        f"Nothing was clipped; |x| stayed below {max(m.largest for m in met.values()):.2g}.",
        "The learner's step is η/√(t+1) with η in proportion to 1/(W + Σ|B_j|U_j), the most that the world and strangers of control at most U_j can "
        "do to the state in a round: a bound that P2 lets it know.",
        "The learner told what the others together did plays P2's C.3: it needs no K_j, which strangers would not tell.",
        "Regret ≤ 0 where the learner is told the others' sum: a fixed M reads the world's disturbance alone, while the one that learns "
        "also follows, through its gradient, what the others are doing now. No fixed M of the class can.",
        "In the panels of cost, bands are the least and greatest of the seeds; the gain alone is played in the same world, from the same "
        "start, among the same strangers, who then see other states.",
    ]


def _story(size: Size) -> str:
    return (
        "The theorems for one agent ask nothing of the others but bounded controls. So one agent of four learns, on its own LQR gain, and the "
        "three others do as they please: nothing, fixed feedback, erratic levels, hostile pushes of full size the way the state is already going, or one "
        f"of each. The world's own disturbance is a reflected random walk. Runs of T = {size.lengths[-1]} rounds, {size.seeds} of each, in the two "
        "settings that need no knowledge of the strangers' gains. The same worlds are then played again with the gain alone and with the best "
        "policy in hindsight, so that what was replayed can be held against what would have happened."
    )
