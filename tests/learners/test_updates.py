"""Descent–ascent with exact gradients: P1's Algorithm 1 written out, and the rates that are promised.

Near a stage's saddle point the field is linear, so each update multiplies the error by a known
matrix; its spectral radius is the rate.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from _oracles import halves, saddle_level
from learning_worlds import (
    Start,
    added,
    curvature,
    random_gains,
    random_start,
    small_game,
    stage_gradient,
    stage_saddle,
)

from phalanx.learners import ExactOracle, JointGains, _descent, _steps
from phalanx.learners._quadratic import Curvature

UPDATES = [
    "simultaneous",
    "alternating",
    "extragradient",
    "optimistic",
    "natural",
    "gauss_newton",
    "newton",
]
STAGE, P = 1, 1
NEVER = 10**9


@pytest.fixture(autouse=True, scope="module")
def _float64():
    with jax.enable_x64(True):
        yield


class Stage:
    """One stage of a random game, its later gains fixed."""

    def __init__(self, seed: int, sizes=(2, 1, 2), plain: bool = False):
        rng = np.random.default_rng([85, seed])
        self.game = small_game(seed, *sizes)
        self.gains = random_gains(rng, self.game, 0.1)
        m = sizes[0]
        self.start = Start(np.eye(m), np.eye(m)) if plain else random_start(rng, m)
        self.gamma = 2.0 * saddle_level(*halves(self.game))
        self.oracle = ExactOracle(self.game, Sigma_y=self.start.y, Sigma_z=self.start.z)
        self.S = curvature(self.game, self.gains, STAGE, self.gamma)
        self.bend = Curvature(self.S, sizes[1])
        self.Sigma = np.stack(self.start)
        self.saddle = stage_saddle(self.game, self.gains, STAGE, self.gamma)
        self.rows, self.columns = self.saddle.shape

    def field(self, W: np.ndarray, players=(0, 1)) -> np.ndarray:
        """(∇_{θ¹}, −∇_{θ²}) by theory's eq. 24."""
        p = self.game.system.control_size
        own = np.concatenate([self.gains.theta1[STAGE], self.gains.theta2[STAGE]])
        at = added(self.gains, STAGE, (W - own)[:p], (W - own)[p:])
        G = stage_gradient(self.game, at, STAGE, self.gamma, self.start)
        parts = [G.theta1, -G.theta2]
        return np.concatenate([g * (j in players) for j, g in enumerate(parts)])

    def preconditioned(self, update: str):
        return _steps.preconditioner(update, self.bend, self.Sigma, self.rows)

    def best(self, update: str) -> float:
        return _steps.best(update, self.spectrum(update))

    def spectrum(self, update: str) -> np.ndarray:
        return _steps.spectrum(self.bend, self.Sigma, *self.preconditioned(update))

    def run(self, update, iterations, eta=None, decay=0.0, ball=1e9, tail=NEVER, each=1):
        """(W after every `each` iterations, the last state of the loop)."""
        left, right = self.preconditioned(update)
        eta = self.best(update) if eta is None else eta
        numbers = _descent.Numbers(
            *map(jnp.asarray, (self.gamma, 1.0, eta, decay, ball)),
            left,
            right,
            jnp.asarray(tail),
            jnp.asarray(tail + (iterations - tail) // 2),
        )
        now = _descent.start(jnp.zeros((1, self.rows, self.columns)))
        gains, out = JointGains(*map(jnp.asarray, self.gains)), [np.asarray(now.W[0])]
        for k in range(0, iterations, each):
            now = _descent.advance(
                self.oracle,
                _descent.Rule("exact", update, 1),
                gains,
                now,
                numbers,
                jnp.asarray(STAGE),
                jax.random.key(0),
                jnp.asarray(k),
                jnp.asarray(k + each),
            )
            out.append(np.asarray(now.W[0]))
        return np.stack(out), now


@pytest.fixture(scope="module")
def stage():
    return Stage(0)


@pytest.fixture(scope="module", params=[0, 1, 2])
def any_stage(request):
    return Stage(request.param)


# --- P1's Algorithm 1 ------------------------------------------------------------------------------


def clipped(W, ball):
    """Each player's gains, projected."""
    parts = np.split(W, [P])
    return np.concatenate([X * min(1.0, ball / np.linalg.norm(X)) for X in parts])


def algorithm_1(stage: Stage, eta, iterations, decay=0.0, ball=np.inf) -> np.ndarray:
    """Simultaneous descent–ascent from 0, every gradient written out."""
    W = [np.zeros_like(stage.saddle)]
    for k in range(iterations):
        W.append(clipped(W[-1] - eta / (1 + decay * k) * stage.field(W[-1]), ball))
    return np.stack(W)


@pytest.mark.parametrize("settings", [{}, {"decay": 0.1}, {"ball": 0.05}], ids=str)
def test_simultaneous_steps_are_p1s_algorithm_1(stage, settings):
    eta = stage.best("simultaneous")
    ours, _ = stage.run("simultaneous", 40, eta, **settings)
    np.testing.assert_allclose(ours, algorithm_1(stage, eta, 40, **settings), atol=1e-12)


def test_the_other_updates_are_their_formulas(stage):
    """One by one, from the same field: three steps of each."""
    zero = np.zeros_like(stage.saddle)

    def alternating(W, eta):
        half = W - eta * stage.field(W, players=(0,))
        return half - eta * stage.field(half, players=(1,))

    def extragradient(W, eta):
        return W - eta * stage.field(W - eta * stage.field(W))

    for update, formula in (("alternating", alternating), ("extragradient", extragradient)):
        eta, W = stage.best(update), zero
        ours, _ = stage.run(update, 3)
        for k in range(3):
            W = formula(W, eta)
            np.testing.assert_allclose(ours[k + 1], W, atol=1e-12)
    eta, W, before = stage.best("optimistic"), zero, stage.field(zero)
    ours, _ = stage.run("optimistic", 3)
    for k in range(3):
        now = stage.field(W)
        W, before = W - eta * (2 * now - before), now
        np.testing.assert_allclose(ours[k + 1], W, atol=1e-12)


def test_preconditioned_updates_divide_by_what_their_names_say(stage):
    """From 0: natural by Σ, gauss_newton by each player's own curvature too, newton by all of it."""
    F = stage.field(np.zeros_like(stage.saddle))
    M = np.diag([1.0, -1.0, -1.0]) @ stage.S
    own = M.copy()
    own[:, :P, P:] = own[:, P:, :P] = 0
    m = stage.columns // 2
    parts = [F[:, :m] @ np.linalg.inv(stage.start.y), F[:, m:] @ np.linalg.inv(stage.start.z)]
    for update, left in (("natural", None), ("gauss_newton", own), ("newton", M)):
        step = [X if left is None else np.linalg.solve(2 * left[h], X) for h, X in enumerate(parts)]
        ours, _ = stage.run(update, 1, eta=0.3)
        np.testing.assert_allclose(ours[1], -0.3 * np.hstack(step), atol=1e-12)


def test_newton_with_a_whole_step_is_there_at_once(any_stage):
    ours, _ = any_stage.run("newton", 1, eta=1.0)
    np.testing.assert_allclose(ours[1], any_stage.saddle, atol=1e-12)


# --- rates -----------------------------------------------------------------------------------------


def map_of_errors(stage: Stage, update: str, eta: float) -> np.ndarray:
    """The matrix that one iteration multiplies the error by, from differences of iterations."""
    n = stage.saddle.size

    def linear(E, players):
        return stage.field(E, players) - stage.field(np.zeros_like(E), players)

    left, right = stage.preconditioned(update)
    m = stage.columns // 2

    def step(E, players=(0, 1)):
        F = linear(E, players)
        return np.hstack([left[0] @ F[:, :m] @ right[0], left[1] @ F[:, m:] @ right[1]])

    def once(E):
        if update == "alternating":
            half = E - eta * step(E, (0,))
            return half - eta * step(half, (1,))
        if update == "extragradient":
            return E - eta * step(E - eta * step(E))
        return E - eta * step(E)

    basis = np.eye(n).reshape(n, *stage.saddle.shape)
    if update == "optimistic":  # (error, error before) → (error after, error)
        F = np.stack([step(e).ravel() for e in basis], axis=1)
        return np.block([[np.eye(n) - 2 * eta * F, eta * F], [np.eye(n), np.zeros((n, n))]])
    return np.stack([once(e).ravel() for e in basis], axis=1)


def measured_rate(stage: Stage, update: str) -> float:
    """Mean factor an iteration over the second half of the way down to rounding."""
    each = 1 if update in ("natural", "gauss_newton", "newton") else 20  # the others are slower
    W, _ = stage.run(update, 400 * each, each=each)
    errors = np.linalg.norm(W - stage.saddle, axis=(1, 2))
    down = int(np.argmax(errors < 1e-10))
    assert down > 1
    middle = down // 2
    return float((errors[down] / errors[middle]) ** (1 / (each * (down - middle))))


@pytest.mark.parametrize("update", UPDATES)
def test_every_update_converges_linearly_at_its_spectral_radius(any_stage, update):
    rate = measured_rate(any_stage, update)
    radius = np.abs(np.linalg.eigvals(map_of_errors(any_stage, update, any_stage.best(update))))
    assert rate < 1
    assert rate == pytest.approx(radius.max(), rel=0.05)


@pytest.mark.parametrize("update", [u for u in UPDATES if u != "alternating"])
def test_the_predicted_factor_is_the_spectral_radius(any_stage, update):
    eta = any_stage.best(update)
    predicted = _steps.factor(update, eta * any_stage.spectrum(update)).max()
    radius = np.abs(np.linalg.eigvals(map_of_errors(any_stage, update, eta))).max()
    assert predicted == pytest.approx(radius, rel=1e-9)


@pytest.mark.parametrize("update", ["simultaneous", "extragradient", "optimistic", "newton"])
def test_the_automatic_step_is_nearly_the_best_constant_one(any_stage, update):
    """No step size contracts much better than the one chosen, which is held back a little."""
    eigenvalues = any_stage.spectrum(update)
    worst = lambda eta: _steps.factor(update, eta * eigenvalues).max()  # noqa: E731
    tried = np.geomspace(1e-4, 10, 5000) / np.abs(eigenvalues).max()
    least = min(tried, key=worst)
    assert worst(any_stage.best(update)) < 1
    assert any_stage.best(update) == pytest.approx(_steps.SAFETY * least, rel=0.02)


def test_where_nothing_contracts_the_step_is_a_careful_one():
    assert _steps.best("simultaneous", np.array([1.0, -2.0])) == pytest.approx(0.05)


def test_theorem_4s_step_contracts_at_least_as_theorem_4_says(any_stage):
    """|error|² ≤ (1 − ημ)^k |error at first|² in every single iteration."""
    eta, mu, L = _steps.theory(any_stage.bend, any_stage.Sigma)
    W, _ = any_stage.run("simultaneous", 400, eta)
    squares = ((W - any_stage.saddle) ** 2).sum(axis=(1, 2))
    k = np.arange(len(W))
    assert (squares <= (1 - eta * mu) ** k * squares[0] * (1 + 1e-9) + 1e-24).all()
    assert eta == pytest.approx(mu / L**2)


def test_mu_and_l_bound_the_field(any_stage):
    """⟨F(W) − F(V), W − V⟩ ≥ μ|W − V|² and |F(W) − F(V)| ≤ L|W − V|; μ takes the least Σ of both halves."""
    _, mu, L = _steps.theory(any_stage.bend, any_stage.Sigma)
    rng = np.random.default_rng(86)
    for _ in range(200):
        W, V = rng.normal(size=(2, *any_stage.saddle.shape))
        gap, E = any_stage.field(W) - any_stage.field(V), W - V
        assert (gap * E).sum() >= mu * (E**2).sum() * (1 - 1e-9)
        assert np.linalg.norm(gap) <= L * np.linalg.norm(E) * (1 + 1e-9)
    F = map_of_errors(any_stage, "simultaneous", -1.0) - np.eye(any_stage.saddle.size)
    assert np.linalg.eigvalsh((F + F.T) / 2)[0] >= mu * (1 - 1e-12)
    assert np.linalg.norm(F, 2) == pytest.approx(L, rel=1e-8)


def test_from_white_first_states_mu_is_the_fields_least_slope():
    white = Stage(1, plain=True)
    F = map_of_errors(white, "simultaneous", -1.0) - np.eye(white.saddle.size)
    _, mu, _ = _steps.theory(white.bend, white.Sigma)
    assert np.linalg.eigvalsh((F + F.T) / 2)[0] == pytest.approx(mu, rel=1e-8)


# --- ball, tail ------------------------------------------------------------------------------------


def test_no_iterate_leaves_the_ball_and_leaving_it_is_counted(stage):
    ball = 0.3 * min(np.linalg.norm(X) for X in np.split(stage.saddle, [P]))
    W, last = stage.run("simultaneous", 40, ball=ball, tail=20)
    for player in np.split(W, [P], axis=1):
        assert np.linalg.norm(player, axis=(1, 2)).max() <= ball * (1 + 1e-12)
    assert last.outside == 20
    _, free = stage.run("simultaneous", 40, tail=20)
    assert free.outside == 0


def test_the_tail_sums_iterates_and_fields_from_its_first_iteration(stage):
    W, last = stage.run("simultaneous", 40, tail=25)
    np.testing.assert_allclose(last.sum_W.sum(axis=0)[0], W[25:40].sum(axis=0), atol=1e-12)
    fields = sum(stage.field(w) for w in W[25:40])
    np.testing.assert_allclose(last.sum_field.sum(axis=0)[0], fields, atol=1e-11)
    np.testing.assert_allclose(last.field[0], stage.field(W[39]), atol=1e-12)
    assert last.first == pytest.approx(np.linalg.norm(stage.field(W[0])))


@pytest.mark.parametrize("update", ["simultaneous", "optimistic"])
def test_iterations_may_be_cut_anywhere(stage, update):
    one_by_one, _ = stage.run(update, 24)
    by_sixes, _ = stage.run(update, 24, each=6)
    np.testing.assert_array_equal(one_by_one[::6], by_sixes)


def test_rollouts_of_an_iteration_are_both_players():
    for update, times in (("simultaneous", 1), ("alternating", 1), ("extragradient", 2)):
        rule = _descent.Rule("two_point", update, 101)
        assert _descent.rollouts_per_iteration(rule, (4, 8)) == times * 200
    rule = _descent.Rule("coordinate", "simultaneous", 3)
    assert _descent.rollouts_per_iteration(rule, (4, 8)) == 8 + 16
