"""The exact worst case of a fixed controller, by routes that share nothing."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from _oracles import random_game
from hypothesis import given, settings
from hypothesis import strategies as st
from populations import cost_matrix, play, spread

import phalanx as px
from phalanx.evaluation import _induced

SEEDS = st.integers(0, 2**32 - 1)


def some_gains(game: px.RobustGame, rng: np.random.Generator, varying: bool) -> tuple:
    """Any gains at all, not those of an optimum."""
    shape = (game.system.control_size, game.system.state_size)
    shape = (int(game.horizon), *shape) if varying else shape
    return 0.4 * rng.normal(size=shape), 0.4 * rng.normal(size=shape)


def largest(H: np.ndarray, E: np.ndarray) -> float:
    """sup dᵀHd / dᵀEd."""
    return float(scipy.linalg.eigh(H, E, eigvals_only=True)[-1])


# --- finite horizon: three routes ---------------------------------------------------------------


@settings(max_examples=50)
@given(
    seed=SEEDS, T=st.integers(1, 5), N=st.integers(1, 4), varying=st.booleans(), own=st.booleans()
)
def test_bisection_agrees_with_the_whole_population_written_out(seed, T, N, varying, own):
    """The N·m-state closed loop as one matrix, without the split."""
    rng = np.random.default_rng(seed)
    game = random_game(rng, T=T, varying=varying)
    K, L = some_gains(game, rng, own)
    expected = largest(*cost_matrix(game, K, L, N))
    assert px.induced_gain(game, K, L, N).gain == pytest.approx(expected, rel=1e-9)


@settings(max_examples=40)
@given(seed=SEEDS, T=st.integers(1, 8), N=st.sampled_from([1, 2, np.inf]), varying=st.booleans())
def test_bisection_agrees_with_the_singular_values(seed, T, N, varying):
    rng = np.random.default_rng(seed)
    game = random_game(rng, T=T, varying=varying)
    K, L = some_gains(game, rng, varying)
    worst = px.worst_disturbance(game, K, L, N)
    assert px.induced_gain(game, K, L, N).gain == pytest.approx(worst.gain, rel=1e-9)


@settings(max_examples=25)
@given(seed=SEEDS, T=st.integers(2, 20), varying=st.booleans())
def test_lanczos_agrees_with_the_singular_values(seed, T, varying):
    rng = np.random.default_rng(seed)
    game = random_game(rng, T=T, varying=varying)
    K, L = some_gains(game, rng, varying)
    dense = px.worst_disturbance(game, K, L)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_induced, "DENSE_UP_TO", 0)
        lanczos = px.worst_disturbance(game, K, L)
    assert (lanczos.gain, lanczos.through) == (pytest.approx(dense.gain, rel=1e-9), dense.through)


@settings(max_examples=30)
@given(seed=SEEDS, T=st.integers(1, 3), N=st.integers(1, 3))
def test_no_random_disturbance_exceeds_it(seed, T, N):
    rng = np.random.default_rng(seed)
    game = random_game(rng, T=T)
    K, L = some_gains(game, rng, False)
    gain = px.induced_gain(game, K, L, N).gain
    for _ in range(20):
        cost, energy = play(game, K, L, rng.normal(size=(T, N, game.system.disturbance_size)))
        assert cost <= gain * energy * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_search_for_the_worst_ends_there(seed):
    rng = np.random.default_rng(seed)
    game = random_game(rng, m=2, p=1, q=1, T=2)
    K, L = some_gains(game, rng, False)
    gain = px.induced_gain(game, K, L, 2).gain

    def less(d: np.ndarray) -> float:
        cost, energy = play(game, K, L, d.reshape(2, 2, 1))
        return -cost / energy

    found = max(-scipy.optimize.minimize(less, rng.normal(size=4), tol=1e-12).fun for _ in range(4))
    assert found == pytest.approx(gain, rel=1e-6)
    assert found <= gain * (1 + 1e-9)


def test_one_agent_has_no_deviations():
    game = px.RobustGame(
        px.MeanFieldSystem(A=1.2, A_bar=-1.1, B=1.0), px.MeanFieldCost(Q=1.0), horizon=5
    )
    K = L = np.zeros((1, 1))
    alone, two = (px.induced_gain(game, K, L, N) for N in (1, 2))
    assert (alone.gain, alone.deviation) == (alone.mean, 0.0)
    assert two.gain == two.deviation > two.mean == alone.mean


def test_attenuation_is_its_square_root(two_by_two):
    K = np.zeros((2, 2))
    found = px.induced_gain(two_by_two, K, K)
    assert found.attenuation**2 == pytest.approx(found.gain, rel=1e-14)


def test_a_cost_that_sees_nothing_amplifies_nothing():
    game = px.RobustGame(px.MeanFieldSystem(A=0.5, B=1.0), px.MeanFieldCost(Q=0.0), horizon=4)
    K = np.zeros((1, 1))
    assert px.induced_gain(game, K, K).gain == 0.0


# --- under the certified gains ------------------------------------------------------------------


@settings(max_examples=60)
@given(
    seed=SEEDS,
    T=st.one_of(st.integers(1, 8), st.just(np.inf)),
    N=st.sampled_from([1, 3, np.inf]),
    factor=st.sampled_from([1 + 1e-6, 1.01, 1.3, 5.0]),
    varying=st.booleans(),
)
def test_the_saddle_gains_keep_it_below_gamma_squared(seed, T, N, factor, varying):
    game = random_game(np.random.default_rng(seed), T=T, varying=varying and np.isfinite(T))
    levels = px.attenuation_levels(game, np.inf)
    gamma = factor * levels.saddle
    saddle = px.solve(game, gamma, throw=True)
    found = px.induced_gain(game, saddle.K1, saddle.L1, N)
    assert found.gain <= gamma**2 * (1 + 1e-9)


@pytest.mark.parametrize("gamma", [1.8, 2.0, 3.0, 10.0])
def test_the_reference_case_keeps_its_promise(two_by_two, gamma):
    saddle = px.solve(two_by_two, gamma)
    assert px.induced_gain(two_by_two, saddle.K1, saddle.L1).gain <= gamma**2


def test_right_above_the_level_the_promise_is_tight(two_by_two):
    level = px.attenuation_levels(two_by_two).saddle
    saddle = px.solve(two_by_two, level * (1 + 1e-9))
    found = px.induced_gain(two_by_two, saddle.K1, saddle.L1)
    assert found.gain == pytest.approx(level**2, rel=1e-6)


def test_no_controller_gets_below_the_saddle_level(two_by_two):
    level = px.attenuation_levels(two_by_two).saddle
    for make in (px.baselines.lqr, px.baselines.per_agent, px.baselines.idle):
        gains = make(two_by_two)
        assert px.induced_gain(two_by_two, gains.K, gains.L).gain >= level**2 * (1 - 1e-9)


# --- infinite horizon ---------------------------------------------------------------------------


def stable_world(seed: int) -> tuple[px.RobustGame, np.ndarray, np.ndarray]:
    """A stationary game and gains that stabilise it: those of an LQR, spoilt a little."""
    rng = np.random.default_rng(seed)
    game = random_game(rng, m=3, p=2, q=2, T=np.inf)
    c = game.cost  # the last state costs nothing: how a long horizon ends is then no matter
    cost = px.MeanFieldCost(c.Q, c.Q_bar, c.R, c.R_bar, Q_T=0.0, Q_bar_T=0.0)
    game = px.RobustGame(game.system, cost)
    gains = px.baselines.lqr(game)
    return game, 1.05 * gains.K, 0.95 * gains.L


def peak(A: np.ndarray, D: np.ndarray, weight: np.ndarray) -> float:
    """max over ω of σ_max² of C(e^{iω}I − A)⁻¹D with CᵀC = weight."""
    n = len(A)
    C = scipy.linalg.sqrtm(weight).real

    def size(omega: float) -> float:
        response = C @ np.linalg.solve(np.exp(1j * omega) * np.eye(n) - A, D)
        return float(np.linalg.norm(response, 2) ** 2)

    grid = np.linspace(0, np.pi, 2001)
    sizes = [size(omega) for omega in grid]
    k = int(np.argmax(sizes))
    around = (grid[max(k - 1, 0)], grid[min(k + 1, 2000)])
    refined = scipy.optimize.minimize_scalar(
        lambda omega: -size(omega), bounds=around, method="bounded", options={"xatol": 1e-12}
    )
    return max(sizes[k], -refined.fun)


@pytest.mark.parametrize("seed", range(6))
def test_the_stationary_gain_is_the_peak_of_the_frequency_response(seed):
    game, K, L = stable_world(seed)
    s, c = game.system, game.cost
    found = px.induced_gain(game, K, L)
    deviation = peak(s.A - s.B @ K, s.D, c.Q + K.T @ c.R @ K)
    B = s.B + s.B_bar
    mean = peak(s.A + s.A_bar - B @ L, s.D + s.D_bar, c.Q_bar + L.T @ c.R_bar @ L)
    assert found.deviation == pytest.approx(deviation, rel=1e-8)
    assert found.mean == pytest.approx(mean, rel=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_the_stationary_gain_is_approached_from_below_as_the_horizon_grows(seed):
    game, K, L = stable_world(seed)
    stationary = px.induced_gain(game, K, L).gain
    finite = [
        px.induced_gain(px.RobustGame(game.system, game.cost, horizon=T), K, L).gain
        for T in (10, 50, 250)
    ]
    assert finite[0] < finite[1] <= finite[2] <= stationary * (1 + 1e-12)
    assert finite[2] == pytest.approx(stationary, rel=2e-3)


def test_the_f16_gains_keep_the_promise(f16):
    saddle = px.solve(f16, 1.0)
    assert px.induced_gain(f16, saddle.K1, saddle.L1).gain <= 1.0


@pytest.mark.parametrize("A", [1.2, -1.2, 1.0])
def test_an_unstable_loop_amplifies_without_bound(A):
    game = px.RobustGame(px.MeanFieldSystem(A=A, B=1.0), px.MeanFieldCost(Q=1.0))
    K = np.zeros((1, 1))
    assert px.induced_gain(game, K, K).gain == np.inf


def test_an_unstable_mean_alone_is_enough():
    game = px.RobustGame(px.MeanFieldSystem(A=0.5, A_bar=1.0, B=1.0), px.MeanFieldCost(Q=1.0))
    K = np.zeros((1, 1))
    found = px.induced_gain(game, K, K)
    assert found.mean == np.inf
    assert found.deviation == pytest.approx(4.0, rel=1e-9)  # 1/(1−½)²


def test_over_a_finite_horizon_an_unstable_loop_has_a_finite_gain():
    game = px.RobustGame(px.MeanFieldSystem(A=1.2, B=1.0), px.MeanFieldCost(Q=1.0), horizon=30)
    K = np.zeros((1, 1))
    assert 1e4 < px.induced_gain(game, K, K).gain < np.inf


# --- the disturbance that attains it ------------------------------------------------------------


def coupled(sign: float) -> px.RobustGame:
    """+1: the mean is the weak side; −1: the deviations are."""
    system = px.MeanFieldSystem(
        A=[[0.7, 0.3], [0.0, 0.6]], A_bar=0.25 * sign, B=[[0.0], [1.0]], D=[[1.0], [0.5]]
    )
    return px.RobustGame(system, px.MeanFieldCost(Q=1.0), horizon=7)


@pytest.mark.parametrize("N", [2, 3, 6, 7])
@pytest.mark.parametrize(("sign", "through"), [(1, "mean"), (-1, "deviation")])
def test_replayed_on_the_population_it_costs_exactly_what_it_says(sign, through, N):
    game = coupled(sign)
    K, L = some_gains(game, np.random.default_rng(0), True)
    worst = px.worst_disturbance(game, K, L, N)
    assert worst.through == through
    d = spread(3.0 * worst.signal, through, N)
    cost, energy = play(game, K, L, d)
    assert energy == pytest.approx(9.0, rel=1e-12)
    assert cost == pytest.approx(worst.gain * energy, rel=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_simulator_charges_the_same(sign):
    game, N = coupled(sign), 7
    K, L = some_gains(game, np.random.default_rng(0), True)
    worst = px.worst_disturbance(game, K, L, N)
    d = spread(worst.signal, worst.through, N)
    run = px.simulate(
        game.system,
        px.MeanFieldFeedback(K, L),
        px.Replay(idiosyncratic=d.swapaxes(1, 2)),
        game.cost,
        7,
        n_agents=N,
        record="totals",
    )
    assert run.disturbance_energy == pytest.approx(1.0, rel=1e-12)
    assert run.cost == pytest.approx(worst.gain, rel=1e-12)


@given(seed=SEEDS, T=st.integers(1, 6), dense=st.booleans())
def test_its_signal_has_unit_energy(seed, T, dense):
    rng = np.random.default_rng(seed)
    game = random_game(rng, q=2, T=T)
    with pytest.MonkeyPatch.context() as patch:
        if not dense and T > 1:
            patch.setattr(_induced, "DENSE_UP_TO", 0)
        worst = px.worst_disturbance(game, *some_gains(game, rng, False))
    assert worst.signal.shape == (T, 2)
    assert np.sum(worst.signal**2) == pytest.approx(1.0, rel=1e-12)


def test_one_agent_is_attacked_through_the_mean():
    K = np.zeros((1, 2))
    assert px.worst_disturbance(coupled(-1), K, K, 1).through == "mean"


def test_in_the_stationary_game_longer_attacks_come_closer_to_the_gain():
    game, K, L = stable_world(1)
    exact = px.induced_gain(game, K, L).gain
    found = [px.worst_disturbance(game, K, L, rounds=T).gain for T in (2, 8, 32, 100)]
    assert all(a <= b * (1 + 1e-12) for a, b in zip(found, [*found[1:], exact], strict=True))
    assert found[-1] == pytest.approx(exact, rel=2e-3)
    assert found[0] < 0.9 * exact


# --- what is refused ----------------------------------------------------------------------------


def test_a_stationary_attack_needs_a_length(f16):
    K = np.zeros((1, 3))
    with pytest.raises(px.InputError, match="rounds is missing: a stationary game"):
        px.worst_disturbance(f16, K, K)


@pytest.mark.parametrize("measure", [px.induced_gain, px.worst_disturbance])
@pytest.mark.parametrize(
    ("K", "L", "sentence"),
    [
        (np.zeros((2, 3)), np.zeros((2, 2)), r"K has shape \(2, 3\) and must have shape \(2, 2\)"),
        (np.zeros((2, 2)), np.zeros(2), r"L has shape \(2,\) and must have shape \(2, 2\)"),
        (np.zeros((9, 2, 2)), np.zeros((2, 2)), "K is given for 9 stages, but the horizon is 10"),
        (np.zeros((2, 2)), np.full((2, 2), np.nan), "L must be finite"),
    ],
)
def test_gains_that_do_not_fit(two_by_two, measure, K, L, sentence):
    with pytest.raises(px.InputError, match=sentence):
        measure(two_by_two, K, L)


@pytest.mark.parametrize("measure", [px.induced_gain, px.worst_disturbance])
@pytest.mark.parametrize("N", [0, 1.5, -1])
def test_a_number_of_agents_that_is_none(two_by_two, measure, N):
    K = np.zeros((2, 2))
    with pytest.raises(px.InputError, match="n_agents must be at least 1 and whole"):
        measure(two_by_two, K, K, N)


def test_no_stationary_attack_exceeds_the_gain_whatever_q_t_says():
    game = px.RobustGame(px.MeanFieldSystem(A=0.9, B=1.0), px.MeanFieldCost(Q=1.0, Q_T=50.0))
    saddle = px.solve(game, 2.0)
    exact = px.induced_gain(game, saddle.K1, saddle.L1).gain
    worst = px.worst_disturbance(game, saddle.K1, saddle.L1, rounds=50).gain
    assert worst <= exact * (1 + 1e-9)


@pytest.mark.parametrize("rounds", [0, -1, 2.5])
def test_an_attack_lasts_a_whole_number_of_rounds(f16, rounds):
    K = np.zeros((1, 3))
    with pytest.raises(px.InputError, match="rounds"):
        px.worst_disturbance(f16, K, K, rounds=rounds)


def test_a_finite_games_attack_lasts_its_horizon(two_by_two):
    saddle = px.solve(two_by_two, 3.0)
    with pytest.raises(px.InputError, match="rounds"):
        px.worst_disturbance(two_by_two, saddle.K1, saddle.L1, rounds=5)
