"""Feedback Nash equilibria, against QuantEcon, against best responses, and against the regulator."""

import numpy as np
import pytest
import quantecon
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from phalanx import InputError, NoSolutionError
from phalanx.equilibria import nash_feedback


def semidefinite(rng, n, floor=0.0):
    X = rng.normal(size=(n, n))
    return X @ X.T / n + floor * np.eye(n)


def random_game(seed, n, sizes, radius=1.1, price=1.0):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    A *= radius / np.abs(np.linalg.eigvals(A)).max()
    B = [rng.normal(size=(n, p)) for p in sizes]
    Q = [semidefinite(rng, n, 0.1) for _ in sizes]
    return A, B, Q, [semidefinite(rng, p, price) for p in sizes]


def others(A, B, K, i):
    return A - sum(B[j] @ K[j] for j in range(len(B)) if j != i)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 4),
    sizes=st.lists(st.integers(1, 2), min_size=1, max_size=4),
)
def test_every_players_gain_is_its_best_response(seed, n, sizes):
    A, B, Q, R = random_game(seed, n, sizes)
    nash = nash_feedback(A, B, Q, R)
    if not nash.ok:
        assert nash.outcome.status == "not_converged"
        return
    assert nash.residual <= 1e-10
    F = others(A, B, nash.K, None)
    np.testing.assert_allclose(nash.spectral_radius, np.abs(np.linalg.eigvals(F)).max(), rtol=1e-9)
    assert nash.spectral_radius < 1
    for i in range(len(sizes)):
        given_others = others(A, B, nash.K, i)
        P = scipy.linalg.solve_discrete_are(given_others, B[i], Q[i], R[i])
        K = np.linalg.solve(R[i] + B[i].T @ P @ B[i], B[i].T @ P @ given_others)
        np.testing.assert_allclose(nash.K[i], K, atol=1e-6 * max(1, np.abs(K).max()))
        np.testing.assert_allclose(nash.P[i], P, atol=1e-6 * np.abs(P).max())


@pytest.mark.parametrize("seed", range(8))
def test_two_players_agree_with_quantecon_cross_terms_included(seed):
    rng = np.random.default_rng(seed)
    A, B, Q, R = random_game(seed, 3, (2, 1), radius=0.9, price=2.0)
    S = [semidefinite(rng, 1), semidefinite(rng, 2)]  # player i pays for the other's control
    W = [0.1 * rng.normal(size=(3, 2)), 0.1 * rng.normal(size=(3, 1))]
    M = [0.1 * rng.normal(size=(1, 2)), 0.1 * rng.normal(size=(2, 1))]  # u_jᵀ M_i u_i
    f1, f2, p1, p2 = quantecon.nnash(A, *B, *Q, *R, *S, *W, *M, tol=1e-13, max_iter=10_000)
    joint = [np.block([[R[0], M[0].T], [M[0], S[0]]]), np.block([[S[1], M[1]], [M[1].T, R[1]]])]
    nash = nash_feedback(A, B, Q, joint, cross=W)
    assert nash.ok
    for ours, theirs in zip((*nash.K, *nash.P), (f1, f2, p1, p2), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def judd_duopoly():
    """Two firms set output and price, x = (stock_1, stock_2, 1); costs are minus profits.

    Stocks decay by 2 % after production less sales, sales are D p + 25, stock costs I²/2 − 2I + 1 and
    production 3q²/2 + 10q + 10 up to constants that no decision changes.
    """
    keep, D, demand = 0.98, np.array([[-1.0, 0.5], [0.5, -1.0]]), 25.0
    A = np.array([[keep, 0, -keep * demand], [0, keep, -keep * demand], [0, 0, 1]])
    B, Q, R, S = [], [], [], []
    for i in range(2):
        produce = np.eye(3)[:, i] * keep
        sell = -keep * np.append(D[:, i], 0.0)
        B.append(np.column_stack([produce, sell]))
        stock = np.zeros((3, 3))
        stock[i, i], stock[i, 2], stock[2, i], stock[2, 2] = 0.5, -1.0, -1.0, 1.0
        Q.append(stock)
        revenue = np.zeros((4, 4))  # controls (q_1, p_1, q_2, p_2)
        own, other = 2 * i + 1, 3 - 2 * i
        revenue[2 * i, 2 * i] = 1.5
        revenue[own, own] = -D[i, i]
        revenue[own, other] = revenue[other, own] = -D[i, 1 - i] / 2
        R.append(revenue)
        mixed = np.zeros((3, 2))
        mixed[2] = 5.0, -demand / 2
        S.append(mixed)
    return A, B, Q, R, S


def quantecon_on_judd(beta):
    A, B, Q, R, S = judd_duopoly()
    own = [R[0][:2, :2], R[1][2:, 2:]]
    between = [R[0][2:, :2], R[1][:2, 2:]]
    nothing = np.zeros((2, 2))
    return quantecon.nnash(
        A, *B, *Q, *own, nothing, nothing, *S, *between, beta=beta, tol=1e-12, max_iter=20_000
    )


def test_judds_duopoly_undiscounted_is_the_limit_of_its_finite_games():
    """Undiscounted, the constant 1 in the state is worth infinitely much: only gains converge."""
    A, B, Q, R, S = judd_duopoly()
    f1, f2, *_ = quantecon_on_judd(1.0)
    nash = nash_feedback(A, B, Q, R, 200, cross=S)
    assert nash.ok
    np.testing.assert_allclose(nash.K[0][0], f1, rtol=1e-7)
    np.testing.assert_allclose(nash.K[1][0], f2, rtol=1e-7)
    np.testing.assert_allclose(
        f1[0, 0], 0.243666582208565, rtol=1e-7
    )  # as Judd's own program prints
    assert nash_feedback(A, B, Q, R, cross=S).outcome.status == "unstabilisable"


def test_judds_duopoly_discounted_agrees_with_quantecon():
    A, B, Q, R, S = judd_duopoly()
    f1, f2, p1, p2 = quantecon_on_judd(0.95)
    root = np.sqrt(0.95)
    nash = nash_feedback(root * A, [root * b for b in B], Q, R, cross=S)
    assert nash.ok
    for ours, theirs in zip(nash.K, (f1, f2), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8)
    # QuantEcon stops when gains rest; the worth of the constant, which no gain reads, is then still moving.
    for ours, theirs in zip(nash.P, (p1, p2), strict=True):
        np.testing.assert_allclose(ours.ravel()[:-1], theirs.ravel()[:-1], rtol=1e-6)


def test_one_player_is_the_regulator():
    A, B, Q, R = random_game(3, 4, (2,), radius=1.3)
    nash = nash_feedback(A, B, Q, R)
    P = scipy.linalg.solve_discrete_are(A, B[0], Q[0], R[0])
    np.testing.assert_allclose(nash.P[0], P, rtol=1e-9)


def test_players_who_never_meet_are_regulators_of_their_own():
    first, second = random_game(5, 2, (1,), radius=1.2), random_game(6, 3, (2,), radius=0.9)
    A = scipy.linalg.block_diag(first[0], second[0])
    B = [np.vstack([first[1][0], np.zeros((3, 1))]), np.vstack([np.zeros((2, 2)), second[1][0]])]
    zero = np.zeros
    Q = [
        scipy.linalg.block_diag(first[2][0], zero((3, 3))),
        scipy.linalg.block_diag(zero((2, 2)), second[2][0]),
    ]
    nash = nash_feedback(A, B, Q, [first[3][0], second[3][0]])
    assert nash.ok
    for K, (a, b, q, r), columns in ((nash.K[0], first, slice(0, 2)), (nash.K[1], second, slice(2, 5))):  # fmt: skip
        P = scipy.linalg.solve_discrete_are(a, b[0], q[0], r[0])
        alone = np.linalg.solve(r[0] + b[0].T @ P @ b[0], b[0].T @ P @ a)
        np.testing.assert_allclose(K[:, columns], alone, atol=1e-10)
        rest = np.delete(K, np.r_[columns], axis=1)
        np.testing.assert_allclose(rest, 0, atol=1e-10)


def test_private_and_joint_weights_state_the_same_game():
    A, B, Q, R = random_game(7, 3, (1, 2, 1))
    starts = (0, 1, 3)
    joint = []
    for start, r in zip(starts, R, strict=True):
        full = np.zeros((4, 4))
        full[start : start + len(r), start : start + len(r)] = r
        joint.append(full)
    one, two = nash_feedback(A, B, Q, R), nash_feedback(A, B, Q, joint)
    for a, b in zip((*one.K, *one.P), (*two.K, *two.P), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_a_finite_game_is_backward_induction_by_brute_force():
    """Each stage's gains are stationary points of each player's cost-to-go, by finite differences."""
    A, B, Q, R = random_game(8, 2, (1, 2))
    T, last = 4, [2.0, 3.0]
    nash = nash_feedback(A, B, Q, R, T, terminal=last)
    assert nash.ok
    assert nash.spectral_radius is None
    assert [K.shape for K in nash.K] == [(4, 1, 2), (4, 2, 2)]
    rng = np.random.default_rng(0)

    def cost(i, t, x, first):
        """Player i's cost from stage t, when it plays `first` there and everyone the equilibrium else."""
        total = 0.0
        for s in range(t, T):
            u = [first if (s, j) == (t, i) else -nash.K[j][s] @ x for j in range(2)]
            total += x @ Q[i] @ x + u[i] @ R[i] @ u[i]
            x = A @ x + sum(b @ v for b, v in zip(B, u, strict=True))
        return total + last[i] * x @ x

    for t in range(T):
        x = rng.normal(size=2)
        for i in range(2):
            u = -nash.K[i][t] @ x
            best = cost(i, t, x, u)
            np.testing.assert_allclose(best, x @ nash.P[i][t] @ x, rtol=1e-10)
            for move in np.eye(len(u)):
                slope = (cost(i, t, x, u + 1e-4 * move) - cost(i, t, x, u - 1e-4 * move)) / 2e-4
                np.testing.assert_allclose(slope, 0, atol=1e-7 * max(1, best))
                assert cost(i, t, x, u + 0.1 * move) > best


def test_an_equilibrium_is_found_where_the_recursion_cycles():
    """Cheap controls on a shared state: the finite games' first gains alternate between two policies."""
    A, B = [[2.0, 2.0], [-1.0, -2.0]], [[[1.0], [2.0]], [[0.0], [-2.0]]]
    Q, R = [np.diag([0.0, 1.0]), np.diag([3.0, 1.0])], [0.1, 0.1]
    first = [nash_feedback(A, B, Q, R, T).K[0][0] for T in (300, 301, 302)]
    np.testing.assert_allclose(first[0], first[2], atol=1e-9)
    assert np.abs(first[0] - first[1]).max() > 1
    nash = nash_feedback(A, B, Q, R)
    assert nash.ok
    assert nash.residual <= 1e-10
    assert "damped" in nash.outcome.sentence
    for i in range(2):
        alone = others(np.array(A), np.array(B), nash.K, i)
        P = scipy.linalg.solve_discrete_are(alone, np.array(B[i]), Q[i], np.eye(1) * R[i])
        np.testing.assert_allclose(nash.P[i], P, atol=1e-8 * np.abs(P).max())


# --- what is no equilibrium ---------------------------------------------------------------------


def test_a_mode_nobody_reaches_is_named():
    nash = nash_feedback(np.diag([0.5, 1.2]), [[[1.0], [0.0]]] * 2, [1.0, 1.0], [1.0, 1.0])
    assert nash.outcome.status == "unstabilisable"
    assert "eigenvalue 1.2 (modulus 1.2) along x[1]" in nash.outcome.sentence
    with pytest.raises(NoSolutionError, match="no player's control reaches"):
        nash_feedback(np.diag([0.5, 1.2]), [[[1.0], [0.0]]] * 2, [1.0, 1.0], [1.0, 1.0], throw=True)


def test_a_concave_player_is_named():
    nash = nash_feedback(1.0, [1.0, 1.0], [1.0, 1.0], [1.0, -5.0], 3)
    assert nash.outcome.status == "infeasible"
    assert "Player 1's cost is not convex in its own control at stage 2" in nash.outcome.sentence
    assert np.isnan(nash.K[0]).all()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: nash_feedback(1.0, 1.0, [1.0], [1.0]), "B must be a list of input matrices"),
        (lambda: nash_feedback(1.0, [1.0], 1.0, [1.0]), "Q must be a list of one entry per player"),
        (lambda: nash_feedback(1.0, [1.0, 1.0], [1.0, 1.0], [1.0]), "R must be a list.*holds 1"),
        (lambda: nash_feedback(np.eye(2), [np.ones((3, 1))], [1.0], [1.0]), r"B\[0\] has shape"),
        (
            lambda: nash_feedback(np.eye(2), [np.eye(2)], [[[1.0, 1.0], [0.0, 1.0]]], [1.0]),
            r"Q\[0\] must be symmetric",
        ),
        (lambda: nash_feedback(1.0, [1.0], [1.0], [1.0], terminal=[1.0]), "terminal is the weight"),
        (lambda: nash_feedback(1.0, [1.0], [1.0], [1.0], 0), "horizon must be a positive whole"),
        (lambda: nash_feedback(1.0, [1.0], [1.0], [[[1.0, 2.0], [1.0]]]), r"R\[0\] is ragged"),
        (lambda: nash_feedback(1.0, [1.0], [1.0], [[1.0, 2.0]]), r"R\[0\] has shape"),
        (lambda: nash_feedback(1.0, [1.0], [1.0], [1.0], cross=[[[1.0], [2.0]]]), r"cross\[0\]"),
        (lambda: nash_feedback(1.0, [1.0], [np.nan], [1.0]), r"Q\[0\] must be finite"),
    ],
)
def test_a_fault_names_the_argument(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
