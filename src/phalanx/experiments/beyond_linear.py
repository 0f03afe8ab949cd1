"""Beyond linear and Gaussian: gains learned from costs where no Riccati equation is right.

Two worlds, rolled out agent by agent. In *limits*, batteries run full, empty and out of power; the linear
design does not know it. In *heavy tails* the dynamics are linear and the noise is Student's t with three
degrees of freedom. In both, learned gains meet the certified linear ones on fresh rollouts with common
random numbers, each against no disturbance, the certified one, and the learned one.
"""

import copy
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx import _random
from phalanx._record import Record
from phalanx.equilibria import RobustGame, solve
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.learners import JointGains, Learned, Method, PopulationOracle, learn
from phalanx.scenarios import scenario

AGENTS = 50
GAMMA = 40.0  # battery power is lost to the limits, so the linear world's own level is out of reach
START = 0.05  # Σ_y = Σ_z = START · I: states that a fleet is found in
RADIUS = 0.3
TAILS = 3


def run(quick: bool, seed: int, progress: Callable[[float, str], None]) -> Record:
    """Learn in both worlds, and play everyone against everyone."""
    stages = 4 if quick else 24
    world = scenario("battery-fleet-limits")
    g = world.game
    game = RobustGame(g.system, g.cost, g.noise, stages)
    saddle = solve(game, GAMMA, throw=True)
    certified = JointGains.of(saddle.K1, saddle.K2, saddle.L1, saddle.L2)

    limits = PopulationOracle(
        game,
        AGENTS,
        Sigma_y=START,
        Sigma_z=START,
        transition=world.transition,
        report="average",
        antithetic=True,
    )
    careful = Method(
        "two_point",
        "gauss_newton",
        iterations=20 if quick else 80,
        batch=100 if quick else 400,
        radius=RADIUS,
        ball=10.0,
        average=True,
    )
    found = learn(
        limits, GAMMA, careful, key=seed, progress=lambda p: progress(0.7 * p.done, "limits")
    )
    tails = PopulationOracle(
        game, AGENTS, Sigma_y=START, Sigma_z=START, tails=TAILS, report="average", antithetic=True
    )
    heavy = learn(
        tails,
        GAMMA,
        "fast",
        key=seed,
        progress=lambda p: progress(0.7 + 0.2 * p.done, "heavy tails"),
    )
    progress(0.9, "everyone against everyone")
    rollouts = 256 if quick else 2048
    first = _meet(_plain(limits), certified, _gains(found), rollouts, seed + 1)
    second = _meet(_plain(tails), certified, _gains(heavy), rollouts, seed + 1)
    return reproduction(
        "beyond-linear",
        "Learned where no Riccati equation is right",
        (
            f"battery-fleet over {stages} quarter hours with {AGENTS} homes at γ = {GAMMA:g}. Gains are learned from costs of explicit "
            "populations by the same call as in the linear world, and then played, on fresh rollouts with common random numbers, "
            "against the certified gains of the linear design."
        ),
        [_panel("Small batteries with limits", first), _panel("Heavy-tailed noise", second)],
        [_table("limits", first), _table("heavy tails", second)],
        [*_claims_limits(first, found), *_claims_tails(second, heavy, certified)],
        {
            "stages": stages,
            "agents": AGENTS,
            "gamma": GAMMA,
            "Sigma_y, Sigma_z": START,
            "limits: method": careful.settings,
            "heavy tails: degrees of freedom": TAILS,
            "rollouts to learn": {"limits": found.rollouts, "heavy tails": heavy.rollouts},
            "rollouts to compare": rollouts,
        },
        notes=[
            "Payoff is cost − γ²·energy, averaged over the fleet; the controller wants it low.",
            "In the limited world stationary points of the learner need not be saddle points; what counts is the comparison.",
        ],
        numbers={"payoffs": {"limits": first["payoff"], "heavy tails": second["payoff"]}},
    )


def _gains(learned: Learned) -> JointGains:
    return JointGains.of(learned.K1, learned.K2, learned.L1, learned.L2)


def _plain(oracle: PopulationOracle) -> PopulationOracle:
    """The same world with ordinary draws: a comparison's interval needs independent rollouts."""
    plain = copy.copy(oracle)
    object.__setattr__(plain, "antithetic", False)
    return plain


def _meet(
    oracle: PopulationOracle, certified: JointGains, learned: JointGains, rollouts: int, seed: int
) -> dict[str, Any]:
    """Mean payoffs (controller × disturbance), and the learned controller's difference with its standard error."""
    none = JointGains(certified.theta1, np.zeros_like(certified.theta2))
    against = {"none": none, "certified": certified, "learned": learned}
    payoff: dict[str, dict[str, float]] = {"certified": {}, "learned": {}}
    difference = {}
    with jax.enable_x64(True):
        key = _random.as_key(seed)
        for name, other in against.items():
            both = []
            for who, own in (("certified", certified), ("learned", learned)):
                gains = JointGains(jnp.asarray(own.theta1), jnp.asarray(other.theta2))
                paid = np.asarray(_play(oracle, gains, key, rollouts))
                payoff[who][name] = float(paid.mean())
                both.append(paid)
            gap = both[1] - both[0]
            difference[name] = (float(gap.mean()), float(gap.std(ddof=1) / np.sqrt(rollouts)))
    return {"payoff": payoff, "difference": difference}


@eqx.filter_jit
def _play(oracle: PopulationOracle, gains: JointGains, key: Any, rollouts: int) -> Any:
    """Payoffs of whole runs from stage 0, from the states that a fleet is found in."""
    still = JointGains(*(jnp.zeros((1, *theta.shape[1:], 1, 1)) for theta in gains))
    size = min(rollouts, 128)

    def some(index: Any) -> Any:
        drawn = oracle.draws(jax.random.fold_in(key, index), size, jnp.asarray(0))
        cost, energy = oracle.costs(None, gains, still, drawn, jnp.asarray(0))
        return cost[0] - GAMMA**2 * energy[0]

    return jax.lax.map(some, jnp.arange(rollouts // size)).ravel()


def _panel(title: str, met: dict[str, Any]) -> Panel:
    places = np.arange(3)
    curves = [
        Curve(f"{who} controller", places, list(met["payoff"][who].values()), style="both")
        for who in ("certified", "learned")
    ]
    label = "disturbance: 0 none, 1 the certified game's, 2 the learned one"
    return Panel(f"{title}: what each controller pays", label, "payoff, mean", curves)


def _table(name: str, met: dict[str, Any]) -> Table:
    rows = []
    for other, (gap, error) in met["difference"].items():
        own = [met["payoff"][who][other] for who in ("certified", "learned")]
        rows.append([other, *own, gap, error])
    header = ["disturbance", "certified gains", "learned gains", "difference", "standard error"]
    return Table(f"{name}: mean payoff", header, rows)


def _claims_limits(met: dict[str, Any], found: Learned) -> list[Claim]:
    worst = {who: max(met["payoff"][who].values()) for who in ("certified", "learned")}
    ratio = worst["learned"] / worst["certified"]
    return [
        Claim(
            "From zero, with costs alone, the learner comes within a tenth of the certified linear gains in a world with limits",
            "this project",
            bool(ratio <= 1.1),
            f"Worst payoff over the three disturbances: learned {worst['learned']:.4g}, certified {worst['certified']:.4g} "
            f"({ratio:.3g} times), after {found.rollouts:.3g} rollouts.",
        ),
        Claim(
            "It pays less than they do against each of the three disturbances",
            "this project",
            _less(list(met["difference"].values())),
            "Differences, with standard errors: "
            + ", ".join(f"{gap:.3g} ± {se:.2g}" for gap, se in met["difference"].values())
            + ".",
        ),
    ]


def _less(differences: list[tuple[float, float]]) -> bool | None:
    """Whether all are below 0 by two standard errors; None where noise does not let one say."""
    if all(gap < -2 * error for gap, error in differences):
        return True
    return False if any(gap > 2 * error for gap, error in differences) else None


def _claims_tails(met: dict[str, Any], heavy: Learned, certified: JointGains) -> list[Claim]:
    off = [
        float(np.linalg.norm(a - b) / np.linalg.norm(b))
        for a, b in zip(_gains(heavy), certified, strict=True)
    ]
    return [
        Claim(
            "Under heavy tails the learned gains are the certified ones: a saddle point depends on covariances alone",
            "docs/notation.md",
            bool(max(off) < 1e-6),
            f"Relative distance {off[0]:.2g} (controller) and {off[1]:.2g} (disturbance), after {heavy.rollouts:.3g} rollouts.",
        )
    ]
