"""What a mean-field team pays.

    J = E Σ_{t<T} |y|²_Q + |z|²_Q̄ + |u−ū|²_R + |ū|²_R̄   +   |y_T|²_{Q_T} + |z_T|²_{Q̄_T}   (P1, eq. 2)

Controls are paid for t < T only (P1's eq. 8 prints otherwise). P1 has R = R̄ = I.
"""

from dataclasses import dataclass

import numpy as np

from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array, frozen, same_time_axis, symmetric


@dataclass(frozen=True, eq=False)
class MeanFieldCost:
    """Quadratic cost of deviations and of the mean (P1, eq. 2).

    Args:
        Q: (m, m) weight of the deviation y, positive semidefinite; a scalar means scalar times
            identity; a leading time axis (T, m, m) makes it vary.
        Q_bar: (m, m) weight of the mean z. Defaults to Q.
        R: (p, p) weight of the control deviation u − ū, positive definite. Defaults to I.
        R_bar: (p, p) weight of the mean control ū. Defaults to R.
        Q_T: (m, m) terminal weight of y. Defaults to Q (its last stage where Q varies).
        Q_bar_T: (m, m) terminal weight of z. Defaults to Q_bar (likewise).

    Sizes are fixed when the cost meets a system; see `for_sizes`.

    Raises:
        InputError: asymmetric or indefinite weights, an R that is not positive definite.

    Example:
        >>> cost = MeanFieldCost(Q=1.0, Q_bar=2.0).for_sizes(2, 1)
        >>> cost.Q_bar_T
        array([[2., 0.],
               [0., 2.]])
    """

    Q: np.ndarray
    Q_bar: np.ndarray
    R: np.ndarray
    R_bar: np.ndarray
    Q_T: np.ndarray
    Q_bar_T: np.ndarray

    def __init__(
        self,
        Q: MatrixLike,
        Q_bar: MatrixLike | None = None,
        R: MatrixLike = 1.0,
        R_bar: MatrixLike | None = None,
        Q_T: MatrixLike | None = None,
        Q_bar_T: MatrixLike | None = None,
    ):
        Q_bar = Q if Q_bar is None else Q_bar
        R_bar = R if R_bar is None else R_bar
        given = {"Q": Q, "Q_bar": Q_bar, "R": R, "R_bar": R_bar}
        given["Q_T"] = _last_stage(array("Q", Q)) if Q_T is None else Q_T
        given["Q_bar_T"] = _last_stage(array("Q_bar", Q_bar)) if Q_bar_T is None else Q_bar_T
        for name, value in given.items():
            value = array(name, value)
            checked = _checked(name, value, value.shape[-1] if value.ndim else 1)
            object.__setattr__(self, name, value if value.ndim == 0 else checked)
        for name in ("Q_T", "Q_bar_T"):
            if getattr(self, name).ndim == 3:
                raise InputError(
                    f"{name} is the weight of the last state alone and must not vary in time, but it has shape {getattr(self, name).shape}."
                )

    @property
    def stages(self) -> int | None:
        """Length of the time axis, None when all weights are constant."""
        return same_time_axis(
            [(name, getattr(self, name)) for name in ("Q", "Q_bar", "R", "R_bar")]
        )

    def for_sizes(self, state_size: int, control_size: int) -> "MeanFieldCost":
        """The same cost with every scalar written out as a matrix.

        Raises:
            InputError: a weight whose shape does not fit the sizes.
        """
        sized = object.__new__(MeanFieldCost)
        for name in ("Q", "Q_bar", "R", "R_bar", "Q_T", "Q_bar_T"):
            size = control_size if name.startswith("R") else state_size
            object.__setattr__(sized, name, _checked(name, getattr(self, name), size))
        return sized

    def without_terminal(self) -> "MeanFieldCost":
        """The same cost per stage, with nothing paid for the last state."""
        out = object.__new__(MeanFieldCost)
        for name in ("Q", "Q_bar", "R", "R_bar"):
            object.__setattr__(out, name, getattr(self, name))
        for name in ("Q_T", "Q_bar_T"):
            object.__setattr__(out, name, frozen(np.zeros_like(getattr(self, name))))
        return out


def _checked(name: str, value: np.ndarray, size: int) -> np.ndarray:
    return symmetric(name, value, size, definite=name.startswith("R"))


def _last_stage(value: np.ndarray) -> np.ndarray:
    return frozen(value[..., -1, :, :].copy()) if value.ndim == 3 else value
