"""The second moments a certificate needs of the random part of the world.

    ω^i ~ (0, Σ) idiosyncratic,  ω̄ ~ (0, Σ̄) common,  x_0^i = ω^{0,i} + ω̄^0 with Σ⁰, Σ̄⁰     (P1, eq. 1)

Values and levels depend on covariances alone, not on the law; a simulation draws Gaussians.
"""

from dataclasses import dataclass

import numpy as np

from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array, frozen, symmetric


@dataclass(frozen=True, eq=False)
class MeanFieldNoise:
    """Covariances of the process noise and of the initial state (P1, eq. 1).

    Args:
        Sigma: (m, m) covariance of ω^i, drawn anew for each agent and stage.
        Sigma_bar: (m, m) covariance of ω̄, common to all agents.
        Sigma_0: (m, m) covariance of the idiosyncratic part of x_0^i.
        Sigma_bar_0: (m, m) covariance of the common part of x_0^i.
        x0: (m,) mean of x_0^i, where every agent starts on average; a scalar means every entry.

    A scalar covariance means scalar times identity; all default to 0. Values, levels and
    certificates count x0 too: what matters to them is the second moment Σ̄⁰ + x0 x0ᵀ.

    Raises:
        InputError: a matrix that is not a covariance (asymmetric, or a negative eigenvalue).

    Example:
        >>> MeanFieldNoise(Sigma=0.1).for_size(2).Sigma
        array([[0.1, 0. ],
               [0. , 0.1]])
    """

    Sigma: np.ndarray
    Sigma_bar: np.ndarray
    Sigma_0: np.ndarray
    Sigma_bar_0: np.ndarray
    x0: np.ndarray

    def __init__(
        self,
        Sigma: MatrixLike = 0.0,
        Sigma_bar: MatrixLike = 0.0,
        Sigma_0: MatrixLike = 0.0,
        Sigma_bar_0: MatrixLike = 0.0,
        x0: MatrixLike = 0.0,
    ):
        given = (
            ("Sigma", Sigma),
            ("Sigma_bar", Sigma_bar),
            ("Sigma_0", Sigma_0),
            ("Sigma_bar_0", Sigma_bar_0),
        )
        for name, value in given:
            value = array(name, value)
            if value.ndim == 3:
                raise InputError(
                    f"{name} must be one constant covariance, but it has shape {value.shape}; noise does not vary in time."
                )
            checked = symmetric(name, value, value.shape[-1] if value.ndim else 1)
            object.__setattr__(self, name, value if value.ndim == 0 else checked)
        x0 = array("x0", x0)
        if x0.ndim > 1:
            raise InputError(
                f"x0 has shape {x0.shape} and must be one vector, the mean initial state."
            )
        object.__setattr__(self, "x0", frozen(x0))

    def for_size(self, state_size: int) -> "MeanFieldNoise":
        """The same noise with every scalar written out as a matrix.

        Raises:
            InputError: a covariance whose shape does not fit the size.
        """
        sized = object.__new__(MeanFieldNoise)
        for name in ("Sigma", "Sigma_bar", "Sigma_0", "Sigma_bar_0"):
            object.__setattr__(sized, name, symmetric(name, getattr(self, name), state_size))
        if self.x0.shape not in ((), (state_size,)):
            raise InputError(
                f"x0 has shape {self.x0.shape} and must have shape ({state_size},), one entry per state."
            )
        object.__setattr__(sized, "x0", frozen(np.broadcast_to(self.x0, (state_size,)).copy()))
        return sized

    @property
    def initial_common(self) -> np.ndarray:
        """(m, m) second moment of the part of x_0 that all agents share, Σ̄⁰ + x0 x0ᵀ."""
        return self.Sigma_bar_0 + np.outer(self.x0, self.x0)
