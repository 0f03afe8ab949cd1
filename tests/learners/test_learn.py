"""`learn` from end to end: the saddle point of `px.solve`, which the learner never sees.

Runs are short (T = 2 or 3) except where the reference game's ten stages are the point.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learning_worlds import nash, random_start, shortened, small_game

import phalanx as px
from phalanx.learners import JointGains, LawOracle

GAMMA = 3.0


@pytest.fixture(scope="module")
def short(two_by_two):
    """The reference game over two stages."""
    return shortened(two_by_two, 2)


@pytest.fixture(scope="module")
def fast(two_by_two):
    return px.learn(two_by_two, GAMMA, key=1)


@pytest.fixture(scope="module")
def rgda(short):
    return px.learn(short, GAMMA, "rgda", iterations=100, batch=500, key=2)


def all_gains(learned) -> JointGains:
    return JointGains.of(learned.K1, learned.K2, learned.L1, learned.L2)


def distance_by_stage(game, learned) -> np.ndarray:
    pairs = zip(all_gains(learned), nash(game, GAMMA), strict=True)
    return np.sqrt(sum(((a - b) ** 2).sum(axis=(1, 2)) for a, b in pairs))


# --- what the presets reach ------------------------------------------------------------------------


def test_e_rgda_reaches_nash(two_by_two):
    learned = px.learn(two_by_two, GAMMA, "e-rgda")
    assert distance_by_stage(two_by_two, learned).max() < 1e-6
    assert learned.outcome.status == "solved"


def test_fast_from_exact_costs_is_nash_to_rounding(two_by_two):
    learned = px.learn(two_by_two, GAMMA, "fast", oracle="exact")
    assert distance_by_stage(two_by_two, learned).max() < 1e-9


def test_fast_from_rollouts_with_noise_in_pairs_is_nash_to_rounding(two_by_two, fast):
    """A quadratic without noise is found exactly, however few rollouts there are."""
    assert distance_by_stage(two_by_two, fast).max() < 1e-6
    assert fast.outcome.status == "solved"
    assert fast.rollouts < 45_000


def test_rgda_comes_nearer(short, rgda):
    """Stage by stage, from the first iterate to the last; at the end within its own estimate's size."""
    target = nash(short, GAMMA)
    for t in (0, 1):
        both = np.concatenate([target.theta1[t], target.theta2[t]])
        at = rgda.iterates.gains[rgda.iterates.stage == t][:, 0]
        gap = np.linalg.norm(at - both, axis=(1, 2))
        assert gap[-1] < 0.25 * gap[0]
        assert gap[len(gap) // 2 :].mean() < gap[: len(gap) // 2].mean()
    assert rgda.nash_gap == pytest.approx(rgda.estimated_gap, rel=2)


def test_e_ddpg_reaches_nash_where_it_converges(short):
    learned = px.learn(short, GAMMA, "e-ddpg")
    assert learned.outcome.status == "solved"
    assert distance_by_stage(short, learned).max() < 1e-4
    assert learned.estimated_gap == pytest.approx(learned.nash_gap, rel=0.5)


@pytest.mark.parametrize(
    "update",
    [
        "newton",
        *(
            pytest.param(u, marks=pytest.mark.slow)
            for u in ("alternating", "extragradient", "optimistic")
        ),
    ],
)
def test_other_updates_learn_from_two_points(short, update):
    method = px.Method("two_point", update, iterations=60, batch=1000)
    learned = px.learn(short, GAMMA, method, key=3)
    assert learned.nash_gap < 0.15 * np.sqrt(sum((X**2).sum() for X in nash(short, GAMMA)))


@pytest.mark.parametrize("oracle", ["population", "law"])
def test_the_same_gains_are_learned_from_explicit_agents(short, oracle):
    learned = px.learn(short, GAMMA, oracle=oracle, n_agents=10, batch=600, key=4)
    assert learned.nash_gap < 1e-6


def test_float32_rollouts_are_enough(short):
    learned = px.learn(short, GAMMA, precision="float32", key=5)
    assert learned.nash_gap < 1e-3
    assert learned.K1.dtype == np.float64


def test_games_with_other_sizes_and_first_states_are_learned():
    game, start = small_game(50), random_start(np.random.default_rng(90), 2)
    gamma = 2 * float(px.attenuation_levels(game).saddle)
    learned = px.learn(game, gamma, Sigma_y=start.y, Sigma_z=start.z, key=6)
    assert learned.K1.shape == (3, 1, 2)
    assert learned.L2.shape == (3, 2, 2)
    pairs = zip(all_gains(learned), nash(game, gamma), strict=True)
    assert max(np.abs(a - b).max() for a, b in pairs) < 1e-6


@pytest.mark.slow
def test_the_average_of_the_second_half_scatters_less(short):
    """Root mean square over 6 keys, at a constant step."""
    gaps = []
    for average in (False, True):
        method = px.Method("two_point", iterations=100, batch=100, decay=False, average=average)
        runs = [px.learn(short, GAMMA, method, key=k).nash_gap for k in range(6)]
        gaps.append(np.sqrt(np.mean(np.square(runs))))
    assert gaps[1] < 0.7 * gaps[0]


# --- what it says about itself ---------------------------------------------------------------------


def test_what_is_reported_is_what_is_so(two_by_two, short, fast, rgda):
    for game, learned in ((two_by_two, fast), (short, rgda)):
        saddle = px.solve(game, GAMMA)
        by_hand = distance_by_stage(game, learned)
        np.testing.assert_allclose(learned.nash_gap_by_stage, by_hand, rtol=1e-12)
        assert learned.nash_gap == pytest.approx(np.linalg.norm(by_hand), rel=1e-12)
        gain = px.induced_gain(game, learned.K1, learned.L1).gain
        assert learned.attenuation == pytest.approx(np.sqrt(gain), rel=1e-12)
        np.testing.assert_array_equal(learned.nash.K1, saddle.K1)
        assert learned.gamma == GAMMA
        assert learned.iterates.rollouts[-1] == learned.rollouts
        assert (np.diff(learned.iterates.rollouts) >= 0).all()
    assert fast.attenuation < GAMMA


def test_the_policy_plays_the_learned_gains(fast):
    np.testing.assert_array_equal(fast.policy.K, fast.K1)
    np.testing.assert_array_equal(fast.policy.L, fast.L1)


def test_strong_convexity_and_lipschitz_are_theorem_4s(short):
    """μ from the least eigenvalues of R + BᵀPB and γ²I − DᵀPD, at the last stage P = Q_T."""
    learned = px.learn(short, GAMMA, "e-rgda")
    s, c = short.system, short.cost
    least = []
    for B, D, Q_T in ((s.B, s.D, c.Q_T), (s.B + s.B_bar, s.D + s.D_bar, c.Q_bar_T)):
        least += [
            np.linalg.eigvalsh(np.eye(2) + B.T @ Q_T @ B)[0],
            np.linalg.eigvalsh(GAMMA**2 * np.eye(2) - D.T @ Q_T @ D)[0],
        ]
    assert learned.strong_convexity[1] == pytest.approx(2 * min(least), rel=1e-8)
    assert (learned.lipschitz > learned.strong_convexity).all()


@pytest.mark.parametrize(
    "estimator", ["regression", pytest.param("two_point", marks=pytest.mark.slow)]
)
def test_the_estimated_gap_has_the_size_of_the_gap(short, estimator):
    """Root mean squares over 12 keys, of ordinary draws, within a factor of 2."""
    method = px.Method(estimator, iterations=2 if estimator == "regression" else 100, batch=100)
    runs = [px.learn(short, GAMMA, method, antithetic=False, key=k) for k in range(12)]
    rms = lambda name: np.sqrt(np.mean([getattr(r, name) ** 2 for r in runs]))  # noqa: E731
    assert 0.5 < rms("nash_gap") / rms("estimated_gap") < 2


class Counting:
    """Passes everything on to an oracle, and counts its rollouts."""

    def __init__(self, inner):
        self.inner, self.rollouts, self.traceable = inner, 0, False
        self.sizes, self.Sigma_y, self.Sigma_z = inner.sizes, inner.Sigma_y, inner.Sigma_z
        self._costs = eqx.filter_jit(inner.costs)

    def prepare(self, gains, stage):
        return None

    def draws(self, key, draws, stage):
        return self.inner.draws(key, draws, stage)

    def costs(self, shared, gains, offset, drawn, stage):
        cost, energy = self._costs(shared, gains, offset, drawn, stage)
        self.rollouts += cost.size
        return cost, energy


@pytest.mark.parametrize(
    "method",
    [
        px.Method("regression", iterations=2, batch=100),
        px.Method("one_point", iterations=3, batch=33, probe=70),
        px.Method("two_point", "extragradient", iterations=2, batch=33, probe=70),
        px.Method("coordinate", "alternating", iterations=2, batch=5, step_size=1e-3, ball=9.0),
        px.Method("two_point", schedule="all_stages", iterations=3, batch=20),
    ],
    ids=lambda m: f"{m.estimator}-{m.update}-{m.schedule}",
)
def test_every_rollout_is_counted(method):
    oracle = Counting(LawOracle(small_game(51, 1, 1, 1, T=2)))
    learned = px.learn(oracle, 5.0, method, key=7)
    assert learned.rollouts == oracle.rollouts > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "e-rgda", "step_size": 0.05, "ball": 9.0},
        {"method": "e-rgda"},
        {"method": "e-ddpg"},
        {"method": "fast", "oracle": "exact"},
    ],
    ids=str,
)
def test_expected_costs_in_closed_form_are_no_rollouts(short, settings):
    """Whether gradients, step sizes or whole quadratics are taken from them."""
    assert px.learn(short, GAMMA, iterations=5, **settings).rollouts == 0


def test_progress_goes_from_the_last_stage_to_the_first(short):
    seen = []
    learned = px.learn(short, GAMMA, "e-rgda", progress=seen.append)
    done = [step.done for step in seen]
    assert done == sorted(done)
    assert done[-1] == 1.0
    assert seen[-1].gap == pytest.approx(learned.nash_gap)
    assert seen[-1].rollouts == learned.rollouts
    stages = [step.stage for step in seen]
    assert stages == sorted(stages, reverse=True)


def test_the_same_key_learns_the_same_bits_and_another_key_others(short, rgda):
    settings = {"iterations": 100, "batch": 500}
    again, other = (px.learn(short, GAMMA, "rgda", key=k, **settings) for k in (2, 3))
    np.testing.assert_array_equal(rgda.K1, again.K1)
    np.testing.assert_array_equal(rgda.L2, again.L2)
    assert (rgda.K1 != other.K1).all()


@pytest.mark.parametrize("x64", [False, True])
def test_gains_are_the_same_bits_whatever_jax_computes_in(two_by_two, fast, x64):
    with jax.enable_x64(x64):
        again = px.learn(two_by_two, GAMMA, key=1)
    np.testing.assert_array_equal(again.K1, fast.K1)


# --- outcomes --------------------------------------------------------------------------------------


def test_a_budget_that_is_spent_says_how_far_it_came_and_what_to_give(short):
    outcome = px.learn(short, GAMMA, "e-rgda", iterations=3).outcome
    assert outcome.status == "budget_spent"
    assert "at stage" in outcome.sentence
    assert "The budget of 3 iterations of each stage is spent" in outcome.sentence
    assert outcome.mend == "Give more iterations."


def test_a_budget_of_rollouts_that_is_spent_counts_them(rgda):
    outcome = rgda.outcome
    assert outcome.status == "budget_spent"
    assert f"The budget of {rgda.rollouts} rollouts is spent" in outcome.sentence
    assert outcome.mend == "Give more iterations or a larger batch."


def test_a_ball_that_nash_does_not_fit_in_is_named(short):
    learned = px.learn(short, GAMMA, "e-rgda", ball=0.05, iterations=50)
    assert learned.outcome.status == "projection_active"
    assert "stage" in learned.outcome.sentence
    assert "0.05" in learned.outcome.sentence
    assert "larger ball" in learned.outcome.mend
    for player in all_gains(learned):
        assert np.linalg.norm(player, axis=(1, 2)).max() <= 0.05 * (1 + 1e-12)
    assert np.nanmax(learned.projected) == 1


def test_steps_that_are_far_too_long_diverge_and_say_where(short):
    learned = px.learn(short, GAMMA, "e-rgda", step_size=1e3, ball=1e300, iterations=400)
    assert learned.outcome.status == "diverged"
    assert "at stage 1" in learned.outcome.sentence
    assert "1e+03" in learned.outcome.sentence
    assert "smaller step size" in learned.outcome.mend
    assert learned.nash_gap is None
    assert learned.attenuation is None


def test_all_stages_at_once_diverge_all_at_once(short):
    learned = px.learn(short, GAMMA, "e-ddpg", step_size=1e3, ball=1e300, iterations=400)
    assert learned.outcome.status == "diverged"
    assert "with all stages at once" in learned.outcome.sentence


def test_below_the_level_costs_show_no_saddle_point(two_by_two):
    """γ < γ_saddle = 1.795…; the stage that fails is the one that `solve` names."""
    learned = px.learn(two_by_two, 1.5)
    margins = px.solve(two_by_two, 1.5)
    first = int(np.flatnonzero(np.minimum(margins.margin_mean, margins.margin_deviation) <= 0)[-1])
    assert learned.outcome.status == "infeasible"
    assert f"At stage {first} " in learned.outcome.sentence
    assert "Raise gamma" in learned.outcome.mend
    assert learned.nash is None
    assert learned.nash_gap is None


@pytest.mark.parametrize("method", [pytest.param("rgda", marks=pytest.mark.slow), "e-rgda"])
def test_below_the_level_descent_does_not_claim_success(short, method):
    gamma = 0.8 * float(px.attenuation_levels(short).saddle)
    learned = px.learn(short, gamma, method, iterations=60, batch=200)
    assert not learned.outcome.ok


@pytest.mark.parametrize("method", ["fast", "rgda"])
def test_a_simulator_that_blows_up_is_an_outcome(short, method):
    class Blown(Counting):
        def costs(self, shared, gains, offset, drawn, stage):
            cost, energy = super().costs(shared, gains, offset, drawn, stage)
            return cost * jnp.nan, energy

    learned = px.learn(Blown(LawOracle(short)), GAMMA, method, iterations=1, batch=20)
    assert learned.outcome.status == "diverged"


# --- bad input -------------------------------------------------------------------------------------


BAD = [
    ({"gamma": 0.0}, "gamma"),
    ({"gamma": -1.0}, "gamma"),
    ({"gamma": float("nan")}, "gamma"),
    ({"gamma": float("inf")}, "gamma"),
    ({"gamma": "much"}, "gamma"),
    ({"gamma": [3.0, 4.0]}, "gamma"),
    ({"method": "fastest"}, "method"),
    ({"method": None}, "method"),
    ({"method": 3}, "method"),
    ({"oracle": "model"}, "oracle"),
    ({"oracle": 3}, "oracle"),
    ({"method": "e-rgda", "oracle": "law"}, "gradients"),
    ({"n_agents": 0}, "n_agents"),
    ({"n_agents": 1.5}, "n_agents"),
    ({"n_agents": "ten"}, "n_agents"),
    ({"n_agents": float("nan")}, "n_agents"),
    ({"n_agents": 2.5, "oracle": "population"}, "n_agents"),
    ({"n_agents": 1, "oracle": "population"}, "n_agents"),
    ({"n_agents": float("nan"), "oracle": "population"}, "n_agents"),
    ({"key": -1}, "key"),
    ({"key": 1.0}, "key"),
    ({"key": True}, "key"),
    ({"key": 2**63}, "key"),
    ({"iterations": 0}, "iterations"),
    ({"batch": -5}, "batch"),
    ({"radius": 0.0}, "radius"),
    ({"radius": [1.0]}, "radius"),
    ({"step_size": "large"}, "step_size"),
    ({"ball": float("inf")}, "ball"),
    ({"Sigma_y": 0.0}, "Sigma_y"),
    ({"Sigma_z": [[1.0]]}, "Sigma_z"),
    ({"precision": "float16"}, "precision"),
    ({"resume": True}, "state"),
    ({"Sigma_y": "a"}, "Sigma_y must hold numbers only"),
    ({"Sigma_y": np.ones((3, 1, 1)) * np.eye(2)}, "Sigma_y .* does not vary in time"),
    ({"step_size": np.array([0.1, 0.2])}, "step_size must be a positive number"),
    ({"step_size": 0.1}, "takes no steps"),
    ({"state": 3}, "state must be the path of a file, but it is 3"),
    ({"state": "nowhere/learner"}, "there is no folder nowhere to keep learner in"),
    ({"state": "."}, "state must be a file"),
    ({"save_every": "x"}, "save_every must be a number of seconds"),
    ({"save_every": float("nan")}, "save_every must be a number of seconds"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD, ids=str)
def test_bad_arguments_are_named(short, arguments, named):
    with pytest.raises(px.InputError, match=named):
        px.learn(short, **({"gamma": GAMMA} | arguments))


def test_a_stationary_game_is_refused(f16):
    with pytest.raises(px.InputError, match="finite horizon"):
        px.learn(f16, GAMMA)


def test_a_batch_of_games_is_refused(short):
    with pytest.raises(px.InputError, match="one game"):
        px.learn(px.RobustGame.stack([short, short]), GAMMA)


@pytest.mark.parametrize("thing", [None, 3, "game", object()], ids=["None", "3", "game", "object"])
def test_what_is_neither_game_nor_oracle_is_refused(thing):
    with pytest.raises(px.InputError, match="RobustGame or an oracle"):
        px.learn(thing, GAMMA)


def test_an_oracle_of_ones_own_takes_no_other_by_name(short):
    with pytest.raises(px.InputError, match="oracle of your own"):
        px.learn(LawOracle(short), GAMMA, oracle="law")


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ({"n_agents": 10}, "n_agents is the number of agents of a game"),
        ({"Sigma_y": 2.0}, r"Sigma_y belongs to the oracle.*CostOracle\(\.\.\., Sigma_y="),
        ({"Sigma_z": 1.0}, "Sigma_z belongs to the oracle"),
        ({"antithetic": True}, "antithetic is how the noise of a game is drawn"),
        ({"antithetic": False}, "antithetic is how"),
        ({"precision": "float32"}, "precision is that of a game's rollouts"),
    ],
    ids=str,
)
def test_what_is_meant_for_a_game_is_refused_beside_an_oracle(short, argument, sentence):
    with pytest.raises(px.InputError, match=f"{sentence}.*leave it out"):
        px.learn(LawOracle(short), GAMMA, **argument)


def test_whole_numbers_may_come_from_numpy(short):
    learned = px.learn(short, GAMMA, n_agents=np.int64(10), key=np.int64(3), batch=np.int64(100))
    assert learned.nash_gap < 1e-6
