"""The explicit population, against P1's eqs. 1–3 played agent by agent on the same draws.

Statistical claims use fixed keys and state their test; each is passed at p > 1e-3.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from _oracles import by_stage
from learning_worlds import one_shot, random_gains, random_start, rolled, small_game
from scipy import stats

import phalanx as px
from phalanx.learners import JointGains, LawOracle, PopulationOracle
from phalanx.learners._population import linear

P_VALUE = 1e-3
M, DRAWS, T = 4, 3, 3


@pytest.fixture(autouse=True, scope="module")
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def game():
    return small_game(30)


def oracle_of(game, n_agents=M, **settings):
    start = random_start(np.random.default_rng(75), 2)
    return PopulationOracle(game, n_agents, Sigma_y=start.y, Sigma_z=start.z, **settings)


# --- the same draws, agent by agent ----------------------------------------------------------------


def agents_of(normals: dict, m: int, N: int) -> tuple[np.ndarray, np.ndarray]:
    """(DRAWS, N, m) of the agents and (DRAWS, m) of all of them together."""
    own = np.asarray(normals["own"]).reshape(m, DRAWS, N)
    return np.moveaxis(own, 0, -1), np.asarray(normals["common"]).T


def by_hand(oracle, game, gains, stage, seed) -> tuple[np.ndarray, np.ndarray]:
    """Every agent's cost and energy, (DRAWS, N): means over agents are P1's eqs. 2 and 3."""
    s, c = game.system, game.cost
    m, N, first = s.state_size, oracle.n_agents, 0 if stage is None else stage
    start, _, key = oracle.draws(jax.random.key(seed), DRAWS, stage)
    root = {name: np.asarray(F) for name, F in oracle.roots.items()}
    own, common = agents_of(start, m, N)
    if stage is None:
        x = own @ root["own_0"].T + (common @ root["common_0"].T)[:, None]
    else:  # centred, and stretched back to Σ_y
        y = (own - own.mean(axis=1, keepdims=True)) * np.sqrt(N / (N - 1))
        x = y @ root["y"].T + (common @ root["z"].T)[:, None]
    pick = {n: by_stage(getattr(s, n), T) for n in ("A", "A_bar", "B", "B_bar", "D", "D_bar")}
    pick |= {n: by_stage(getattr(c, n), T) for n in ("Q", "Q_bar", "R", "R_bar")}
    cost, energy = np.zeros((2, DRAWS, N))

    def form(v, W):
        return np.einsum("...i,ij,...j", v, W, v)

    for t in range(first, T):
        now = {n: X[t] for n, X in pick.items()}
        noise = oracle._normals(jax.random.fold_in(key, t - first), DRAWS)
        own, common = agents_of(noise, m, N)
        for b in range(DRAWS):
            x_bar = x[b].mean(axis=0)
            u, d = gains.control(t, x[b], x_bar), gains.disturbance(t, x[b], x_bar)
            u_bar, d_bar = u.mean(axis=0), d.mean(axis=0)
            cost[b] += form(x[b] - x_bar, now["Q"]) + form(x_bar, now["Q_bar"])
            cost[b] += form(u - u_bar, now["R"]) + form(u_bar, now["R_bar"])
            energy[b] += form(d - d_bar, np.eye(2)) + form(d_bar, np.eye(2))
            moved = [
                now["A"] @ x[b, i]
                + now["A_bar"] @ x_bar
                + now["B"] @ u[i]
                + now["B_bar"] @ u_bar
                + now["D"] @ d[i]
                + now["D_bar"] @ d_bar
                + root["own"] @ own[b, i]
                + root["common"] @ common[b]
                for i in range(N)
            ]
            x[b] = np.stack(moved)
    x_bar = x.mean(axis=1, keepdims=True)
    return cost + form(x - x_bar, c.Q_T) + form(x_bar, c.Q_bar_T), energy


@pytest.mark.parametrize(
    ("stage", "report"), [(None, "one"), (0, "one"), (2, "one"), (0, "average")]
)
def test_a_rollout_is_the_population_played_agent_by_agent(game, stage, report):
    gains = random_gains(np.random.default_rng(76), game)
    oracle = oracle_of(game, report=report)
    ours = rolled(oracle, gains, DRAWS, stage, seed=1)
    for found, each in zip(ours, by_hand(oracle, game, gains, stage, 1), strict=True):
        theirs = each[:, 0] if report == "one" else each.mean(axis=1)
        np.testing.assert_allclose(found[0], theirs, rtol=1e-11)


def test_roots_are_roots_of_the_games_covariances(game):
    oracle, w = oracle_of(game), game.noise
    names = {"own": w.Sigma, "common": w.Sigma_bar, "own_0": w.Sigma_0, "common_0": w.Sigma_bar_0}
    names |= {"y": oracle.Sigma_y, "z": oracle.Sigma_z}
    for name, covariance in names.items():
        F = np.asarray(oracle.roots[name])
        np.testing.assert_allclose(F @ F.T, covariance, atol=1e-13)


# --- other worlds ----------------------------------------------------------------------------------


def test_the_linear_transition_is_the_games_own_dynamics(game):
    gains = random_gains(np.random.default_rng(77), game)
    own = oracle_of(game, transition=lambda t, x, u, d: linear(game.system, t, x, u, d))
    ours, theirs = (rolled(o, gains, DRAWS, 1, seed=2) for o in (oracle_of(game), own))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_bent_transition_is_played():
    """Where x' = 3 at every agent whatever they do, all that is paid is 9 Q̄_T."""
    cost = px.MeanFieldCost(Q=0.0, Q_bar=0.0, R=1.0, Q_T=5.0, Q_bar_T=2.0)
    game = px.RobustGame(px.MeanFieldSystem(A=1.0, B=1.0), cost, horizon=1)
    oracle = PopulationOracle(game, 5, transition=lambda t, x, u, d: 0 * x + 3.0)
    cost, _ = rolled(oracle, JointGains.zeros(oracle.sizes), 20, 0, seed=3)
    np.testing.assert_allclose(cost, 9.0 * 2.0, rtol=1e-12)


# --- heavy tails -----------------------------------------------------------------------------------


def endings(tails: int, n_agents: int, weight: str, noise: px.MeanFieldNoise, seed: int):
    """|v·noise| of 100,000 rollouts of one stage that forgets everything but its noise."""
    plain = one_shot(2, **{weight: np.outer(V, V)})
    world = px.RobustGame(plain.system, plain.cost, noise, horizon=1)
    gains = JointGains(np.zeros((1, 2, 4)), np.zeros((1, 2, 4)))
    cost, _ = rolled(PopulationOracle(world, n_agents, tails=tails), gains, 100_000, 0, seed)
    return np.sqrt(cost[0])


V = np.array([1.0, -2.0])


@pytest.mark.parametrize("tails", [3, 9])
def test_common_heavy_tails_are_students_with_the_games_covariance(tails):
    """Kolmogorov-Smirnov of |v·ω̄|/σ √(ν/(ν−2)) against |t_ν|; z-test of the mean square against σ².

    The fourth moment of t_9 is 3(ν − 2)/(ν − 4) = 4.2 σ⁴, not a Gaussian's 3 σ⁴.
    """
    Sigma_bar = one_shot(2).noise.Sigma_bar
    variance = V @ Sigma_bar @ V
    found = endings(tails, 2, "Q_bar_T", px.MeanFieldNoise(Sigma_bar=Sigma_bar), 4)
    law = stats.t(tails, scale=np.sqrt(variance * (tails - 2) / tails))
    assert stats.kstest(found, lambda x: 2 * law.cdf(x) - 1).pvalue > P_VALUE
    if tails == 9:
        z = ((found**2).mean() - variance) / ((found**2).std() / np.sqrt(found.size))
        assert 2 * stats.norm.sf(abs(z)) > P_VALUE
        assert (found**4).mean() / variance**2 == pytest.approx(4.2, rel=0.1)


def test_idiosyncratic_heavy_tails_are_independent_students():
    """Of two agents each deviates by half the difference of two independent t's; two-sample KS."""
    Sigma = one_shot(2).noise.Sigma
    found = endings(5, 2, "Q_T", px.MeanFieldNoise(Sigma=Sigma), 5)
    drawn = np.random.default_rng(78).standard_t(5, (2, found.size))
    theirs = np.abs(drawn[0] - drawn[1]) / 2 * np.sqrt(V @ Sigma @ V * 3 / 5)
    assert stats.ks_2samp(found, theirs).pvalue > P_VALUE


# --- where it starts -------------------------------------------------------------------------------


def test_a_world_that_starts_from_rest_starts_like_a_stage_in_either_oracle(game):
    """Two-sample Kolmogorov-Smirnov: `stage=None` without an initial law, against the law oracle."""
    resting = px.RobustGame(
        game.system,
        game.cost,
        px.MeanFieldNoise(game.noise.Sigma, game.noise.Sigma_bar),
        horizon=T,
    )
    gains = random_gains(np.random.default_rng(80), game)
    start = random_start(np.random.default_rng(75), 2)
    law = LawOracle(resting, 2, Sigma_y=start.y, Sigma_z=start.z)
    ours, theirs = (rolled(o, gains, 20_000, None, seed=8) for o in (oracle_of(resting, 2), law))
    for one, two in zip(ours, theirs, strict=True):
        assert stats.ks_2samp(one[0], two[0]).pvalue > P_VALUE


# --- what it is given ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"n_agents": 1}, "n_agents"),
        ({"n_agents": 2.5}, "n_agents"),
        ({"n_agents": float("inf")}, "n_agents"),
        ({"n_agents": float("nan")}, "n_agents"),
        ({"n_agents": "ten"}, "n_agents"),
        ({"n_agents": None}, "n_agents"),
        ({"tails": 2}, "tails"),
        ({"tails": 4.5}, "tails"),
        ({"tails": True}, "tails"),
        ({"report": "all"}, "report"),
        ({"Sigma_y": 0.0}, "Sigma_y"),
        ({"Sigma_z": -1.0}, "Sigma_z"),
        ({"dtype": "float16"}, "dtype"),
        ({"dtype": "double precision"}, "dtype"),
    ],
    ids=str,
)
def test_bad_settings_are_refused_by_name(two_by_two, settings, named):
    with pytest.raises(px.InputError, match=named):
        PopulationOracle(two_by_two, **({"n_agents": 3} | settings))


def test_a_stationary_game_is_refused(f16):
    with pytest.raises(px.InputError, match="finite horizon"):
        PopulationOracle(f16, 3)


def test_linear_is_p1_equation_1(game):
    rng = np.random.default_rng(81)
    x, u, d = rng.normal(size=(2, 5)), rng.normal(size=(1, 5)), rng.normal(size=(2, 5))
    s = game.system
    hand = s.A[1] @ x + s.B[1] @ u + s.D[1] @ d
    hand += (
        s.A_bar[1] @ x.mean(axis=1) + s.B_bar[1] @ u.mean(axis=1) + s.D_bar[1] @ d.mean(axis=1)
    )[:, None]
    np.testing.assert_allclose(linear(s, jnp.asarray(1), x, u, d), hand, rtol=1e-13)
