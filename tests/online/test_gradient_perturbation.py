"""Algorithm 1 of P2 against a plain one: NumPy, agent by agent, the gradient by complex steps."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import phalanx as px
from phalanx.online import _idealised
from phalanx.policies import LinearView, Policy, RoundFeedback

SETTINGS = ("independent", "aggregated", "aggregated-agentwise")
n, H, T = 3, 3, 30
rng = np.random.default_rng(5)
A = 0.3 * rng.normal(size=(n, n))
INPUTS = [0.5 * rng.normal(size=(n, p)) for p in (2, 1, 2)]
SYSTEM = px.LinearSystem(A, INPUTS)
GAINS = [0.1 * rng.normal(size=(B.shape[1], n)) for B in INPUTS]
W = rng.normal(size=(T, n))
N = len(INPUTS)


def world(setting: str) -> str:
    return "independent" if setting == "independent" else "aggregated"


def play(setting, costs=None, record="parameters", **settings):
    settings = {"memory": H, "step_size": 0.01, "radius": 100.0} | settings
    learners = px.team(SYSTEM, GAINS, setting, **settings)
    return px.simulate(
        SYSTEM,
        learners,
        px.Replay(W),
        px.Quadratic() if costs is None else costs,
        rounds=T,
        information=world(setting),
        record=record,
    )


def plain(setting: str, step_size: float):
    """The same by the letter of theory.md, Section 3, powers and sums written out."""
    zero = np.zeros(n)
    M = [np.zeros((H, B.shape[1], n)) for B in INPUTS]
    w_hat, e = [[] for _ in INPUTS], [[] for _ in INPUTS]
    x, path = zero, []
    joint = A - sum(B @ K for B, K in zip(INPUTS, GAINS, strict=True))

    def at(record, s):
        return record[s] if s >= 0 else zero

    def action(Mi, record, t):
        return sum(Mi[p - 1] @ at(record, t - p) for p in range(1, H + 1))

    def loss(i, Mi, t):
        F = joint if setting == "aggregated" else A - INPUTS[i] @ GAINS[i]
        y = sum(
            np.linalg.matrix_power(F, k)
            @ (at(e[i], t - 1 - k) + INPUTS[i] @ action(Mi, w_hat[i], t - 1 - k))
            for k in range(H + 1)
        )
        v = -GAINS[i] @ y + action(Mi, w_hat[i], t)
        return y @ y + v @ v

    for t in range(T):
        u = [action(M[i], w_hat[i], t) - GAINS[i] @ x for i in range(N)]
        new = []
        for i in range(N):
            slope = np.zeros_like(M[i])
            for place in np.ndindex(slope.shape):
                nudged = M[i].astype(complex)
                nudged[place] += 1e-30j
                slope[place] = loss(i, nudged, t).imag / 1e-30
            new.append(M[i] - step_size * slope)
        x_next = A @ x + sum(B @ ui for B, ui in zip(INPUTS, u, strict=True)) + W[t]
        for i in range(N):
            own = x_next - A @ x - INPUTS[i] @ u[i]
            others = sum(INPUTS[j] @ u[j] for j in range(N) if j != i)
            moved = sum(INPUTS[j] @ (u[j] + GAINS[j] @ x) for j in range(N) if j != i)
            w_hat[i].append(own if setting == "independent" else own - others)
            e[i].append(own - others + moved if setting == "aggregated" else own)
        path.append(x)
        x, M = x_next, new
    return np.array([*path, x]), M


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_scan_plays_algorithm_1(setting):
    run = play(setting)
    x, M = plain(setting, 0.01)
    np.testing.assert_allclose(run.x, x, rtol=1e-11, atol=1e-12)
    for state, wanted in zip(run.states, M, strict=True):
        np.testing.assert_allclose(state.M, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    "cost", [px.Quadratic(2.0, 0.5), px.Huber(0.3)], ids=["quadratic", "huber"]
)
def test_the_closed_form_is_the_derivative_of_a_rollout(setting, cost):
    """Automatic differentiation of H+1 rounds from state zero, the second route to the gradient."""
    learner = px.team(SYSTEM, GAINS, setting, memory=H)[0]
    with jax.enable_x64(True):
        agent = jax.tree.map(jnp.asarray, learner.agent)
        w = jnp.asarray(rng.normal(size=(2 * H + 1, n)))  # newest first
        e = w if setting == "independent" else jnp.asarray(rng.normal(size=(H + 1, n)))
        M = jnp.asarray(rng.normal(size=(H, 2, n)))

        def loss(M):
            y = jnp.zeros(n)
            for back in reversed(range(H + 1)):  # rounds t−1−H .. t−1
                action = sum(M[p] @ w[back + 1 + p] for p in range(H))
                y = agent.F @ y + e[back] + agent.B @ action
            v = sum(M[p] @ w[p] for p in range(H)) - agent.K @ y
            return cost(0, y, v)

        windows = jnp.stack([w[j : j + H].reshape(-1) for j in range(H + 2)])
        free = sum(jnp.linalg.matrix_power(agent.F, k) @ e[k] for k in range(H + 1))
        flat = _idealised.on_top(M)
        s = _idealised.parts(flat, windows)
        y, v = _idealised.state_and_control(agent, s, free)
        ours = _idealised.gradient(agent, windows, *cost.gradient(0, y, v))
        np.testing.assert_allclose(cost(0, y, v), loss(M), rtol=1e-12)
        np.testing.assert_allclose(
            _idealised.blocks(ours, H), jax.grad(loss)(M), rtol=1e-10, atol=1e-12
        )


def test_the_running_free_response_is_the_sum():
    """f_t = Σ_{k=0..H} F^k e_{t−1−k} after thirty rounds of adding and taking away."""
    run = play("independent")
    agent = px.team(SYSTEM, GAINS, memory=H)[0].agent
    w = run.states[0].w
    wanted = sum(np.linalg.matrix_power(agent.F, k) @ w[k] for k in range(H + 1))
    np.testing.assert_allclose(run.states[0].free, wanted, rtol=1e-10, atol=1e-12)


def test_where_f_is_unstable_no_rounding_is_carried_on():
    """An agent that stabilises nothing by itself, beside one that does: 1.3^400 would leave no digit."""
    system = px.LinearSystem([[1.3]], [[[1.0]], [[1.0]]])
    learner = px.GradientPerturbation([[1.3]], [[1.0]], [[0.0]], memory=H, step_size=0.0)
    w = rng.normal(size=(400, 1))
    policies = [learner, px.LinearFeedback([[0.9]])]
    run = px.simulate(system, policies, px.Replay(w), px.Quadratic(), rounds=400)
    seen = run.states[0].w[: H + 1, 0]
    wanted = sum(1.3**k * seen[k] for k in range(H + 1))
    np.testing.assert_allclose(run.states[0].free, [wanted], rtol=1e-12)
    stream = px.StreamingController(learner)
    for x in run.x[:-1]:
        stream.act(x)
        stream.observe(px.Quadratic())
    stream.act(run.x[-1])
    np.testing.assert_allclose(stream._memory.free, [wanted], rtol=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_recovered_disturbance_is_the_one_the_setting_names(setting):
    run = play(setting)
    newest = run.states[1].w[0]
    wanted = W[-1]
    if setting == "independent":
        wanted = wanted + sum(INPUTS[j] @ run.u[-1, j, : INPUTS[j].shape[1]] for j in (0, 2))
    np.testing.assert_allclose(newest, wanted, atol=1e-12)


def test_alone_all_settings_are_one():
    """N = 1: nobody else acts, and multi-agent GPC is single-agent GPC in every setting."""
    system = px.LinearSystem(A, INPUTS[0])
    runs = []
    for setting in SETTINGS:
        learner = px.team(system, GAINS[:1], setting, memory=H, step_size=0.02)
        runs.append(
            px.simulate(
                system, learner, px.Replay(W), px.Quadratic(), rounds=T, information=world(setting)
            )
        )
    for other in runs[1:]:
        np.testing.assert_allclose(other.x, runs[0].x, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("setting", SETTINGS)
def test_without_a_step_it_is_linear_feedback(setting):
    run = play(setting, step_size=0.0)
    policies = [px.LinearFeedback(K) for K in GAINS]
    fixed = px.simulate(SYSTEM, policies, px.Replay(W), rounds=T)
    np.testing.assert_allclose(run.x, fixed.x, rtol=1e-12, atol=1e-13)


def test_a_learner_frozen_at_m_is_the_disturbance_action():
    M = rng.normal(size=(H, 2, n)) * 0.2
    system = px.LinearSystem(A, INPUTS[0])
    learner = px.GradientPerturbation(A, INPUTS[0], GAINS[0], memory=H, step_size=0.0, initial=M)
    action = px.DisturbanceAction(A, INPUTS[0], GAINS[0], M)
    one, other = (
        px.simulate(system, policy, px.Replay(W), px.Quadratic(), rounds=T)
        for policy in (learner, action)
    )
    np.testing.assert_allclose(one.u, other.u, rtol=1e-12, atol=1e-13)


def test_m_stays_in_its_set():
    run = play("independent", step_size=1.0, radius=0.3, decay=0.4)
    for M in run.parameters:
        norms = np.linalg.norm(M, 2, axis=(-2, -1))
        assert (norms <= 0.3 * 0.6 ** np.arange(1, H + 1) * (1 + 1e-12)).all()
        assert np.isclose(norms.max(axis=0), 0.3 * 0.6 ** np.arange(1, H + 1)).any()


def test_parameters_are_those_the_round_was_played_with():
    run = play("independent")
    M, w_hat = run.parameters[0], []
    for t in range(T):
        past = sum(M[t, p - 1] @ w_hat[t - p] for p in range(1, H + 1) if t >= p)
        np.testing.assert_allclose(run.u[t, 0], past - GAINS[0] @ run.x[t], atol=1e-12)
        w_hat.append(run.x[t + 1] - A @ run.x[t] - INPUTS[0] @ run.u[t, 0])


def test_a_step_that_slows_down_is_the_constant_one_at_first():
    slowing = play("independent", step_size={"initial": 0.01, "decay": "sqrt"})
    constant = play("independent")
    first = 3  # ŵ_0 is known from round 1, M moves from then on; round 1 steps by η/√2
    assert np.allclose(slowing.x[:first], constant.x[:first])
    assert not np.allclose(slowing.x[-1], constant.x[-1])
    one, other = slowing.parameters[0][2], constant.parameters[0][2]
    assert np.abs(other).max() > 0
    np.testing.assert_allclose(one, other / np.sqrt(2), rtol=1e-12)


@pytest.mark.parametrize("update", ["gradient", "adaptive", "optimistic"])
def test_every_update_learns_a_steady_push(update):
    system = px.LinearSystem([[0.9]], [[[1.0]]])
    steps = {"gradient": 0.01, "adaptive": 0.5, "optimistic": 0.01}
    learner = px.GradientPerturbation(
        [[0.9]], [[1.0]], [[0.3]], memory=4, step_size=steps[update], update=update
    )
    cost = px.Quadratic(1.0, 0.01)
    run = px.simulate(system, learner, px.Step(1.0), cost, rounds=600)
    fixed = px.simulate(system, px.LinearFeedback([[0.3]]), px.Step(1.0), cost, rounds=600)
    assert run.cost[-50:].mean() < fixed.cost[-50:].mean() / 10


class Spy(Policy):
    """Notes what it is handed, on paper outside the simulation."""

    setting: str = eqx.field(static=True)
    paper: dict = eqx.field(static=True)

    def init(self):
        return None

    def act(self, state, view):
        self.paper["view"] = view
        return jnp.zeros(2)

    def observe(self, state, feedback):
        self.paper["feedback"] = feedback
        return None

    def __hash__(self):
        return id(self)


def handed(setting):
    spy = Spy(setting, {})
    system = px.LinearSystem(A, [INPUTS[0]] * 7)
    costs = [px.Quadratic(float(i + 1)) for i in range(7)]
    px.simulate(system, [spy] + [px.LinearFeedback(GAINS[0])] * 6, px.Replay(W), costs, rounds=4,
                information=world(setting))  # fmt: skip
    return spy.paper


def test_in_the_independent_setting_an_agent_is_handed_its_state_and_own_cost_and_nothing_else():
    paper = handed("independent")
    view, feedback = paper["view"], paper["feedback"]
    assert jax.tree.map(jnp.shape, view) == LinearView(t=(), x=(n,))
    assert {f for f in dir(feedback) if not f.startswith("_")} == {
        "before", "u", "after", "cost", "aggregate"
    }  # fmt: skip
    assert isinstance(feedback, RoundFeedback)
    assert feedback.aggregate is None
    seen = feedback.before, feedback.u, feedback.after
    # Seven agents, fourteen inputs: nothing of these sizes.
    assert {jnp.shape(leaf) for leaf in jax.tree.leaves(seen)} <= {(), (n,), (2,)}
    assert {name for name in dir(feedback.cost) if not name.startswith("_")} == {"gradient"}


class Foresight(Policy):
    """Asks its cost for the next round's target, and plays what it is told."""

    def init(self):
        return jnp.zeros(2)

    def act(self, state, view):
        return state

    def observe(self, state, feedback):
        later = feedback.after.t
        slope, _ = feedback.cost.gradient(later, jnp.zeros(n), jnp.zeros(2))
        price = feedback.cost(later, jnp.ones(n), jnp.zeros(2)) + feedback.cost(0, slope, slope[:2])
        return -slope[:2] / 2 + 0 * price


def test_a_cost_that_varies_in_time_does_not_tell_its_future():
    target = rng.normal(size=(T, n))
    system = px.LinearSystem(A, INPUTS[0])
    run = px.simulate(system, Foresight(), px.Replay(W), px.Tracking(target), rounds=T)
    np.testing.assert_allclose(run.u[1:, 0], target[:-1, :2], rtol=1e-12)
    assert np.abs(run.u[1:, 0] - target[1:, :2]).max() > 0.1


def test_in_the_aggregated_setting_it_is_told_one_sum_more():
    feedback = handed("aggregated-agentwise")["feedback"]
    assert feedback.aggregate.shape == (n,)


def test_a_world_that_does_not_tell_refuses_a_policy_that_asks():
    learners = px.team(SYSTEM, GAINS, "aggregated", memory=H)
    with pytest.raises(
        px.InputError, match=r"agent 0 is made for the setting 'aggregated'.*information"
    ):
        px.simulate(SYSTEM, learners, px.Replay(W), px.Quadratic(), rounds=T)


def test_others_of_any_kind_beside_a_learner():
    """Agents of four kinds, with costs of three kinds, in one scan: each as if traced alone."""
    system = px.LinearSystem(A, [INPUTS[0], INPUTS[1], INPUTS[2], INPUTS[0]])
    gp = px.GradientPerturbation(A, INPUTS[0], GAINS[0], memory=H, step_size=0.001)
    policies = [
        gp,
        px.LinearFeedback(GAINS[1]),
        px.DisturbanceAction(A, INPUTS[2], GAINS[2], np.full((2, 2, n), 0.1)),
        px.GradientPerturbation(A, INPUTS[0], 2 * GAINS[0], memory=H, step_size=0.001),
    ]
    costs = [
        px.Quadratic(),
        lambda t, x, u: jnp.abs(x).sum() + t * (u @ u),
        px.Huber(),
        px.Quadratic(3.0),
    ]
    run = px.simulate(system, policies, px.Replay(W), costs, rounds=T)
    by_hand = [
        [float(cost(t, jnp.asarray(run.x[t]), jnp.asarray(run.u[t, i, : (2, 1, 2, 2)[i]]))) for i, cost in enumerate(costs)]
        for t in range(T)
    ]  # fmt: skip
    np.testing.assert_allclose(run.cost, by_hand, rtol=1e-4)
    # Agent 3 sees the same as if the others' controls were part of the disturbance.
    felt = W + np.einsum("inp,tip->tn", system.B[:3], run.u[:, :3])
    alone = px.simulate(
        px.LinearSystem(A, INPUTS[0]), policies[3], px.Replay(felt), costs[3], rounds=T
    )
    np.testing.assert_allclose(run.u[:, 3], alone.u[:, 0], rtol=1e-10, atol=1e-12)


def test_a_learner_that_blows_up_stops_with_the_round_and_keeps_the_record():
    system = px.LinearSystem([[0.5]], [[[1.0]]])
    wild = px.GradientPerturbation([[0.5]], [[1.0]], [[0.0]], memory=2, step_size=1e5, radius=1e300)
    arguments = (system, wild, px.Step(1.0), px.Quadratic())
    with pytest.raises(px.NoSolutionError, match=r"In round \d+ .* Lower the step size"):
        px.simulate(*arguments, rounds=200)
    run = px.simulate(*arguments, rounds=200, throw=False)
    assert run.outcome.status == "diverged"
    assert 0 < run.rounds < 200
    assert run.x.shape == (run.rounds + 1, 1)
    assert np.isfinite(run.x).all()
    assert f"round {run.rounds} " in run.outcome.sentence


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"memory": 0}, "memory must be a whole number from 1"),
        ({"memory": 2.5}, "memory must be a whole number from 1 to 10000, but it is 2.5"),
        ({"step_size": -1.0}, "step_size must be one number of at least 0"),
        ({"step_size": {"initial": 0.1, "decay": "cube"}}, "decay of step_size must be one of none, sqrt"),
        ({"step_size": {"first": 0.1}}, 'step_size must be a positive number or {"initial"'),
        ({"radius": np.inf}, "radius must be finite"),
        ({"decay": 1.0}, "decay must be one number of at least 0 and below 1"),
        ({"setting": "shared"}, "setting must be one of independent"),
        ({"setting": "aggregated"}, "others, the matrix .* it is missing"),
        ({"others": np.eye(n)}, "not known in the setting 'independent'"),
        ({"update": "newton"}, "update must be one of gradient"),
        ({"initial": np.zeros((2, 2, n))}, r"initial has shape \(2, 2, 3\) and must have shape \(6, 2, 3\)"),
        ({"K": np.zeros((n, 2))}, r"K has shape \(3, 2\) and must have shape \(2, 3\).*transposed"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_settings_get_a_sentence(settings, sentence):
    given = {"A": A, "B": INPUTS[0], "K": GAINS[0]} | settings
    with pytest.raises(px.InputError, match=sentence):
        px.GradientPerturbation(**given)


def test_a_learner_needs_a_cost():
    with pytest.raises(
        px.InputError, match="costs is missing: a learner learns from its stage cost"
    ):
        px.simulate(SYSTEM, px.team(SYSTEM, GAINS), px.Replay(W), rounds=T)


def test_a_cost_that_is_not_convex_is_refused_by_name():
    costs = [px.Quadratic(), px.Quadratic(), lambda t, x, u: jnp.cos(x).sum()]
    with pytest.raises(px.InputError, match="the cost of agent 2 is not convex: halfway"):
        play("independent", costs=costs)
