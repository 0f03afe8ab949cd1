"""What a simulator of one's own may get wrong: each mistake ends in a sentence that says what to change."""

import importlib.util
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import simulators

import phalanx as px
from phalanx.learners import _pool

GAMMA, T, N = 3.0, 3, 6


def world(gains, start, rng, played=T, control=1.0, push=1.0, counted=1.0):
    """One rollout; `played` stages, and shares of control, disturbance and energy that are not left out."""
    x = rng.normal(size=(N, 1))
    x = (x - x.mean(axis=0)) * np.sqrt(N / (N - 1)) + rng.normal(size=1)
    cost = energy = 0.0
    for t in range(0 if start is None else start, played):
        x_bar = x.mean(axis=0)
        u = control * gains.control(t, x, x_bar)
        d = push * gains.disturbance(t, x, x_bar)
        cost += (np.sum(x**2) + np.sum(u**2)) / N
        energy += counted * np.sum(d**2) / N
        x = 0.9 * x + u + 0.5 * d + 0.1 * rng.normal(size=x.shape)
    return cost + np.sum(x**2) / N, energy


def learn(simulate, method="fast", form="each", **settings):
    oracle = px.CostOracle(simulate, T, 1, 1, form=form)
    return px.learn(oracle, GAMMA, method, **({"batch": 40, "iterations": 2} | settings))


def seeded(**shares):
    return lambda gains, start, seed: world(gains, start, np.random.default_rng(seed), **shares)


# --- costs from which nothing can be learned ---------------------------------------------------------

CONSTANT = {
    "one number": lambda gains, start, seed: (1.0, 1.0),
    "noise of the seed": lambda gains, start, seed: (np.random.default_rng(seed).normal(), 1.0),
    "fewer stages than the horizon": seeded(played=T - 1),
    "gains that are not played": seeded(control=0.0, push=0.0),
}


@pytest.mark.parametrize("method", ["fast", "rgda"])
@pytest.mark.parametrize("mistake", CONSTANT)
def test_costs_that_do_not_change_with_the_gains_are_not_converged(mistake, method):
    learned = learn(CONSTANT[mistake], method)
    assert learned.outcome.status == "infeasible"
    assert learned.outcome.sentence == (
        "The costs of stage 2 do not change with the gains: does the simulator play gains.control and gains.disturbance, "
        "from `start` to stage T−1 = 2?"
    )
    assert not learned.complete
    assert learned.estimated_gap is None


def test_all_stages_at_once_say_the_same():
    outcome = learn(CONSTANT["one number"], px.Method("two_point", schedule="all_stages")).outcome
    assert outcome.status == "infeasible"
    assert outcome.sentence.startswith("The costs do not change with the gains: does")


def test_all_stages_at_once_are_looked_at_one_by_one_at_the_end():
    method = px.Method("two_point", schedule="all_stages", probe=40)
    outcome = learn(seeded(played=T - 1), method, iterations=1).outcome
    assert outcome.sentence.startswith("The costs of stage 2 do not change with the gains")


def test_a_traced_simulator_that_plays_no_gains_is_told_so():
    def simulate(gains, start, key):
        return jax.random.normal(key) ** 2, 1.0

    assert "do not change with the gains" in learn(simulate, form="jax").outcome.sentence


def test_controls_that_are_not_played_are_told_from_disturbances():
    outcome = learn(seeded(control=0.0)).outcome
    assert outcome.status == "infeasible"
    assert "of stage 2 do not change with the control's gains" in outcome.sentence


@pytest.mark.parametrize("shares", [{"counted": 0.0}, {"push": 0.0}], ids=str)
def test_disturbances_that_spend_nothing_are_not_a_matter_of_gamma(shares):
    outcome = learn(seeded(**shares)).outcome
    assert outcome.status == "infeasible"
    assert "The disturbance spends no energy at stage 2" in outcome.sentence
    assert "gamma" not in outcome.text


def test_energy_that_is_the_same_whatever_is_played_is_told():
    def simulate(gains, start, seed):
        cost, _ = world(gains, start, np.random.default_rng(seed), push=0.0)
        return cost, 1.0

    sentence = learn(simulate).outcome.sentence
    assert "Costs and energies of stage 2 do not change with the disturbance's gains" in sentence


@pytest.mark.parametrize("method", ["fast", "rgda"])
def test_a_disturbance_that_moves_nothing_and_pays_is_learned(method):
    """Its gains are 0: an effect that is not there is no mistake."""

    def simulate(gains, start, seed):
        class Undisturbed:
            control = gains.control

            @staticmethod
            def disturbance(t, x, x_bar):
                return 0 * x

        cost, _ = world(Undisturbed, start, np.random.default_rng(seed))
        return cost, world(gains, start, np.random.default_rng(seed))[1]

    learned = learn(simulate, method, iterations=4 if method == "rgda" else 2)
    assert learned.outcome.status in ("solved", "budget_spent")


def test_zero_gains_that_are_right_are_told_without_a_share_of_their_size():
    """Nothing moves the next state, so nothing is worth playing."""

    def simulate(gains, start, seed):
        x = np.random.default_rng(seed).normal(size=(N, 1))
        cost = energy = 0.0
        for t in range(start, T):
            u, d = gains.control(t, x, x.mean(axis=0)), gains.disturbance(t, x, x.mean(axis=0))
            cost, energy = cost + np.sum(x**2 + u**2) / N, energy + np.sum(d**2) / N
        return cost, energy

    learned = learn(simulate)
    assert learned.outcome.ok
    assert np.abs(learned.K1).max() < 1e-10
    assert "e+" not in learned.outcome.sentence


# --- numbers that are none ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fast", "rgda"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((np.nan, 1.0), "a cost that is not finite (nan)"),
        ((np.inf, 1.0), "a cost that is not finite (inf)"),
        ((1.0, np.nan), "an energy that is not finite (nan)"),
        ((1.0, np.inf), "an energy that is not finite (inf)"),
    ],
    ids=str,
)
def test_what_is_not_finite_at_first_is_no_matter_of_steps(answer, words, method):
    outcome = learn(lambda *_: answer, method).outcome
    assert outcome.status == "diverged"
    assert outcome.sentence == f"The simulator returned {words} at stage 2, with the first gains."
    assert "step" not in outcome.text


def test_what_is_not_finite_later_names_its_stage():
    def simulate(gains, start, seed):
        cost, energy = world(gains, start, np.random.default_rng(seed))
        return (cost if start else np.nan), energy

    sentence = learn(simulate).outcome.sentence
    assert sentence == "The simulator returned a cost that is not finite (nan) at stage 0."


def test_what_is_not_finite_with_all_stages_at_once_is_told():
    method = px.Method("two_point", schedule="all_stages")
    outcome = learn(lambda *_: (np.nan, 1.0), method).outcome
    assert outcome.status == "diverged"
    assert "a cost that is not finite (nan), with the first gains" in outcome.sentence


def test_no_flag_of_the_command_line_is_named():
    """Outcomes are read in Python as well."""
    for method in ("fast", "rgda"):
        for simulate in (seeded(), *CONSTANT.values()):
            assert "--" not in learn(simulate, method).outcome.text


# --- seeds -------------------------------------------------------------------------------------------


def test_seeds_that_are_ignored_are_told():
    with pytest.raises(
        px.InputError, match="Different seeds cost exactly the same at stage 2: draw"
    ):
        learn(lambda gains, start, seed: world(gains, start, np.random.default_rng(7)))


def test_keys_that_are_ignored_are_told():
    def simulate(gains, start, key):
        return simulators.little_jax(gains, start, jax.random.key(1))

    with pytest.raises(px.InputError, match="Different seeds cost exactly the same at stage 1"):
        px.learn(px.CostOracle(simulate, 2, 1, 1, form="jax"), GAMMA, batch=40)


def test_seeds_that_do_not_repeat_are_told_where_it_matters():
    rng = np.random.default_rng(8)
    simulate = lambda gains, start, seed: world(gains, start, rng)  # noqa: E731
    for method in ("fast", "rgda"):
        with pytest.raises(
            px.InputError, match=r"The same seed and the same gains cost .* at stage 2"
        ):
            learn(simulate, method)
    given = {"step_size": 0.01, "ball": 5.0}
    assert learn(simulate, "rgda", **given).outcome.status == "budget_spent"


def test_the_rollouts_that_try_a_simulator_are_counted():
    calls = []

    def simulate(gains, start, seed):
        calls.append(seed)
        return world(gains, start, np.random.default_rng(seed))

    assert learn(simulate).rollouts == len(calls)
    calls.clear()
    assert learn(simulate, "rgda").rollouts == len(calls)


# --- answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n: (1.0, 1.0), "costs of shape () and energies of shape ()"),
        (lambda n: (np.ones(n), 1.0), "energies of shape ()"),
        (lambda n: (np.ones((n, 1)), np.ones((n, 1))), "costs of shape (8, 1)"),
        (lambda n: np.ones((n, 2)), "one array of shape (8, 2); give its transpose"),
        (lambda n: np.ones((2, 1)), "costs of shape (1,) and energies of shape (1,)"),
    ],
)
def test_a_batch_returns_a_number_for_each_rollout(answer, words):
    with pytest.raises(px.InputError) as refused:
        learn(lambda gains, start, seeds: answer(len(seeds)), form="batch")
    assert "two arrays of shape (8,), but it returned" in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize("form", ["each", "jax"])
@pytest.mark.parametrize(
    ("shape", "hint"),
    [((1, 1), r"write \.item\(\)"), ((1,), "write"), ((4,), 'form="batch" is for')],
)
def test_one_rollout_returns_numbers_without_axes(shape, hint, form):
    xp = jnp if form == "jax" else np
    with pytest.raises(px.InputError, match=rf"a cost of shape .*{hint}"):
        learn(lambda *_: (xp.ones(shape), xp.ones(shape)), form=form)


@pytest.mark.parametrize("form", ["each", "batch", "jax"])
def test_energy_below_zero_is_refused(form):
    little = getattr(simulators, f"little_{form}")

    def simulate(gains, start, seed):
        cost, energy = little(gains, start, seed)
        return cost, -energy

    with pytest.raises(
        px.InputError, match=r"an energy of at least 0, .* at stage 1 it returned -"
    ):
        px.learn(px.CostOracle(simulate, 2, 1, 1, form=form), GAMMA, batch=40)


# --- forms -------------------------------------------------------------------------------------------


def in_numpy(gains, start, key):
    x = np.random.default_rng(3).normal(size=(N, 1))
    return np.sum(np.asarray(gains.control(start, x, x.mean(axis=0)))), 1.0


def over_a_range(gains, start, key):
    return sum(jax.random.normal(key) for _ in range(start, T)), 1.0


@pytest.mark.parametrize("simulate", [in_numpy, over_a_range])
def test_what_cannot_be_traced_is_told_how_to_loop(simulate):
    with pytest.raises(px.InputError, match="could not be traced") as refused:
        learn(simulate, form="jax")
    assert '(form "jax": `start` is traced; use jax.lax.fori_loop(start, T, ...)' in str(
        refused.value
    )
    assert refused.value.__cause__ is not None


@pytest.mark.parametrize(("form", "one"), [("each", False), ("batch", True)])
def test_a_simulator_of_the_other_form_is_told_how_it_was_called(form, one):
    simulate = seeded() if one else lambda gains, start, seeds: (np.ones(len(seeds)),) * 2
    with pytest.raises((TypeError, px.InputError)) as raised:
        learn(simulate, form=form)
    said = str(raised.value) + "".join(getattr(raised.value, "__notes__", []))
    assert f'form "{form}"' in said or "of 8 rollouts" in said or "gains of 8 rollouts" in said


def test_a_start_that_is_none_is_told():
    def simulate(gains, start, seed):
        return sum(seeded()(gains, t, seed)[0] for t in range(start, T)), 1.0

    with pytest.raises(px.InputError, match="Write `0 if start is None else start`"):
        learn(simulate, px.Method("two_point", schedule="all_stages"))


# --- workers -----------------------------------------------------------------------------------------


def test_workers_need_a_function_that_can_be_imported():
    for simulate in (lambda *_: (1.0, 1.0), seeded()):
        with pytest.raises(px.InputError, match=r"other processes can import.*top of a module"):
            px.CostOracle(simulate, 2, 1, 1, workers=2)


def test_workers_that_die_are_a_sentence():
    """Whatever they died of, the guard is the first thing to look at."""
    pool = _pool.Pool(1)
    with pytest.raises(
        px.InputError, match=r'a worker process ended .*`if __name__ == "__main__":`'
    ):
        pool.map(sys_exit, [(3,)])
    assert pool.pool is None


def sys_exit(code):
    import os

    os._exit(code)


@pytest.mark.slow
def test_a_script_without_the_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    where = importlib.util.find_spec("simulators").origin
    script.write_text(
        f"import sys; sys.path.insert(0, {str(where.rpartition('/')[0])!r})\n"
        "import phalanx as px, simulators\n"
        "oracle = px.CostOracle(simulators.little_each, 2, 1, 1, workers=1)\n"
        "px.learn(oracle, 3.0, batch=40)\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "workers cannot start workers of their own" in ended.stderr
    assert "a worker process ended before it answered" in ended.stderr
