"""Stage costs against their formulas, their convexity, and the gradients learners take of them."""

import jax
import numpy as np
import pytest

from phalanx import Huber, InputError, LinearStage, Quadratic, Tracking

n, p, T = 3, 2, 4
rng = np.random.default_rng(0)
Q = (lambda X: X @ X.T)(rng.normal(size=(n, n)))
R = (lambda X: X @ X.T)(rng.normal(size=(p, p)))
TARGET = rng.normal(size=(T, n))
STATE_PRICE, CONTROL_PRICE = rng.normal(size=(T, n)), rng.normal(size=(T, p))


def huber(v: np.ndarray, width: float) -> float:
    quadratic = v**2 / (2 * width)
    return sum(np.where(np.abs(v) <= width, quadratic, np.abs(v) - width / 2))


# name: (the cost, the same in NumPy)
COSTS = {
    "quadratic": (Quadratic(Q, R), lambda t, x, u: x @ Q @ x + u @ R @ u),
    "quadratic, scalar weights": (Quadratic(2.0, 3.0), lambda t, x, u: 2 * x @ x + 3 * u @ u),
    "tracking": (
        Tracking(TARGET, Q, R),
        lambda t, x, u: (x - TARGET[t]) @ Q @ (x - TARGET[t]) + u @ R @ u,
    ),
    "huber": (Huber(0.7, 2.0, 3.0), lambda t, x, u: 2 * huber(x, 0.7) + 3 * huber(u, 0.7)),
    "linear": (
        LinearStage(STATE_PRICE, CONTROL_PRICE),
        lambda t, x, u: STATE_PRICE[t] @ x + CONTROL_PRICE[t] @ u,
    ),
    "linear, free controls": (LinearStage(STATE_PRICE), lambda t, x, u: STATE_PRICE[t] @ x),
}
every_cost = pytest.mark.parametrize(("cost", "formula"), COSTS.values(), ids=COSTS)


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def points(count: int):
    """Stages, states and controls, on both sides of Huber's corner."""
    draw = np.random.default_rng(1)
    return zip(
        draw.integers(T, size=count),
        draw.normal(size=(count, n)),
        draw.normal(size=(count, p)),
        strict=True,
    )


@every_cost
def test_the_cost_is_its_formula(cost, formula):
    for t, x, u in points(20):
        np.testing.assert_allclose(cost(t, x, u), formula(t, x, u), rtol=1e-12)


@every_cost
def test_the_cost_is_convex(cost, formula):
    """Midpoints never cost more than the mean of the ends."""
    for (t, x, u), (_, other_x, other_u) in zip(points(50), list(points(100))[50:], strict=True):
        middle = cost(t, (x + other_x) / 2, (u + other_u) / 2)
        assert middle <= (cost(t, x, u) + cost(t, other_x, other_u)) / 2 + 1e-12


@every_cost
def test_the_gradient_is_the_finite_difference(cost, formula):
    step = 1e-6
    for t, x, u in points(5):
        gradient = np.concatenate(jax.grad(cost, argnums=(1, 2))(t, x, u))
        difference = [
            (formula(t, x + e[:n], u + e[n:]) - formula(t, x - e[:n], u - e[n:])) / (2 * step)
            for e in step * np.eye(n + p)
        ]
        np.testing.assert_allclose(gradient, difference, rtol=1e-6, atol=1e-7)


def test_hubers_gradient_never_exceeds_its_weights():
    """Lipschitz: P2's Assumption 5."""
    cost = Huber(width=0.1, weight=2.0, control_weight=3.0)
    for t, x, u in points(20):
        g_x, g_u = jax.grad(cost, argnums=(1, 2))(t, 100 * x, 100 * u)
        assert np.abs(g_x).max() <= 2
        assert np.abs(g_u).max() <= 3


def test_a_narrow_huber_is_the_l1_norm():
    x, u = np.array([1.0, -2.0, 0.5]), np.array([0.25, 4.0])
    np.testing.assert_allclose(Huber(width=1e-9)(0, x, u), 7.75, atol=1e-8)


def test_hubers_gradient_at_rest_is_zero():
    np.testing.assert_array_equal(jax.grad(Huber(), argnums=1)(0, np.zeros(n), np.ones(p)), 0)


@pytest.mark.parametrize("cost", [Tracking(TARGET), LinearStage(STATE_PRICE, CONTROL_PRICE)])
def test_the_last_row_stays(cost):
    x, u = np.ones(n), np.ones(p)
    assert cost(T + 100, x, u) == cost(T - 1, x, u)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Quadratic(Q=[[1.0, 2.0], [2.0, 1.0]]), "Q must be positive semidefinite"),
        (lambda: Quadratic(R=-1.0), "R must be positive semidefinite"),
        (lambda: Tracking(target=[1.0, 2.0]), r"target has shape \(2,\)"),
        (lambda: Huber(width=0.0), "width must be one positive number"),
        (lambda: Huber(weight=-1.0), "weights one number each, not negative"),
        (lambda: LinearStage([1.0, 2.0]), "state_price has shape"),
        (lambda: LinearStage([[1.0]], [1.0]), "control_price has shape"),
    ],
)
def test_a_fault_names_the_argument(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
