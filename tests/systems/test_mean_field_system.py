"""A population falls, exactly and for every N, into a deviation system and a mean system.

The oracle is a loop over agents written straight from P1's eq. 1; it knows nothing of the split.
"""

import numpy as np
import pytest

from phalanx import InputError, MeanFieldSystem

T, N, m, p, q = 6, 5, 3, 2, 4
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def general_system(rng: np.random.Generator) -> MeanFieldSystem:
    """Everything at once: six different matrices, each varying in time, none square but A and Ā."""
    columns = {"A": m, "A_bar": m, "B": p, "B_bar": p, "D": q, "D_bar": q}
    return MeanFieldSystem(
        **{name: 0.5 * rng.normal(size=(T, m, c)) for name, c in columns.items()}
    )


def population_by_hand(system, x0, u, d, omega, omega_bar):
    """P1, eq. 1, agent by agent: states (T+1, N, m) from controls, disturbances and noise."""
    x = [x0]
    for t in range(T):
        now, following = x[-1], np.empty_like(x0)
        for i in range(len(x0)):
            following[i] = (
                system.A[t] @ now[i]
                + system.A_bar[t] @ now.mean(axis=0)
                + system.B[t] @ u[t, i]
                + system.B_bar[t] @ u[t].mean(axis=0)
                + system.D[t] @ d[t, i]
                + system.D_bar[t] @ d[t].mean(axis=0)
                + omega[t, i]
                + omega_bar[t]
            )
        x.append(following)
    return np.array(x)


def linear_by_hand(system, x0, u, w, noise):
    """x' = A x + Σ_i B_i u^i + E w + noise, with u (T, agents, p)."""
    x = [x0]
    for t in range(T):
        A, B, E = system.A[t], system.B[t], system.E[t]
        pushed = sum(B[i] @ u[t, i] for i in range(system.n_agents))
        x.append(A @ x[-1] + pushed + E @ w[t] + noise[t])
    return np.array(x)


@pytest.fixture
def played():
    """A system, any controls, disturbances and noise, and the states they lead to."""
    rng = np.random.default_rng(0)
    system = general_system(rng)
    inputs = {
        "x0": rng.normal(size=(N, m)),
        "u": rng.normal(size=(T, N, p)),
        "d": rng.normal(size=(T, N, q)),
        "omega": rng.normal(size=(T, N, m)),
        "omega_bar": rng.normal(size=(T, m)),
    }
    return system, inputs, population_by_hand(system, **inputs)


def deviation(value: np.ndarray) -> np.ndarray:
    return value - value.mean(axis=-2, keepdims=True)


def test_each_agents_deviation_obeys_the_deviation_system(played):
    system, now, x = played
    y = deviation(x)
    for i in range(N):
        u, d, eta = (deviation(now[name])[:, i] for name in ("u", "d", "omega"))
        by_split = linear_by_hand(system.split().deviation, y[0, i], u[:, None], d, eta)
        np.testing.assert_allclose(by_split, y[:, i], **EXACT)


def test_the_mean_obeys_the_mean_system(played):
    system, now, x = played
    u_bar, d_bar = now["u"].mean(axis=1), now["d"].mean(axis=1)
    zeta = now["omega_bar"] + now["omega"].mean(axis=1)
    by_split = linear_by_hand(system.split().mean, x[0].mean(axis=0), u_bar[:, None], d_bar, zeta)
    np.testing.assert_allclose(by_split, x.mean(axis=1), **EXACT)


def test_the_population_is_one_linear_system(played):
    system, now, x = played
    noise = now["omega"] + now["omega_bar"][:, None]
    stacked = linear_by_hand(
        system.population(N),
        now["x0"].reshape(-1),
        now["u"],
        now["d"].reshape(T, -1),
        noise.reshape(T, -1),
    )
    np.testing.assert_allclose(stacked, x.reshape(T + 1, -1), **EXACT)


def test_a_population_of_one_is_the_mean_system(played):
    system, _, _ = played
    one, mean = system.population(1), system.split().mean
    for name in ("A", "B", "E"):
        np.testing.assert_array_equal(getattr(one, name), getattr(mean, name))


def test_constant_and_varying_matrices_mix():
    varying = np.arange(8.0).reshape(2, 2, 2)
    system = MeanFieldSystem(A=np.eye(2), A_bar=varying)
    np.testing.assert_array_equal(system.split().mean.A, np.eye(2) + varying)
    assert system.population(3).A.shape == (2, 6, 6)


def test_defaults_are_the_papers():
    system = MeanFieldSystem(A=[[0.9, 0.2], [0.1, 0.8]])
    np.testing.assert_array_equal(system.D, np.eye(2))
    np.testing.assert_array_equal(system.D_bar, np.zeros((2, 2)))


def test_sizes_come_from_the_matrices_that_have_one():
    system = MeanFieldSystem(A=0.5, B=np.ones((3, 2)), D=np.ones((3, 1)))
    assert (system.state_size, system.control_size, system.disturbance_size) == (3, 2, 1)


def test_stages_are_the_common_length_of_the_time_axes():
    assert general_system(np.random.default_rng(1)).stages == T
    assert MeanFieldSystem(A=0.5).stages is None


def test_matrices_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        MeanFieldSystem(A=0.5).A[0, 0] = 1.0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"A": np.eye(2), "B": np.ones((1, 2))}, r"B has shape \(1, 2\).*\(2, 2\)"),
        ({"A": np.eye(2), "B": np.ones((2, 1)), "B_bar": np.ones((1, 2))}, "B_bar.*transposed"),
        ({"A": np.eye(2), "B": np.ones((2, 1)), "B_bar": 1.0}, "B_bar is the scalar 1.*not square"),
        ({"A": np.ones((2, 3))}, r"A has shape \(2, 3\)"),
        ({"A": [[np.nan]]}, r"A must be finite, but it holds nan at index \(0, 0\)"),
        ({"A": "fast"}, "A must hold numbers only"),
        ({"A": np.ones((3, 2, 2)), "B": np.ones((4, 2, 1))}, "A has 3, B has 4"),
    ],
)
def test_a_fault_names_the_argument(given, sentence):
    with pytest.raises(InputError, match=sentence):
        MeanFieldSystem(**given)


@pytest.mark.parametrize("n_agents", [0, -1, 2.0, True, "two"])
def test_a_population_needs_a_whole_number_of_agents(n_agents):
    with pytest.raises(InputError, match="n_agents must be a whole number"):
        MeanFieldSystem(A=0.5).population(n_agents)
