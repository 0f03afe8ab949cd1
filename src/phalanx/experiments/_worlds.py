"""The worlds a contestant is played in: recorded disturbances, its own worst attack, the adversary."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from phalanx.equilibria import Certificate
from phalanx.evaluation import noise_gain, worst_disturbance
from phalanx.scenarios import Scenario

STATIONARY_ROUNDS = 200
RUNS = 50


@dataclass(frozen=True, eq=False)
class Controller:
    """One contestant.

    Attributes:
        key: short name. label: as printed. note: what it was made from.
        K, L: gains, (T, p, m) or (p, m).
    """

    key: str
    label: str
    note: str
    K: np.ndarray
    L: np.ndarray

    @property
    def gains(self) -> tuple[np.ndarray, np.ndarray]:
        """K and L."""
        return self.K, self.L


class World:
    """The scenario's world, ready to be played by one controller after another."""

    def __init__(self, scenario: Scenario, agents: int, seed: int, precision: Any):
        self.scenario, self.game = scenario, scenario.game
        self.agents, self.seed, self.precision = agents, seed, precision
        self.rounds = STATIONARY_ROUNDS if self.game.stationary else int(self.game.horizon)

    def recorded(self, controller: Controller) -> list[Any]:
        """The trajectories of all episodes."""
        from phalanx.disturbances import Replay

        world = self.scenario.recorded
        disturbance, episodes, noise = self.scenario.disturbance, 1, self.game.noise
        rounds, initial = self.rounds, None
        if world is not None:
            episodes = world.episodes
            rounds = len(world.common) // episodes
            noise = None
            # Recorded worlds bring their own disturbances; the spread of initial states is drawn.
            initial = self._spread()
        out = []
        for episode in range(episodes):
            x0 = initial if episode == 0 else out[-1].final
            if world is not None:
                now = slice(episode * rounds, (episode + 1) * rounds)
                own = world.idiosyncratic
                disturbance = Replay(world.common[now], None if own is None else own[now])
            out.append(self._play(controller, disturbance, rounds, x0, noise))
        return out

    def attack(self, controller: Controller, energy: float) -> tuple[dict[str, Any], Any]:
        """The worst disturbance of the given energy, replayed on the population from rest."""
        from phalanx.disturbances import Replay

        worst = worst_disturbance(self.game, controller.K, controller.L, self.agents, self.rounds)
        # An even pattern of signs keeps the mean at rest; the unpaired agent of an odd N stays calm.
        signs = np.where(np.arange(self.agents) % 2 == 0, 1.0, -1.0)
        if worst.through == "mean":
            replay = Replay(common=np.sqrt(energy) * worst.signal)
        else:
            signs[-1] *= 0 if self.agents % 2 else 1
            signs *= np.sqrt(energy * self.agents / np.sum(signs**2))
            replay = Replay(idiosyncratic=worst.signal[:, :, None] * signs)
        trajectory = self._play(
            controller, replay, self.rounds, np.zeros(self.game.system.state_size), None
        )
        return {
            "exact": worst.gain * energy,
            "measured": trajectory.cost,
            "energy": trajectory.disturbance_energy,
            "through": worst.through,
            "outside_limits": trajectory.outside,
            **shape(trajectory.x_bar),
        }, trajectory

    def adversary(self, controller: Controller, certificate: Certificate) -> dict[str, Any] | None:
        """J − γ²·energy of d under the saddle point's disturber, with its standard error, beside V_N."""
        from phalanx.disturbances import LinearAdversary
        from phalanx.policies import MeanFieldFeedback
        from phalanx.simulation import simulate

        if self.game.stationary or math.isinf(certificate.gamma):
            return None
        saddle = certificate.saddle
        K2 = np.zeros_like(saddle.L2) if np.isnan(saddle.K2).any() else saddle.K2
        runs = simulate(
            self.game.system,
            MeanFieldFeedback(*controller.gains),
            LinearAdversary(K2, saddle.L2),
            self.game.cost,
            self.rounds,
            self.seed,
            n_agents=self.agents,
            noise=self.game.noise,
            runs=RUNS,
            record="totals",
            precision=self.precision,
        )
        payoff = runs.cost - certificate.gamma**2 * runs.disturbance_energy
        return {
            "payoff": payoff.mean(),
            "standard_error": payoff.std(ddof=1) / math.sqrt(RUNS),
            "value": saddle.value_for(self.agents),
            "runs": RUNS,
        }

    def noise_gain(self, controller: Controller) -> dict[str, Any] | None:
        """The measured E J / E ϖ of the process noise alone."""
        from phalanx.policies import MeanFieldFeedback

        if not (self.game.noise.Sigma.any() or self.game.noise.Sigma_bar.any()):
            return None
        measured = noise_gain(
            self.game,
            MeanFieldFeedback(*controller.gains),
            n_agents=self.agents,
            runs=RUNS,
            key=self.seed,
            rounds=self.rounds,
        )
        return {"ratio": measured.ratio, "low": measured.low, "high": measured.high, "runs": RUNS}

    def _spread(self) -> np.ndarray:
        """(N, m) initial states drawn around x0 from Σ⁰ and Σ̄⁰, the same for every controller."""
        rng = np.random.default_rng(self.seed)
        noise, m = self.game.noise, self.game.system.state_size
        own = rng.multivariate_normal(np.zeros(m), noise.Sigma_0, self.agents, method="eigh")
        return own + rng.multivariate_normal(noise.x0, noise.Sigma_bar_0, method="eigh")

    def _play(
        self, controller: Controller, disturbance: Any, rounds: int, x0: Any, noise: Any
    ) -> Any:
        from phalanx.policies import MeanFieldFeedback
        from phalanx.simulation import simulate

        return simulate(
            self.game.system,
            MeanFieldFeedback(*controller.gains),
            disturbance,
            self.game.cost,
            rounds,
            self.seed,
            n_agents=self.agents,
            noise=noise,
            x0=x0,
            limits=self.scenario.limits,
            precision=self.precision,
        )


def shape(x_bar: np.ndarray) -> dict[str, Any]:
    """Root mean square and peak of the mean path, entry by entry."""
    return {"rms_mean": np.sqrt(np.mean(x_bar**2, axis=0)), "peak_mean": np.abs(x_bar).max(axis=0)}
