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
        B: (N, n, p), one input matrix per agent, or (T, N, n, p); a plain (n, p) means N = 1.
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

    def __init__(self, A: MatrixLike, B: MatrixLike, E: MatrixLike = 1.0):
        A, B = array("A", A), array("B", B)
        A = A.reshape(1, 1) if A.ndim == 0 else A
        n = A.shape[-1]
        B = B.reshape(1, 1, 1) if B.ndim == 0 else B[None] if B.ndim == 2 else B
        if B.ndim not in (3, 4) or B.shape[-2] != n:
            raise InputError(
                f"B has shape {B.shape} and must have shape (N, {n}, p), one matrix per agent, or (T, N, {n}, p)."
            )
        E = array("E", E)
        object.__setattr__(self, "A", matrix("A", A, n, n))
        object.__setattr__(self, "B", frozen(B))
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
        """Entries of one agent's control."""
        return self.B.shape[-1]

    @property
    def disturbance_size(self) -> int:
        """Entries of the disturbance w."""
        return self.E.shape[-1]

    @property
    def stages(self) -> int | None:
        """Length of the time axis, None when all matrices are constant."""
        flat = self.B.reshape((*self.B.shape[:-3], -1, self.B.shape[-1]))
        return same_time_axis([("A", self.A), ("B", flat), ("E", self.E)])
