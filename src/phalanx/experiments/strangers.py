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
from phalanx.experiments._strangers import Stranger
from phalanx.online import DisturbanceAction, GradientPerturbation
from phalanx.simulation import simulate
from phalanx.systems import LinearSystem

A = np.array([[0.8, 0.2], [-0.2, 0.8]])
# The learner's input, then three strangers'.
B = np.array([[[1.0], [0.5]], [[0.0], [1.0]], [[0.6], [-0.6]], [[0.5], [0.5]]])
BOUND, SIZE = 1.0, 1.0
MEMORY, RADIUS, DECAY, STEP = 8, 1.0, 0.3, 0.03
SETTINGS = ("independent", "aggregated-agentwise")
# Price of control that the fixed strangers' own LQR gains were made for; rounds between an erratic one's changes.
CALM, MOODS = 5.0, 20
# A stranger beyond the theorem: its feedback leaves the learner's loop with an eigenvalue outside the circle.
WRECKER = -0.6
WRECKED_ROUNDS = 400
CASTS = {
    "nobody": "nobody acts",
    "fixed": "fixed feedback",
    "erratic": "erratic",
    "hostile": "hostile",
    "mixed": "one of each",
}


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
        replayed, played: (seeds,) mean cost of the best DAC of the whole run, in the replay and really played.
        largest: of |x| in any round.
    """

    regret: Float[np.ndarray, "S C"]
    fit: Exponent
    paid: Float[np.ndarray, "S C"]
    idle: Float[np.ndarray, "S C"]
    replayed: Float[np.ndarray, " S"]
    played: Float[np.ndarray, " S"]
    largest: float

    @property
    def share(self) -> Float[np.ndarray, "S C"]:
        """Cost as a share of what the gain alone costs."""
        return self.paid / self.idle

    @property
    def astray(self) -> Float[np.ndarray, " S"]:
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
            "step_size": {"initial": STEP, "decay": "sqrt"},
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


def strangers(cast: str, rounds: int, rng: np.random.Generator) -> list[Stranger]:
    """Three neighbours: agents 1, 2 and 3."""
    calm = stabilising_gains(LinearSystem(A, B), Quadratic(1.0, CALM), "lqr").K
    out = []
    for place, j in enumerate((1, 2, 3)):
        mood = ("fixed", "erratic", "hostile")[place] if cast == "mixed" else cast
        changes = (rng.random(rounds) < 1 / MOODS).cumsum()
        # A third of an erratic stranger's moods are to do nothing.
        moods = rng.uniform(-SIZE, SIZE, changes[-1] + 1) * (rng.random(changes[-1] + 1) < 2 / 3)
        script = moods[changes][:, None] if mood == "erratic" else np.zeros((rounds, 1))
        feedback = calm[j] if mood == "fixed" else np.zeros((1, 2))
        out.append(Stranger(script, feedback, B[j].T @ A, SIZE if mood == "hostile" else 0.0))
    return out


def learner(K: np.ndarray, setting: Any) -> GradientPerturbation:
    """The one agent that learns."""
    step = {"initial": STEP, "decay": "sqrt"}
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
        others = strangers(cast, T, rng)
        # At rest a hostile stranger would not know where to push.
        x0 = 0.1 * rng.standard_normal(2)

        def play(
            first: Any, push: Replay = push, others: list = others, x0: np.ndarray = x0
        ) -> Any:
            agents = [first, *others]
            return simulate(system, agents, push, cost, T, seed, x0=x0, information=information)

        run = play(learner(K, setting))
        best = best_dac(run, 0)
        regret.append(lab.regrets(run, [0], size.lengths)[0])
        paid.append(np.cumsum(run.cost[:, 0])[ends - 1] / ends)
        still = play(DisturbanceAction(A, B[0], K, np.zeros_like(best.M), setting=setting))
        idle.append(np.cumsum(still.cost[:, 0])[ends - 1] / ends)
        wise = play(DisturbanceAction(A, B[0], K, best.M, setting=setting))
        replayed.append(best.cost / T)
        played.append(wise.cost[:, 0].mean())
        largest = max(largest, float(np.abs(run.x).max()))
    values = np.array(regret)
    return Met(
        values,
        fit_exponent(ends, values),
        np.array(paid),
        np.array(idle),
        np.array(replayed),
        np.array(played),
        largest,
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
