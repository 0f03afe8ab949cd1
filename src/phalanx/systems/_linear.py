"""One linear system with a shared state and several controllers.

    x' = A x + Σ_i B_i u^i + E w

The meeting ground of the two papers: a population of N agents is such a system (its state stacks
the agents'), and so are both halves of the mean-field split, each with a single controller.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array, frozen, matrix, same_time_axis


@dataclass(frozen=True, eq=False)
class LinearSystem:
    """x' = A x + Σ_i B_i u^i + E w (P2, Section 2; E lets w enter through fewer channels).

    Args:
        A: (n, n), or (T, n, n) when it varies in time.
        B: (N, n, p), one input matrix per agent, or (T, N, n, p); a plain (n, p) means N = 1. Agents
            with different numbers of inputs: a list of (n, p_i) matrices; they are kept with columns of
            zeros up to the widest, and `control_sizes` remembers each p_i.
        E: (n, q) or (T, n, q); identity when left out.

    Raises:
        InputError: a shape that does not fit, or an entry that is not finite.

    Example:
        >>> system = LinearSystem(A=[[1, 1], [0, 1]], B=[[[0], [1]], [[1], [0]]])
        >>> system.n_agents, system.state_size, system.control_size
        (2, 2, 1)
    """

    A: Float[np.ndarray, "*T n n"]
    B: Float[np.ndarray, "*T N n p"]
    E: Float[np.ndarray, "*T n q"]
    control_sizes: tuple[int, ...]

    def __init__(self, A: MatrixLike, B: MatrixLike, E: MatrixLike = 1.0):
        A = array("A", A)
        A = A.reshape(1, 1) if A.ndim == 0 else A
        n = A.shape[-1]
        B, sizes = _side_by_side(B, n)
        B = B.reshape(1, 1, 1) if B.ndim == 0 else B[None] if B.ndim == 2 else B
        if B.ndim not in (3, 4) or B.shape[-2] != n:
            raise InputError(
                f"B has shape {B.shape} and must have shape (N, {n}, p), one matrix per agent, or (T, N, {n}, p)."
            )
        E = array("E", E)
        object.__setattr__(self, "A", matrix("A", A, n, n))
        object.__setattr__(self, "B", frozen(B))
        object.__setattr__(self, "control_sizes", sizes or (B.shape[-1],) * B.shape[-3])
        object.__setattr__(self, "E", matrix("E", E, n, n if E.ndim == 0 else E.shape[-1]))
        _ = self.stages

    @property
    def n_agents(self) -> int:
        """How many controllers act."""
        return self.B.shape[-3]

    @property
    def state_size(self) -> int:
        """Entries of the shared state."""
        return self.A.shape[-1]

    @property
    def control_size(self) -> int:
        """Entries of one agent's control; of the widest where they differ."""
        return self.B.shape[-1]

    def input_matrix(self, agent: int) -> Float[np.ndarray, "n p"]:
        """B_i (n, p_i) of one agent, without the columns of zeros that fill it up."""
        return self.B[..., agent, :, : self.control_sizes[agent]]

    @property
    def disturbance_size(self) -> int:
        """Entries of the disturbance w."""
        return self.E.shape[-1]

    @property
    def stages(self) -> int | None:
        """Length of the time axis, None when all matrices are constant."""
        flat = self.B.reshape((*self.B.shape[:-3], -1, self.B.shape[-1]))
        return same_time_axis([("A", self.A), ("B", flat), ("E", self.E)])


def _side_by_side(B: MatrixLike, n: int) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """B as one array; a list of matrices of different widths is filled up with zeros."""
    if not isinstance(B, list | tuple):
        return array("B", B), None
    widths = {np.shape(one)[-1] for one in B if _is_matrix(one)}
    if len(widths) < 2 or not all(_is_matrix(one) for one in B):
        return array("B", B), None
    parts = [array(f"B of agent {i}", one) for i, one in enumerate(B)]
    for i, part in enumerate(parts):
        if part.shape[0] != n:
            raise InputError(
                f"B of agent {i} has shape {part.shape} and must have {n} rows, one per entry of the state."
            )
    sizes = tuple(part.shape[1] for part in parts)
    filled = np.zeros((len(parts), n, max(sizes)))
    for i, part in enumerate(parts):
        filled[i, :, : sizes[i]] = part
    return filled, sizes


def _is_matrix(value: MatrixLike) -> bool:
    try:
        return np.ndim(value) == 2
    except ValueError:  # ragged: `array` says so in a sentence
        return False
