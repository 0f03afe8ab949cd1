"""The compiled program: what it costs in memory, when it is reused, and that it computes right."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import phalanx as px
from phalanx.policies import Policy
from phalanx.simulation import _simulate

SYSTEM = px.MeanFieldSystem(A=[[0.9, 0.2], [0.1, 0.8]], B=[[1.0], [0.2]])
COST = px.MeanFieldCost(Q=1.0)
POLICY = px.MeanFieldFeedback([[0.3, 0.1]], [[0.2, 0.4]])
NOISE = px.MeanFieldNoise(Sigma=0.1)
STEP = px.Step(0.1)
N = 1000
STATES = N * 2 * 8  # bytes of all agents' states, once

# --- memory ------------------------------------------------------------------------------------


class Measured(Exception):
    """Raised in place of running, with the bytes the program would take."""


def program_memory(monkeypatch, rounds: int, record: str) -> int:
    """Bytes the compiled program of a simulation takes for results and on the way to them."""
    compiled = _simulate._compiled_population

    def measure(*args):
        lowered = compiled.lower(*args)  # pyright: ignore[reportFunctionMemberAccess]
        analysis = lowered.compile().compiled.memory_analysis()
        raise Measured(analysis.temp_size_in_bytes + analysis.output_size_in_bytes)

    settings = {"rounds": rounds, "n_agents": N, "noise": NOISE, "record": record}
    with monkeypatch.context() as patch:
        patch.setattr(_simulate, "_compiled_population", measure)
        with pytest.raises(Measured) as measured:
            px.simulate(SYSTEM, POLICY, STEP, COST, **settings)
    return measured.value.args[0]


def test_the_memory_of_totals_does_not_grow_with_the_rounds(monkeypatch):
    """But for the list of the rounds' numbers: 8 bytes each, against 16 000 for the agents' states."""
    short, long = (program_memory(monkeypatch, T, "totals") for T in (10, 2010))
    assert long - short <= 2000 * 16
    assert long <= 20 * STATES


def test_the_memory_of_means_grows_by_a_few_numbers_a_round(monkeypatch):
    short, long = (program_memory(monkeypatch, T, "means") for T in (10, 2010))
    assert long - short <= 2000 * 60 * 8


# --- reuse -------------------------------------------------------------------------------------


class Counted(Policy):
    """Counts how often it is traced, which is how often it is compiled."""

    gain: jax.Array
    traces: "Traces" = eqx.field(static=True)

    def init(self):
        return None

    def act(self, state, view):
        self.traces.count += 1
        return self.gain * view.x[:1]

    def observe(self, state, feedback):
        return None


class Traces:
    """A count outside the simulation; compared by identity, so that it may be a static field."""

    count = 0


TRACES = Traces()


def traces(gain=0.1, system=SYSTEM, disturbance=STEP, costs=COST, **settings) -> int:
    """How often one more simulation traces its policy."""
    before = TRACES.count
    settings = {"rounds": 4, "n_agents": 5, "x0": [1.0, 2.0]} | settings
    px.simulate(system, Counted(jnp.asarray(gain), TRACES), disturbance, costs, **settings)
    return TRACES.count - before


@pytest.fixture(scope="module")
def compiled():
    """A first simulation, whose program the others may reuse."""
    assert traces() > 0


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    "other",
    [
        {"key": 1},
        {"gain": 0.2},
        {"x0": [3.0, 4.0]},
        {"first_round": 3},
        {"disturbance": px.Step(0.2)},
        {"costs": px.MeanFieldCost(Q=2.0, R=3.0)},
        {"system": px.MeanFieldSystem(A=[[0.8, 0.2], [0.1, 0.8]], B=[[1.0], [0.3]])},
    ],
    ids=lambda other: next(iter(other)),
)
def test_other_numbers_of_the_same_shape_reuse_the_program(other):
    assert traces(**other) == 0


@pytest.mark.usefixtures("compiled")
def test_other_shapes_ask_for_another_program():
    assert traces(rounds=5) > 0


# --- the trap ----------------------------------------------------------------------------------
# JAX 0.10.2 compiles a batched matrix-vector product followed by a quadratic cost wrongly on CPUs,
# silently, just past certain batch sizes (jax-ml/jax#39103). Exactly what we do all day.

BATCHES = [1000, 16_384, 16_385, 32_768, 32_769]


@pytest.mark.parametrize("batch", BATCHES)
def test_compiled_products_and_costs_are_the_uncompiled_ones(batch):
    draw = np.random.default_rng(batch)
    A, B, K, Q = (draw.normal(size=(3, 3)) for _ in range(4))
    Q = Q @ Q.T
    x = draw.normal(size=(batch, 3))

    def costs(x):
        u = -jnp.einsum("ij,nj->ni", K, x)
        following = jnp.einsum("ij,nj->ni", A, x) + jnp.einsum("ij,nj->ni", B, u)
        return jnp.einsum("ni,ij,nj->n", following, Q, following)

    mapped = jax.vmap(lambda x: (lambda y: y @ Q @ y)(A @ x - B @ (K @ x)))
    with jax.enable_x64(True):
        following = x @ (A - B @ K).T
        expected = ((following @ Q) * following).sum(axis=1)
        with jax.disable_jit():
            np.testing.assert_allclose(costs(x), expected, rtol=1e-9)
        np.testing.assert_allclose(jax.jit(costs)(x), expected, rtol=1e-9)
        np.testing.assert_allclose(jax.jit(mapped)(x), expected, rtol=1e-9)


@pytest.mark.parametrize("n_agents", BATCHES)
def test_a_populations_cost_is_right_at_every_size(n_agents):
    """The simulator itself, at the same sizes, against NumPy."""
    A, A_bar, B = SYSTEM.A, SYSTEM.A_bar, SYSTEM.B
    x = np.random.default_rng(n_agents).normal(size=(n_agents, 2))
    run = px.simulate(
        SYSTEM, POLICY, None, COST, rounds=3, n_agents=n_agents, x0=x, record="totals"
    )
    J = 0.0
    for _ in range(3):
        mean = x.mean(axis=0)
        u = -(x - mean) @ POLICY.K.T - mean @ POLICY.L.T
        v = u - u.mean(axis=0)
        J += ((x - mean) ** 2).sum() / n_agents + mean @ mean
        J += (v**2).sum() / n_agents + u.mean(axis=0) @ u.mean(axis=0)
        x = x @ A.T + mean @ A_bar.T + u @ B.T
    J += ((x - x.mean(axis=0)) ** 2).sum() / n_agents + x.mean(axis=0) @ x.mean(axis=0)
    np.testing.assert_allclose(run.cost, J, rtol=1e-11)
    np.testing.assert_allclose(run.final, x, rtol=1e-9, atol=1e-12)
