"""An N-player linear-quadratic game as its equilibrium recursion wants it: checked, and players side by side.

    x' = A x + Σ_j B_j u^j,     player i pays  Σ_t xᵀQ_i x + uᵀR_i u + 2 xᵀS_i u,     u = (u^1, …, u^N)

Players are an array axis and their controls are padded to the widest, so that a step of the recursion is a few
batched products however many play.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import ROUNDING, MatrixLike, array, matrix


@dataclass(frozen=True)
class NashGame:
    """The game with players on the first axis, controls padded to the largest p.

    `real` marks which of a player's padded controls exist. Weights on all players' controls are kept
    only where some player has one; `R_own` are each player's own rows of them.
    """

    A: Float[np.ndarray, "n n"]
    B: Float[np.ndarray, "n P"]
    B_own: Float[np.ndarray, "N n p"]
    Q: Float[np.ndarray, "N n n"]
    R_own: Float[np.ndarray, "N p P"]
    S_own: Float[np.ndarray, "N p n"]
    R_ii: Float[np.ndarray, "N p p"]
    R_all: Float[np.ndarray, "N P P"] | None
    S_all: Float[np.ndarray, "N n P"] | None
    real: np.ndarray
    sizes: tuple[int, ...]

    def gains(self, P: np.ndarray) -> np.ndarray:
        """Everyone's gains (P, n) one stage before values P."""
        priced = self.B_own.swapaxes(-1, -2) @ P
        conditions = (priced @ self.B + self.R_own)[self.real]
        return np.linalg.solve(conditions, (priced @ self.A + self.S_own)[self.real])

    def curvatures(self, P: np.ndarray) -> np.ndarray:
        """Each player's least eigenvalue (N,) of R_ii + B_iᵀP_iB_i."""
        own = self.B_own.swapaxes(-1, -2) @ P @ self.B_own + self.R_ii
        return np.linalg.eigvalsh(_even(own))[:, 0]

    def paid(self, K: np.ndarray) -> np.ndarray:
        """Every player's stage cost under u = −K x, as weights (N, n, n) of x."""
        if self.R_all is not None and self.S_all is not None:
            mixed = self.S_all @ K
            return self.Q + K.T @ self.R_all @ K - mixed - mixed.swapaxes(-1, -2)
        own = np.zeros_like(self.S_own)
        own[self.real] = K
        mixed = self.S_own.swapaxes(-1, -2) @ own
        return self.Q + own.swapaxes(-1, -2) @ self.R_ii @ own - mixed - mixed.swapaxes(-1, -2)

    def value(self, P: np.ndarray, K: np.ndarray) -> np.ndarray:
        """Every player's value one stage earlier, under u = −K x."""
        F = self.A - self.B @ K
        return _even(self.paid(K) + F.T @ P @ F)

    def value_of_policy(self, K: np.ndarray) -> np.ndarray:
        """Every player's value of playing u = −K x for ever: Σ (Fᵀ)ᵏ paid Fᵏ, by doubling."""
        P, power = self.paid(K), self.A - self.B @ K
        for _ in range(64):
            term = power.T @ P @ power
            P = P + term
            if np.abs(term).max() <= 1e-18 * np.abs(P).max():
                break
            power = power @ power
        return _even(P)

    def split(self, K: np.ndarray) -> tuple[np.ndarray, ...]:
        """Stacked gains (…, P, n) as one per player."""
        return tuple(np.split(K, np.cumsum(self.sizes)[:-1], axis=-2))


def stated(
    A: MatrixLike,
    B: Sequence[MatrixLike],
    Q: Sequence[MatrixLike],
    R: Sequence[MatrixLike],
    cross: Sequence[MatrixLike | None] | None,
) -> NashGame:
    """The game as `nash_feedback` is handed it, every part checked."""
    A = array("A", A)
    A = A.reshape(1, 1) if A.ndim == 0 else A
    n = A.shape[-1]
    A = _one("A", A, n, n)
    if not _is_listed(B) or not len(B):
        raise InputError("B must be a list of input matrices, one per player, and at least one.")
    inputs = []
    for i, value in enumerate(B):
        given = array(f"B[{i}]", value)
        inputs.append(_one(f"B[{i}]", given, n, given.shape[-1] if given.ndim else n))
    sizes = tuple(b.shape[1] for b in inputs)
    N, total, widest = len(sizes), sum(sizes), max(sizes)
    for name, given in (("Q", Q), ("R", R), ("cross", cross)):
        if given is not None:
            _one_per_player(name, given, N)
    starts = np.cumsum((0, *sizes))
    B_own, S_own = np.zeros((N, n, widest)), np.zeros((N, widest, n))
    R_own, R_ii = np.zeros((N, widest, total)), np.zeros((N, widest, widest))
    real = np.arange(widest) < np.array(sizes)[:, None]
    prices = [array(f"R[{i}]", given) for i, given in enumerate(R)]
    mixes = [
        np.zeros((n, p)) if given is None else array(f"cross[{i}]", given)
        for i, (given, p) in enumerate(
            zip(cross if cross is not None else [None] * N, sizes, strict=True)
        )
    ]
    private = all(
        (price.ndim == 0 or price.shape == (p, p)) and mix.shape == (n, p)
        for price, mix, p in zip(prices, mixes, sizes, strict=True)
    )
    weights, mixed = [], []
    for i, p in enumerate(sizes):
        own = slice(starts[i], starts[i + 1])
        weight = _placed(f"R[{i}]", prices[i], (p, p), (total, total), (own, own))
        mix = _placed(f"cross[{i}]", mixes[i], (n, p), (n, total), (slice(None), own))
        if not private:  # N matrices of the size of all controls: only where they say something
            weights.append(weight)
            mixed.append(mix)
        B_own[i, :, :p], R_own[i, :p], S_own[i, :p] = inputs[i], weight[own], mix[:, own].T
        R_ii[i] = np.eye(widest)  # a control that is not there is priced, and stays 0
        R_ii[i, :p, :p] = weight[own, own]
    return NashGame(
        A, np.hstack(inputs), B_own, weights_of("Q", Q, N, n), R_own, S_own, R_ii,
        None if private else np.stack(weights), None if private else np.stack(mixed), real, sizes,
    )  # fmt: skip


def weights_of(name: str, given: Sequence[MatrixLike], N: int, n: int) -> np.ndarray:
    """One symmetric (n, n) per player, stacked (N, n, n)."""
    _one_per_player(name, given, N)
    each = [_one(f"{name}[{i}]", weight, n, n) for i, weight in enumerate(given)]
    return np.stack([_even_of(f"{name}[{i}]", weight) for i, weight in enumerate(each)])


def _is_listed(given: object) -> bool:
    return isinstance(given, list | tuple) or (isinstance(given, np.ndarray) and given.ndim > 0)


def _one_per_player(name: str, given: Sequence, N: int) -> None:
    if not _is_listed(given) or len(given) != N:
        held = f"it holds {len(given)}" if _is_listed(given) else f"it is {given!r}"
        raise InputError(f"{name} must be a list of one entry per player, {N}, but {held}.")


def _placed(
    name: str, given: np.ndarray, own: tuple[int, int], all_: tuple[int, int], at: tuple
) -> np.ndarray:
    """The weight on all players' controls, from one on all or on the player's own."""
    if given.shape == all_:
        out = given
    else:
        out = np.zeros(all_)
        out[at] = _one(name, given, *own)
    return _even_of(name, out) if all_[0] == all_[1] and name.startswith("R") else out


def _one(name: str, value: MatrixLike, rows: int, columns: int) -> np.ndarray:
    out = matrix(name, value, rows, columns)
    if out.ndim != 2:
        raise InputError(
            f"{name} has shape {out.shape} and must be one matrix of shape ({rows}, {columns}), constant in time."
        )
    return out


def _even_of(name: str, value: np.ndarray) -> np.ndarray:
    off = np.abs(value - value.T).max(initial=0.0)
    if off > ROUNDING * max(np.abs(value).max(initial=0.0), np.finfo(float).tiny):
        raise InputError(
            f"{name} must be symmetric, but {name} and its transpose differ by up to {off:.3g}; "
            f"if only the quadratic form matters, use ({name} + {name}ᵀ)/2."
        )
    return _even(value)


def _even(X: np.ndarray) -> np.ndarray:
    return (X + X.swapaxes(-1, -2)) / 2
