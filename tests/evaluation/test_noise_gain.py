"""The measured ratio E J / E ϖ: its interval covers the exact one, which a Lyapunov recursion gives."""

import numpy as np
import pytest
from _oracles import halves, play, power, value

import phalanx as px

AGENTS, RUNS = 12, 200


def exact_ratio(game: px.RobustGame, K: np.ndarray, L: np.ndarray, N: int) -> float:
    """E J / E ϖ without a disturbance: the value of play with a disturber who stays at 0."""
    T = int(game.horizon)
    deviation, mean = halves(game)
    still = np.zeros((T, game.system.disturbance_size, game.system.state_size))
    M, M_bar = play(deviation, K, still, 1.0), play(mean, L, still, 1.0)
    return value(game, M, M_bar, N) / power(game)


@pytest.fixture(scope="module")
def certified(two_by_two):
    """A viable γ for these agents, and its saddle point."""
    gamma = 1.02 * px.attenuation_levels(two_by_two, AGENTS).population
    return gamma, px.solve(two_by_two, gamma, AGENTS)


@pytest.fixture(scope="module")
def measured(two_by_two, certified):
    """Many measurements of the same ratio, each with its own key."""
    policy = px.MeanFieldFeedback(certified[1].K1, certified[1].L1)
    return [
        px.noise_gain(two_by_two, policy, n_agents=AGENTS, runs=RUNS, key=key) for key in range(80)
    ]


@pytest.fixture(scope="module")
def exact(two_by_two, certified):
    return exact_ratio(two_by_two, certified[1].K1, certified[1].L1, AGENTS)


def test_the_interval_covers_the_exact_ratio(measured, exact):
    assert measured[0].low <= exact <= measured[0].high


def test_over_many_keys_it_covers_as_often_as_it_says(measured, exact):
    covered = sum(m.low <= exact <= m.high for m in measured)
    assert 70 <= covered <= 80  # 76 ± 2 expected of 95 %


def test_over_many_keys_the_mean_is_the_exact_ratio(measured, exact):
    ratios = np.array([m.ratio for m in measured])
    assert abs(ratios.mean() - exact) < 4 * ratios.std(ddof=1) / np.sqrt(len(ratios))


def test_its_width_is_the_spread_over_keys(measured):
    half = np.mean([(m.high - m.low) / 2 for m in measured])
    spread = np.std([m.ratio for m in measured], ddof=1)
    assert half == pytest.approx(1.96 * spread, rel=0.25)


def test_the_parts_make_the_ratio(measured, two_by_two):
    m = measured[0]
    assert m.ratio == pytest.approx(m.cost / m.noise_index, rel=1e-14)
    assert (m.runs, m.confidence) == (RUNS, 0.95)
    assert m.noise_index == pytest.approx(power(two_by_two), rel=0.1)


def test_under_certified_gains_it_stays_below_gamma_squared(measured, exact, certified):
    assert exact <= certified[0] ** 2
    assert all(m.low <= certified[0] ** 2 for m in measured)


@pytest.mark.parametrize("confidence", [0.5, 0.99])
def test_confidence_is_a_choice(two_by_two, certified, measured, confidence):
    policy = px.MeanFieldFeedback(certified[1].K1, certified[1].L1)
    found = px.noise_gain(
        two_by_two, policy, n_agents=AGENTS, runs=RUNS, key=0, confidence=confidence
    )
    assert found.ratio == measured[0].ratio
    wider = found.high - found.low > measured[0].high - measured[0].low
    assert wider == (confidence > 0.95)


def test_the_same_key_gives_the_same_measurement(two_by_two, certified, measured):
    policy = px.MeanFieldFeedback(certified[1].K1, certified[1].L1)
    again = px.noise_gain(two_by_two, policy, n_agents=AGENTS, runs=RUNS, key=3)
    assert again == measured[3]


def test_against_the_saddle_points_adversary_it_stays_below_gamma_squared(two_by_two, certified):
    gamma, saddle = certified
    found = px.noise_gain(
        two_by_two,
        px.MeanFieldFeedback(saddle.K1, saddle.L1),
        px.LinearAdversary(saddle.K2, saddle.L2),
        n_agents=AGENTS,
        runs=RUNS,
    )
    assert found.low <= gamma**2
    assert found.noise_index > 1.01 * power(two_by_two)  # the adversary's energy counts too


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"runs": 1}, "runs must be at least 2"),
        ({"confidence": 0.0}, "confidence between 0 and 1"),
        ({"confidence": 1.0}, "confidence between 0 and 1"),
    ],
)
def test_arguments_out_of_range(two_by_two, options, sentence):
    policy = px.MeanFieldFeedback(np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(px.InputError, match=sentence):
        px.noise_gain(two_by_two, policy, n_agents=3, **options)


def test_nothing_to_divide_by(two_by_two):
    still = px.RobustGame(two_by_two.system, two_by_two.cost, horizon=10)
    policy = px.MeanFieldFeedback(np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(px.InputError, match="the noise index is 0"):
        px.noise_gain(still, policy, n_agents=3, runs=2)


def test_a_stationary_game_needs_rounds(f16):
    policy = px.MeanFieldFeedback(np.zeros((1, 3)), np.zeros((1, 3)))
    with pytest.raises(px.InputError, match="rounds is missing"):
        px.noise_gain(f16, policy, n_agents=3, runs=2)


def coverage(two_by_two_game, keys: int, runs: int) -> float:
    """Share of keys whose 90 % interval holds the exact E J / E ϖ."""
    saddle = px.solve(two_by_two_game, 3.0, 5)
    policy = px.MeanFieldFeedback(saddle.K1, saddle.L1)
    many = px.noise_gain(two_by_two_game, policy, n_agents=5, runs=200_000, key=999)
    hits = 0
    for key in range(keys):
        found = px.noise_gain(
            two_by_two_game, policy, n_agents=5, runs=runs, key=key, confidence=0.9
        )
        hits += found.low <= many.ratio <= found.high
    return hits / keys


@pytest.mark.slow
def test_the_interval_covers_as_often_as_it_says():
    """Binomial test: 400 keys at 90 % hold the ratio 360 ± 6 times; four deviations are allowed."""
    game = px.scenario("two-by-two").game
    share = coverage(game, keys=400, runs=300)
    print(f"coverage of the 90 % interval over 400 keys: {share:.3f}")
    assert abs(share - 0.9) < 4 * np.sqrt(0.9 * 0.1 / 400)


def test_the_interval_is_that_of_a_ratio_and_not_of_its_parts():
    """Bootstrap: cost and index move together, so the ratio's spread is not the cost's."""
    game = px.scenario("two-by-two").game
    saddle = px.solve(game, 3.0, 5)
    policy = px.MeanFieldFeedback(saddle.K1, saddle.L1)
    noise = px.MeanFieldNoise(game.noise.Sigma, game.noise.Sigma_bar)
    calm = px.RobustGame(game.system, game.cost, noise, 10)
    found = px.noise_gain(calm, policy, n_agents=5, runs=500, key=3)
    runs = px.simulate(
        calm.system, policy, None, calm.cost, 10, 3, n_agents=5, noise=noise, runs=500
    )
    rng = np.random.default_rng(0)
    picks = rng.integers(0, 500, size=(4000, 500))
    ratios = runs.cost[picks].mean(axis=1) / runs.noise_index[picks].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    assert found.high - found.low == pytest.approx(high - low, rel=0.1)
