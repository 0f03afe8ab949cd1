"""A population of exchangeable agents, coupled through its means.

    x^i' = A x^i + Ā x̄ + B u^i + B̄ ū + D d^i + D̄ d̄ + ω^i + ω̄            (P1, eq. 1)

The whole theory rests on one identity, exact for every N and not only in the limit: the deviation
y^i = x^i − x̄ and the mean z = x̄ each obey a linear system of their own, with matrices (A, B, D)
and (A+Ā, B+B̄, D+D̄). `split` returns the two; `population` returns all N agents as one system.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array, matrix, same_time_axis
from phalanx.systems._linear import LinearSystem


@dataclass(frozen=True)
class Split:
    """The two systems a population falls into.

    Attributes:
        deviation: y' = A y + B (u−ū) + D (d−d̄) + η, the same for each agent.
        mean: z' = (A+Ā) z + (B+B̄) ū + (D+D̄) d̄ + ζ.
    """

    deviation: LinearSystem
    mean: LinearSystem


@dataclass(frozen=True, eq=False)
class MeanFieldSystem:
    """A population of exchangeable linear agents coupled through means (P1, eq. 1).

    Args:
        A: (m, m) own dynamics; any matrix may carry a leading time axis (T, ·, ·), and a scalar
            means scalar times identity.
        A_bar: (m, m) effect of the mean state x̄.
        B: (m, p) effect of the agent's own control u.
        B_bar: (m, p) effect of the mean control ū.
        D: (m, q) effect of the disturbance d on the agent; identity by default, as in P1.
        D_bar: (m, q) effect of the mean disturbance d̄; 0 by default, as in P1.

    Raises:
        InputError: a shape that does not fit, or an entry that is not finite.

    Example:
        >>> system = MeanFieldSystem(A=[[0.9, 0.2], [0.1, 0.8]], A_bar=0.1, B=[[1], [0]])
        >>> system.split().mean.A
        array([[1. , 0.2],
               [0.1, 0.9]])
    """

    A: Float[np.ndarray, "*T m m"]
    A_bar: Float[np.ndarray, "*T m m"]
    B: Float[np.ndarray, "*T m p"]
    B_bar: Float[np.ndarray, "*T m p"]
    D: Float[np.ndarray, "*T m q"]
    D_bar: Float[np.ndarray, "*T m q"]

    def __init__(
        self,
        A: MatrixLike,
        A_bar: MatrixLike = 0.0,
        B: MatrixLike = 1.0,
        B_bar: MatrixLike = 0.0,
        D: MatrixLike = 1.0,
        D_bar: MatrixLike = 0.0,
    ):
        given = {
            name: array(name, value)
            for name, value in (
                ("A", A),
                ("A_bar", A_bar),
                ("B", B),
                ("B_bar", B_bar),
                ("D", D),
                ("D_bar", D_bar),
            )
        }
        m = _size(given, ("A", "A_bar"), -1) or _size(given, ("B", "B_bar", "D", "D_bar"), -2) or 1
        p = _size(given, ("B", "B_bar"), -1) or m
        q = _size(given, ("D", "D_bar"), -1) or m
        for name, value in given.items():
            columns = {"A": m, "B": p, "D": q}[name[0]]
            object.__setattr__(self, name, matrix(name, value, m, columns))
        _ = self.stages

    @property
    def state_size(self) -> int:
        """m, entries of one agent's state."""
        return self.A.shape[-1]

    @property
    def control_size(self) -> int:
        """p, entries of one agent's control."""
        return self.B.shape[-1]

    @property
    def disturbance_size(self) -> int:
        """q, entries of one agent's disturbance."""
        return self.D.shape[-1]

    @property
    def stages(self) -> int | None:
        """Length of the time axis, None when all matrices are constant."""
        return same_time_axis(
            [(name, getattr(self, name)) for name in ("A", "A_bar", "B", "B_bar", "D", "D_bar")]
        )

    def split(self) -> Split:
        """The deviation and the mean system (theory: "exact split, for every N").

        Returns:
            `Split`, two records of type `LinearSystem` with one controller each.
        """
        return Split(
            deviation=LinearSystem(self.A, self.B[..., None, :, :], self.D),
            mean=LinearSystem(
                self.A + self.A_bar,
                (self.B + self.B_bar)[..., None, :, :],
                self.D + self.D_bar,
            ),
        )

    def population(self, n_agents: int) -> LinearSystem:
        """All agents as one linear system: state (x^1 … x^N) and disturbance (d^1 … d^N) stacked.

        Args:
            n_agents: N, at least 1.

        Returns:
            `LinearSystem` with A (Nm, Nm), B (N, Nm, p), E (Nm, Nq).

        Example:
            >>> MeanFieldSystem(A=0.5, A_bar=0.2, B=1.0).population(2).A
            array([[0.6, 0.1],
                   [0.1, 0.6]])
        """
        if isinstance(n_agents, bool) or not isinstance(n_agents, int) or n_agents < 1:
            raise InputError(
                f"n_agents must be a whole number of at least 1, but it is {n_agents!r}."
            )
        m, p, q = self.state_size, self.control_size, self.disturbance_size

        def stacked(own: np.ndarray, mean: np.ndarray) -> np.ndarray:
            return np.kron(np.eye(n_agents), own) + np.kron(
                np.ones((n_agents, n_agents)) / n_agents, mean
            )

        B = stacked(self.B, self.B_bar)  # (…, Nm, Np): agent i owns the columns ip … (i+1)p
        B = np.moveaxis(B.reshape((*B.shape[:-1], n_agents, p)), -2, -3)
        assert B.shape[-3:] == (n_agents, n_agents * m, p)
        E = stacked(self.D, self.D_bar)
        assert E.shape[-2:] == (n_agents * m, n_agents * q)
        return LinearSystem(stacked(self.A, self.A_bar), B, E)


def _size(given: dict[str, np.ndarray], names: tuple[str, ...], axis: int) -> int | None:
    """The size along `axis` of the first of the named arrays that is not a scalar."""
    return next((given[name].shape[axis] for name in names if given[name].ndim >= 2), None)
