"""One linear system, several controllers: shapes in, shapes out."""

import numpy as np
import pytest

from phalanx import InputError, LinearSystem


@pytest.mark.parametrize(
    ("B", "n_agents"),
    [(1.0, 1), (np.ones((2, 1)), 1), (np.ones((3, 2, 1)), 3), (np.ones((5, 3, 2, 1)), 3)],
    ids=["scalar", "matrix", "stack", "stack in time"],
)
def test_the_axes_of_B_say_how_many_agents_act(B, n_agents):
    A = 1.0 if np.ndim(B) == 0 else np.eye(2)
    assert LinearSystem(A, B).n_agents == n_agents


def test_sizes():
    system = LinearSystem(np.eye(4), np.ones((3, 4, 2)), np.ones((4, 1)))
    sizes = (system.n_agents, system.state_size, system.control_size, system.disturbance_size)
    assert sizes == (3, 4, 2, 1)


def test_the_disturbance_enters_every_state_by_default():
    np.testing.assert_array_equal(LinearSystem(np.eye(3), np.ones((3, 1))).E, np.eye(3))


@pytest.mark.parametrize("varying", ["A", "B", "E"])
def test_one_varying_matrix_makes_the_system_vary(varying):
    parts = {"A": np.eye(2), "B": np.ones((3, 2, 1)), "E": np.ones((2, 1))}
    parts[varying] = np.stack([parts[varying]] * 7)
    assert LinearSystem(**parts).stages == 7


def test_a_constant_system_has_no_stages():
    assert LinearSystem(np.eye(2), np.ones((3, 2, 1))).stages is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"A": np.eye(2), "B": np.ones((3, 1))}, r"B has shape \(1, 3, 1\).*\(N, 2, p\)"),
        ({"A": np.ones((2, 3)), "B": np.ones((3, 1))}, r"A has shape \(2, 3\)"),
        ({"A": np.eye(2), "B": np.ones((2, 1)), "E": np.ones((3, 1))}, r"E has shape \(3, 1\)"),
        ({"A": np.eye(2), "B": np.full((2, 1), np.inf)}, "B must be finite"),
        ({"A": np.ones((3, 2, 2)), "B": np.ones((4, 1, 2, 1))}, "A has 3, B has 4"),
    ],
)
def test_a_fault_names_the_argument(given, sentence):
    with pytest.raises(InputError, match=sentence):
        LinearSystem(**given)
