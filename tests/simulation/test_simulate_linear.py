"""A shared state and several controllers, each its own: simulated against a loop."""

import jax.numpy as jnp
import numpy as np
import pytest

import phalanx as px
from phalanx.policies import Policy

n, p, q, N, T = 3, 2, 2, 4, 6
EXACT = {"rtol": 1e-12, "atol": 1e-12}
rng = np.random.default_rng(0)
CONSTANT = {
    "A": rng.normal(size=(n, n)) / 2,
    "B": rng.normal(size=(N, n, p)) / 2,
    "E": rng.normal(size=(n, q)),
}
VARYING = {name: rng.normal(size=(T, *value.shape)) / 2 for name, value in CONSTANT.items()}
SYSTEMS = {
    "constant": CONSTANT,
    "all varying": VARYING,
    "A varying": CONSTANT | {"A": VARYING["A"]},
    "B varying": CONSTANT | {"B": VARYING["B"]},
    "E varying": CONSTANT | {"E": VARYING["E"]},
}
GAINS = rng.normal(size=(N, p, n)) / 3
X0, W = rng.normal(size=n), rng.normal(size=(T, q))
WEIGHTS = np.arange(1.0, N + 1)
HETEROGENEOUS = {
    "policies": [px.LinearFeedback(K) for K in GAINS],
    "costs": [px.Quadratic(Q=weight, R=2 * weight) for weight in WEIGHTS],
}


def play_by_hand(matrices, gains):
    """x' = A x + Σ_i B_i u^i + E w with u^i = −K_i x."""

    def at(name, t):
        varies = matrices[name].ndim > CONSTANT[name].ndim
        return matrices[name][t] if varies else matrices[name]

    x, u = [X0], []
    for t in range(T):
        u.append(np.array([-K @ x[-1] for K in gains]))
        pushed = sum(at("B", t)[i] @ u[-1][i] for i in range(N))
        x.append(at("A", t) @ x[-1] + pushed + at("E", t) @ W[t])
    return np.array(x), np.array(u)


def simulate(matrices=CONSTANT, **settings):
    settings = HETEROGENEOUS | {"x0": X0, "rounds": T} | settings
    return px.simulate(px.LinearSystem(**matrices), disturbance=px.Replay(common=W), **settings)


@pytest.mark.parametrize("matrices", SYSTEMS.values(), ids=SYSTEMS)
def test_the_path_is_that_of_a_loop(matrices):
    run, (x, u) = simulate(matrices), play_by_hand(matrices, GAINS)
    np.testing.assert_allclose(run.x, x, **EXACT)
    np.testing.assert_allclose(run.u, u, **EXACT)
    np.testing.assert_array_equal(run.w, W)


def test_each_agent_pays_its_own_cost():
    run = simulate()
    paid = [
        [weight * (x @ x) + 2 * weight * (u @ u) for weight, u in zip(WEIGHTS, us, strict=True)]
        for x, us in zip(run.x[:-1], run.u, strict=True)
    ]
    np.testing.assert_allclose(run.cost, paid, rtol=1e-12)


def test_one_policy_serves_all_agents():
    run = simulate(policies=px.LinearFeedback(GAINS[0]))
    np.testing.assert_allclose(run.x, play_by_hand(CONSTANT, [GAINS[0]] * N)[0], **EXACT)


def test_one_cost_serves_all_agents():
    one, many = simulate(costs=px.Quadratic()), simulate(costs=[px.Quadratic()] * N)
    np.testing.assert_array_equal(one.cost, many.cost)


def test_any_callable_is_a_cost():
    run = simulate(costs=lambda t, x, u: t * jnp.abs(x).sum())
    expected = np.arange(T) * np.abs(run.x[:-1]).sum(axis=1)
    np.testing.assert_allclose(run.cost, np.stack([expected] * N, axis=1), rtol=1e-12)


class Constant(Policy):
    """Another kind of policy altogether: always the same control."""

    u: np.ndarray

    def init(self):
        return None

    def act(self, state, view):
        return jnp.asarray(self.u)

    def observe(self, state, feedback):
        return None


class Integral(Policy):
    """A policy with a memory: minus the sum of the states it saw."""

    def init(self):
        return jnp.zeros(n)

    def act(self, state, view):
        return -state[:p] / 10

    def observe(self, state, feedback):
        return state + feedback.before.x


def test_agents_may_differ_in_kind():
    policies = [px.LinearFeedback(GAINS[0]), Constant(np.ones(p)), Integral(), Integral()]
    run = simulate(policies=policies, costs=None)
    np.testing.assert_allclose(run.u[:, 0], -run.x[:-1] @ GAINS[0].T, **EXACT)
    np.testing.assert_array_equal(run.u[:, 1], 1)
    seen = np.cumsum(run.x[:-1], axis=0) - run.x[:-1]
    np.testing.assert_allclose(run.u[:, 2], -seen[:, :p] / 10, **EXACT)
    np.testing.assert_array_equal(run.u[:, 2], run.u[:, 3])


def test_gains_may_vary_in_time():
    gains = rng.normal(size=(T, p, n)) / 3
    run = simulate(policies=px.LinearFeedback(gains))
    np.testing.assert_allclose(run.u[:, 1], -np.einsum("tij,tj->ti", gains, run.x[:-1]), **EXACT)


def test_without_a_cost_none_is_reported():
    assert simulate(costs=None).cost is None


def test_without_a_disturbance_nothing_disturbs():
    run = px.simulate(px.LinearSystem(**CONSTANT), HETEROGENEOUS["policies"], rounds=T, x0=X0)
    np.testing.assert_array_equal(run.w, 0)


def test_an_adversary_sees_the_shared_state():
    gain = rng.normal(size=(q, n)) / 5
    run = px.simulate(
        px.LinearSystem(**CONSTANT),
        HETEROGENEOUS["policies"],
        px.LinearAdversary(np.zeros((q, n)), gain),
        rounds=T,
        x0=X0,
    )
    np.testing.assert_allclose(run.w, run.x[:-1] @ gain.T, **EXACT)


def test_the_state_starts_at_zero_by_default():
    np.testing.assert_array_equal(simulate(x0=None).x[0], 0)


def test_the_dataset_is_labelled():
    run = simulate()
    data = run.to_dataset()
    np.testing.assert_array_equal(data["u"].isel(agent=2), run.u[:, 2])
    assert dict(data.sizes) == {
        "time": T + 1,
        "round": T,
        "agent": N,
        "state": n,
        "control": p,
        "disturbance": q,
    }


def test_two_halves_make_a_whole():
    """Replay and gains by stage go on at their round."""
    gains = px.LinearFeedback(rng.normal(size=(T, p, n)) / 3)
    whole = simulate(policies=gains)
    first = simulate(policies=gains, rounds=T // 2)
    second = simulate(policies=gains, rounds=T // 2, x0=first.x[-1], first_round=T // 2)
    np.testing.assert_allclose(second.x, whole.x[T // 2 :], **EXACT)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"policies": HETEROGENEOUS["policies"][:2]}, "policies holds 2 policies for 4 agents"),
        ({"costs": HETEROGENEOUS["costs"][:3]}, "costs holds 3 stage costs for 4 agents"),
        ({"x0": np.ones(n + 1)}, r"x0 has shape \(4,\) and must have shape \(3,\)"),
        ({"rounds": T + 1}, "record lasts 6 rounds"),
        ({"rounds": None}, "rounds is missing"),
    ],
)
def test_a_fault_names_the_argument(settings, sentence):
    with pytest.raises(px.InputError, match=sentence):
        simulate(**settings)


@pytest.mark.parametrize("name", ["A", "B", "E"])
def test_rounds_past_the_time_axis_are_refused(name):
    system = px.LinearSystem(**(CONSTANT | {name: VARYING[name]}))
    with pytest.raises(
        px.InputError,
        match=f"{name} is given for 6 stages, but the run goes from round 0 to round 6",
    ):
        px.simulate(system, HETEROGENEOUS["policies"], rounds=T + 1)


def test_divergence_is_an_outcome():
    system = px.LinearSystem(A=10.0, B=1.0)
    with pytest.raises(px.NoSolutionError, match="grew beyond any number"):
        px.simulate(system, px.LinearFeedback([[0.0]]), rounds=400, x0=[1.0])


class Push(Policy):
    """Pushes by itself, whatever the world does."""

    def init(self):
        return None

    def act(self, state, view):
        return jnp.ones(1)

    def observe(self, state, feedback):
        return None


def test_an_agent_that_pushes_in_a_calm_world_is_no_divergence():
    for costs, beside in (
        (None, []),
        (px.Quadratic(), [px.GradientPerturbation([[0.5]], [[1.0]], [[0.0]])]),
    ):
        system = px.LinearSystem(A=[[0.5]], B=[[[1.0]]] * (1 + len(beside)))
        run = px.simulate(system, [Push(), *beside], None, costs, rounds=5)
        assert run.outcome.ok
