"""An agent acts on its own state and the mean, and can reach nothing else."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import phalanx as px
from phalanx.policies import Feedback, LinearView, MeanFieldView, Policy

N, m, p, T = 7, 3, 2, 5
rng = np.random.default_rng(0)
SYSTEM = px.MeanFieldSystem(
    A=rng.normal(size=(m, m)) / 3, A_bar=rng.normal(size=(m, m)) / 3, B=rng.normal(size=(m, p))
)
COST = px.MeanFieldCost(Q=1.0)
X0 = rng.normal(size=(N, m))
K, L = rng.normal(size=(T, p, m)) / 3, rng.normal(size=(T, p, m)) / 3


class Probe(Policy):
    """Notes the structure of everything it is handed, on paper outside the simulation."""

    paper: dict = eqx.field(static=True)

    def init(self):
        return jnp.zeros(1)

    def act(self, state, view):
        self.note("act", view)
        return jnp.zeros(self.paper["control_size"])

    def observe(self, state, feedback):
        self.note("observe", feedback)
        return state

    def note(self, when, handed):
        self.paper[when] = handed
        self.paper[f"{when}, shapes"] = jax.tree.map(jnp.shape, handed)

    def __hash__(self):
        return id(self)


def probe(system, control_size, **settings):
    probe = Probe({"control_size": control_size})
    px.simulate(system, probe, px.Step(0.1), rounds=T, **settings)
    return probe.paper


@pytest.fixture(scope="module")
def paper():
    return probe(SYSTEM, p, costs=COST, n_agents=N, x0=X0, record="states")


def test_before_it_acts_an_agent_is_shown_the_stage_its_state_and_the_mean(paper):
    assert paper["act, shapes"] == MeanFieldView(t=(), x=(m,), x_bar=(m,))


def test_after_the_round_it_is_shown_its_control_and_the_next_view_as_well(paper):
    view = MeanFieldView(t=(), x=(m,), x_bar=(m,))
    assert paper["observe, shapes"] == Feedback(before=view, u=(p,), after=view)


@pytest.mark.parametrize(
    ("when", "fields"), [("act", {"t", "x", "x_bar"}), ("observe", {"before", "u", "after"})]
)
def test_what_it_is_shown_holds_no_other_field(paper, when, fields):
    handed = paper[when]
    assert {field.name for field in dataclasses.fields(handed)} == fields
    assert {name for name in dir(handed) if not name.startswith("_")} == fields


@pytest.mark.parametrize("when", ["act", "observe"])
def test_nothing_it_can_reach_has_an_axis_as_long_as_the_population(paper, when):
    """N differs from every other size here, so such an axis would be the other agents'."""
    assert all(N not in jnp.shape(leaf) for leaf in jax.tree.leaves(paper[when]))


def test_an_agent_of_a_linear_system_is_shown_the_round_and_the_shared_state():
    system = px.LinearSystem(np.eye(m) / 2, np.ones((N, m, p)))
    assert probe(system, p)["act, shapes"] == LinearView(t=(), x=(m,))


@pytest.fixture(scope="module")
def run():
    return px.simulate(
        SYSTEM, px.MeanFieldFeedback(K, L), rounds=T, n_agents=N, x0=X0, record="states"
    )


def test_each_agents_control_is_what_it_computes_by_itself(run):
    policy = px.MeanFieldFeedback(K, L)
    for t in range(T):
        for i in range(N):
            alone = policy(run.x[t, i], run.x[t].mean(axis=0), t)
            np.testing.assert_allclose(run.u[t, i], alone, rtol=1e-12, atol=1e-13)


def test_agents_in_the_same_state_act_alike():
    twins = np.concatenate([X0[:1], X0[:1], X0[2:]])
    run = px.simulate(
        SYSTEM, px.MeanFieldFeedback(K, L), rounds=T, n_agents=N, x0=twins, record="states"
    )
    np.testing.assert_array_equal(run.u[:, 0], run.u[:, 1])


def test_an_agents_control_feels_the_others_through_the_mean_alone(run):
    """Two others move apart, the mean stays: this agent's control stays too."""
    moved = X0.copy()
    moved[1], moved[2] = moved[1] + 5.0, moved[2] - 5.0
    other = px.simulate(
        SYSTEM, px.MeanFieldFeedback(K, L), rounds=T, n_agents=N, x0=moved, record="states"
    )
    np.testing.assert_allclose(other.u[:, 0], run.u[:, 0], rtol=1e-10, atol=1e-11)


class Sum(Policy):
    """A policy that learns: it plays the sum of all it has seen, to show whose memory is whose."""

    def init(self):
        return jnp.zeros(m)

    def act(self, state, view):
        return state[:p]

    def observe(self, state, feedback):
        return state + feedback.after.x


def test_each_agent_remembers_what_it_saw_itself():
    run = px.simulate(SYSTEM, Sum(), rounds=T, n_agents=N, x0=X0, record="states")
    seen = np.cumsum(run.x[1:-1], axis=0)
    np.testing.assert_allclose(run.u[1:], seen[..., :p], rtol=1e-12)
    np.testing.assert_array_equal(run.u[0], 0)
