"""A game as arrays: both halves of the exact split side by side, with every stage written out.

The deviation and the mean obey the same equations with different matrices (theory: "exact split, for
every N"), so the two are one leading axis of length 2, and every formula is written once.
"""

from typing import Any, NamedTuple

import numpy as np

from phalanx._outcome import InputError
from phalanx._types import agents as check_agents
from phalanx._types import symmetric
from phalanx.equilibria import RobustGame
from phalanx.learners._gains import Sizes


class Numbers(NamedTuple):
    """A finite game for N agents; axis 0 is (deviation, mean).

    Attributes:
        A: (2, T, m, m). B: (2, T, m, p). D: (2, T, m, q). Q: (2, T, m, m). R: (2, T, p, p).
        Q_T: (2, m, m).
        noise: (2, m, m) covariances of the process noise: (1 − 1/N)Σ and Σ̄ + Σ/N.
        start: (2, m, m) covariances that rollouts of one stage start from: Σ_y, Σ_z.
        initial: (2, m, m) second moments that whole runs start from.
        x0: (m,) mean of their first states, all of it in z.
    """

    A: Any
    B: Any
    D: Any
    Q: Any
    R: Any
    Q_T: Any
    noise: Any
    start: Any
    initial: Any
    x0: Any


def numbers(game: RobustGame, n_agents: float, Sigma_y: Any, Sigma_z: Any) -> tuple[Sizes, Numbers]:
    """The arrays of a single finite game.

    Raises:
        InputError: a stationary game or a batch of games; covariances that are none.
    """
    if game.stationary:
        raise InputError(
            "learning goes backwards from the last stage, and this game's horizon is inf; give it a finite horizon."
        )
    if game.batch:
        raise InputError("learn takes one game; call it for each game of a batch.")
    N = check_agents("n_agents", n_agents)
    T = int(game.horizon)
    halves = [game.half("deviation"), game.half("mean")]
    m, p, q = halves[0].sizes

    def both(name: str) -> np.ndarray:
        arrays = [getattr(half, name) for half in halves]
        return np.stack([np.broadcast_to(X, (T, *X.shape[1:])) for X in arrays])

    w, a, s = game.noise, 1 - 1 / N, 1 / N
    start = np.stack([covariance("Sigma_y", Sigma_y, m), covariance("Sigma_z", Sigma_z, m)])
    initial = np.stack([a * w.Sigma_0, w.initial_common + s * w.Sigma_0])
    # A world that starts from one known point teaches nothing about its first gains.
    initial = initial if initial.any() else start
    stage = {name: both(name) for name in ("A", "B", "D", "Q", "R")}
    return Sizes(T, m, p, q), Numbers(
        **stage,
        Q_T=np.stack([half.Q_T for half in halves]),
        noise=np.stack([a * w.Sigma, w.Sigma_bar + s * w.Sigma]),
        start=start,
        initial=initial,
        x0=w.x0,
    )


def covariance(name: str, value: Any, m: int) -> np.ndarray:
    """A covariance with full rank: with less, some gains would never show in any cost.

    Raises:
        InputError: anything else.
    """
    checked = symmetric(name, value, m)
    if checked.ndim != 2:
        raise InputError(
            f"{name} has shape {checked.shape} and must have shape ({m}, {m}): it does not vary in time."
        )
    if np.linalg.eigvalsh(checked)[0] <= 0:
        raise InputError(
            f"{name} must be positive definite, so that every gain shows in the costs, but its least eigenvalue is "
            f"{np.linalg.eigvalsh(checked)[0]:.3g}."
        )
    return checked


def checked_dtype(dtype: Any) -> None:
    """Raise InputError unless it is one of the two precisions."""
    if dtype not in ("float64", "float32"):
        raise InputError(f'dtype must be "float64" or "float32", but it is {dtype!r}.')


def root(covariances: np.ndarray) -> np.ndarray:
    """F with F Fᵀ = Σ for each of a stack of covariances, semidefinite ones too."""
    values, vectors = np.linalg.eigh(covariances)
    return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
