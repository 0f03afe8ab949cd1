"""The stream in a loop of our own: the scan's numbers, its state saved and restored, its sentences."""

import jax.numpy as jnp
import numpy as np
import pytest

import phalanx as px

n, H, T = 4, 3, 120
rng = np.random.default_rng(3)
A = rng.normal(size=(n, n)) / 4
INPUTS = [rng.normal(size=(n, 2)) / 2, rng.normal(size=(n, 2)) / 2]
GAINS = [rng.normal(size=(2, n)) / 20 for _ in INPUTS]
SYSTEM = px.LinearSystem(A, INPUTS)
W = rng.normal(size=(T, n))
SETTINGS = ("independent", "aggregated", "aggregated-agentwise")
TARGET = rng.normal(size=(T, n))
COSTS = {
    "quadratic": px.Quadratic(np.diag([1.0, 2.0, 0.0, 1.0]), 0.3),
    "tracking": px.Tracking(TARGET, 1.0, 0.1),
    "huber": px.Huber(0.5, 1.0, 0.2),
    "linear": px.LinearStage(TARGET, TARGET[:, :2]),
}


def learners(setting="independent", **settings):
    return px.team(SYSTEM, GAINS, setting, **({"memory": H, "step_size": 0.003} | settings))


def loop(streams, cost, rounds=range(T), x=None):
    """A loop that is not ours: NumPy, two controllers, the world moved by hand."""
    x, played = np.zeros(n) if x is None else x, []
    for t in rounds:
        u = [stream.act(x) for stream in streams]
        for i, stream in enumerate(streams):
            told = stream.learner.setting != "independent"
            stream.observe(cost, INPUTS[1 - i] @ u[1 - i] if told else None)
        x = A @ x + sum(B @ ui for B, ui in zip(INPUTS, u, strict=True)) + W[t]
        played.append(u)
    return np.array(played), x


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("update", ["gradient", "adaptive", "optimistic"])
def test_it_plays_what_the_scan_plays(setting, update):
    team = learners(setting, update=update, step_size={"initial": 0.02, "decay": "sqrt"})
    world = "independent" if setting == "independent" else "aggregated"
    run = px.simulate(SYSTEM, team, px.Replay(W), COSTS["quadratic"], rounds=T, information=world)
    u, x = loop([px.StreamingController(one) for one in team], COSTS["quadratic"])
    scale = np.abs(run.u).max()
    np.testing.assert_allclose(u, run.u, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(x, run.x[-1], rtol=0, atol=1e-12 * np.abs(run.x).max())


@pytest.mark.parametrize("name", COSTS)
def test_with_every_stage_cost_and_a_ball_that_binds(name):
    team = learners(radius=0.05, decay=0.3, step_size=0.05)
    run = px.simulate(SYSTEM, team, px.Replay(W), COSTS[name], rounds=T)
    streams = [px.StreamingController(one) for one in team]
    u, _ = loop(streams, COSTS[name])
    np.testing.assert_allclose(u, run.u, rtol=0, atol=1e-12 * np.abs(run.u).max())
    for stream, state in zip(streams, run.states, strict=True):
        np.testing.assert_allclose(stream.M, state.M, rtol=0, atol=1e-13)


def test_a_callable_that_gives_slopes_is_a_cost():
    Q, R = COSTS["quadratic"].Q, float(COSTS["quadratic"].R)
    by_hand = loop(
        [px.StreamingController(one) for one in learners()],
        lambda x, u: (2 * Q @ x, 2 * R * u),
    )
    ours = loop([px.StreamingController(one) for one in learners()], COSTS["quadratic"])
    np.testing.assert_allclose(by_hand[0], ours[0], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("update", ["gradient", "adaptive", "optimistic"])
def test_saved_and_restored_in_the_middle_it_goes_on_to_the_same_bits(setting, update, tmp_path):
    team = learners(setting, update=update)
    whole, end = loop([px.StreamingController(one) for one in team], COSTS["quadratic"])
    streams = [px.StreamingController(one) for one in team]
    first, x = loop(streams, COSTS["quadratic"], range(50))
    for i, stream in enumerate(streams):
        stream.save(tmp_path / f"{i}.state")
    again = [
        px.StreamingController.load(tmp_path / f"{i}.state", one) for i, one in enumerate(team)
    ]
    second, x = loop(again, COSTS["quadratic"], range(50, T), x)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal(x, end)
    assert again[0].rounds == T


def test_it_may_be_saved_between_act_and_observe(tmp_path):
    one, other = (px.StreamingController(learners()[0]) for _ in range(2))
    for stream in (one, other):
        stream.act(np.ones(n))
    one.save(tmp_path / "s")
    one = px.StreamingController.load(tmp_path / "s", learners()[0])
    for stream in (one, other):
        stream.observe(px.Quadratic())
    np.testing.assert_array_equal(one.act(W[0]), other.act(W[0]))


def test_a_round_without_a_cost_teaches_nothing_but_is_remembered():
    stream = px.StreamingController(learners()[0])
    for t in range(3):
        stream.act(W[t])
    np.testing.assert_array_equal(stream.M, 0)
    assert np.any(stream.act(W[3]) != stream.act(W[3]) * 0)


def test_handing_out_what_it_learned_or_played_gives_nothing_away():
    stream = px.StreamingController(learners()[0])
    loop([stream, px.StreamingController(learners()[1])], px.Quadratic())
    stream.M[:] = 7.0
    assert not (stream.M == 7.0).any()


@pytest.mark.parametrize(
    ("misuse", "sentence"),
    [
        (lambda s: s.observe(px.Quadratic()), "observe belongs after act, once a round"),
        (lambda s: s.act([1.0]), r"x has shape \(1,\) and must have shape \(4,\)"),
        (lambda s: (s.act(np.zeros(n)), s.observe(3.0)), "cost must be a stage cost or a callable"),
        (lambda s: (s.act(np.zeros(n)), s.observe(lambda x, u: x @ x)), "must give the pair"),
        (
            lambda s: (s.act(np.zeros(n)), s.observe(lambda x, u: (u, x))),
            r"∂c/∂x of the cost must be finite numbers of shape \(4,\)",
        ),
        (
            lambda s: (s.act(np.zeros(n)), s.observe(lambda x, u: (x * np.nan, u))),
            "∂c/∂x of the cost must be finite",
        ),
        (
            lambda s: (s.act(np.zeros(n)), s.observe(lambda t, x, u: (x, u))),
            r"cost does not fit.*missing 1 required positional argument",
        ),
        (
            lambda s: (s.act(np.zeros(n)), s.observe(px.Quadratic(np.eye(3)))),
            r"cost does not fit: asked for its slopes at x of shape \(4,\)",
        ),
        (
            lambda s: (s.act(np.zeros(n)), s.observe(applied=np.zeros(3))),
            r"applied must be finite numbers of shape \(2,\)",
        ),
        (lambda s: s.act([0.0, np.nan, 0.0, 0.0]), "holds nan at index 1: a sensor that failed"),
        (
            lambda s: px.StreamingController(px.LinearFeedback(GAINS[0])),
            "learner must be a GradientPerturbation",
        ),
        (
            lambda s: (s.act(np.zeros(n)), s.observe(px.Quadratic(), np.zeros(n))),
            "not known in the setting 'independent'",
        ),
        (
            lambda s: (s.act(np.zeros(n)), s.observe(None), s.observe(None)),
            "observe belongs after act, once a round",
        ),
    ],
)
def test_misuse_gets_a_sentence(misuse, sentence):
    with pytest.raises(px.InputError, match=sentence):
        misuse(px.StreamingController(learners()[0]))


def test_the_aggregate_is_asked_for():
    stream = px.StreamingController(learners("aggregated")[0])
    stream.act(np.zeros(n))
    with pytest.raises(
        px.InputError, match=r"aggregate, .* is missing in the setting 'aggregated'"
    ):
        stream.observe(px.Quadratic())
    with pytest.raises(px.InputError, match="aggregate is missing for the last round"):
        stream.act(np.zeros(n))


def test_a_state_of_another_learner_or_a_damaged_one_is_refused(tmp_path):
    stream = px.StreamingController(learners()[0])
    stream.save(tmp_path / "s")
    with pytest.raises(px.InputError, match=r"was saved with memory 3, .* has memory 5"):
        px.StreamingController.load(tmp_path / "s", learners(memory=5)[0])
    content = bytearray((tmp_path / "s").read_bytes())
    content[-5] ^= 1
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(px.InputError, match="damaged: its checksum does not fit"):
        px.StreamingController.load(tmp_path / "s", learners()[0])


def test_a_failed_sensor_changes_nothing():
    one, other = (px.StreamingController(learners()[0]) for _ in range(2))
    for stream in (one, other):
        stream.act(W[0])
        stream.observe(px.Quadratic())
    with pytest.raises(px.InputError, match="holds inf at index 0"):
        one.act(np.full(n, np.inf))
    np.testing.assert_array_equal(one.act(W[1]), other.act(W[1]))


def test_what_was_learned_beyond_any_number_is_an_outcome_with_a_mend():
    stream = px.StreamingController(learners()[0])
    stream._memory.flat = np.full_like(stream._memory.flat, np.inf)
    stream._w[0] = 1.0
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(px.NoSolutionError, match=r"In round 0 .* Lower the step size"),
    ):
        stream.act(np.zeros(n))


def test_what_an_actuator_withheld_is_no_disturbance_when_it_is_said():
    learner = px.team(SYSTEM, GAINS, memory=H, step_size=0.01)[0]
    said, unsaid = px.StreamingController(learner), px.StreamingController(learner)
    x = np.ones(n)
    for stream in (said, unsaid):
        u = stream.act(x)
        stream.observe(px.Quadratic(), applied=u / 2 if stream is said else None)
    after = A @ x + INPUTS[0] @ u / 2 + W[0]
    for stream in (said, unsaid):
        stream.act(after)
    np.testing.assert_allclose(said._w[0], W[0], atol=1e-12)
    np.testing.assert_allclose(unsaid._w[0], W[0] - INPUTS[0] @ u / 2, atol=1e-12)


def test_a_neighbours_state_is_not_taken_for_ones_own(tmp_path):
    one, neighbour = learners()
    px.StreamingController(one).save(tmp_path / "s")
    with pytest.raises(px.InputError, match=r"was saved with .*matrices \w+, but"):
        px.StreamingController.load(tmp_path / "s", neighbour)


def test_the_costs_slopes_are_their_derivatives():
    import jax

    with jax.enable_x64(True):
        x, u = rng.normal(size=n), rng.normal(size=2)
        for cost in COSTS.values():
            ours = cost.gradient(2, x, u)
            wanted = jax.grad(cost, (1, 2))(2, jnp.asarray(x), jnp.asarray(u))
            for a, b in zip(ours, wanted, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
