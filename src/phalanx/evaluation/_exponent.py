"""How a regret grows: the slope of its logarithm against the logarithm of T (or of N), with an interval.

A regret that is negative, or nil beside what it was measured with, has no exponent; it is reported as "≤ 0" and not
fitted. The interval's half-width is Student's t times the larger of two standard errors: over seeds (jackknife), and of
the points about the straight line.
"""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array


@dataclass(frozen=True, eq=False)
class Exponent:
    """A fitted power law regret ≈ factor · T^exponent.

    Attributes:
        exponent: the slope; None when nothing was fitted.
        low, high: its confidence interval; None likewise. confidence: of the interval.
        factor: None likewise.
        T: what the regret was measured at. mean: its mean over seeds there.
        nonpositive: True when the regret is ≤ 0, so that there is nothing to fit.
        sentence: the finding in words.
    """

    exponent: float | None
    low: float | None
    high: float | None
    confidence: float
    factor: float | None
    T: Float[np.ndarray, " K"]
    mean: Float[np.ndarray, " K"]
    nonpositive: bool
    sentence: str


def fit_exponent(
    T: MatrixLike, regret: MatrixLike, *, confidence: float = 0.95, floor: MatrixLike = 0.0
) -> Exponent:
    """Fit regret ≈ factor · T^exponent.

    Args:
        T: (K,) lengths of runs (or numbers of agents), positive and different; at least two.
        regret: (seeds, K), or (K,) for a single seed.
        confidence: of the interval, between 0 and 1.
        floor: a number, or (K,): a mean regret at or below this counts as "≤ 0" (what an optimality gap or
            rounding can make up).

    Returns:
        `Exponent`. Nothing is fitted when the mean regret is not above the floor at the largest T, or in fewer
        than two thirds of the points; single points below it are left out of the fit, and the sentence says so.

    Raises:
        InputError: sizes that do not fit.

    Example:
        >>> fit = fit_exponent([100, 1000, 10000], [[10.1, 31.0, 101.0], [9.9, 33.0, 99.0]])
        >>> round(fit.exponent, 2), bool(fit.low < 0.5 < fit.high)
        (0.5, True)
        >>> fit_exponent([100, 1000], [-3.0, -8.0]).sentence
        'The mean regret at T = 1000 is -8, which is ≤ 0: there is no exponent to fit.'
    """
    T, values = array("T", T), np.atleast_2d(array("regret", regret))
    if T.ndim != 1 or len(T) < 2 or (T <= 0).any() or len(np.unique(T)) < len(T):
        raise InputError("T must hold at least two positive numbers, all different.")
    if values.ndim != 2 or values.shape[1] != len(T):
        raise InputError(
            f"regret has shape {values.shape} and must have shape (seeds, {len(T)}), one column per entry of T."
        )
    if not 0 < confidence < 1:
        raise InputError(f"confidence must be between 0 and 1, but it is {confidence!r}.")
    mean = values.mean(0)
    above = mean > np.broadcast_to(array("floor", floor), mean.shape)
    last = int(np.argmax(T))
    if not above[last]:
        return _nothing(
            T,
            mean,
            confidence,
            f"The mean regret at T = {T[last]:g} is {mean[last]:.4g}, which is ≤ 0"
            + (" as far as it can be told apart" if mean[last] > 0 else "")
            + ": there is no exponent to fit.",
        )
    if above.sum() < max(2, 2 * len(T) / 3):
        return _undecided(
            T,
            mean,
            confidence,
            f"The mean regret is ≤ 0 at {int((~above).sum())} of {len(T)} values of T and above it at the largest: too few points to fit an exponent.",
        )
    x = np.log(T[above])
    slope, level = _line(x, mean[above])
    seeds, points = len(values), int(above.sum())
    half = np.inf
    errors = []
    if seeds >= 2:
        sums = values[:, above].sum(0)
        without = (sums - values[:, above]) / (seeds - 1)
        if (without > 0).all():
            slopes = np.array([_line(x, row)[0] for row in without])
            spread = np.sqrt((seeds - 1) / seeds * ((slopes - slopes.mean()) ** 2).sum())
            errors.append((spread, seeds - 1))
        else:  # one seed alone carries the sign: no interval can be trusted
            errors.append((np.inf, 1))
    if points >= 3:
        left = np.log(mean[above]) - level - slope * x
        errors.append(
            (np.sqrt((left**2).sum() / (points - 2) / ((x - x.mean()) ** 2).sum()), points - 2)
        )
    if errors:
        half = max(scipy.stats.t.ppf((1 + confidence) / 2, dof) * error for error, dof in errors)
    dropped = (
        "" if above.all() else f" ({int((~above).sum())} values of T with regret ≤ 0 left out)"
    )
    return Exponent(
        float(slope),
        float(slope - half),
        float(slope + half),
        confidence,
        float(np.exp(level)),
        T,
        mean,
        False,
        f"The regret grows like T^{slope:.3g}, between {slope - half:.3g} and {slope + half:.3g} at "
        f"{100 * confidence:g} %{dropped}.",
    )


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and level of log y against x."""
    slope, level = np.polyfit(x, np.log(y), 1)
    return float(slope), float(level)


def _undecided(T: np.ndarray, mean: np.ndarray, confidence: float, sentence: str) -> Exponent:
    """Positive at the end, but not for long: neither ≤ 0 nor a power."""
    return Exponent(None, None, None, confidence, None, T, mean, False, sentence)


def _nothing(T: np.ndarray, mean: np.ndarray, confidence: float, sentence: str) -> Exponent:
    return Exponent(None, None, None, confidence, None, T, mean, True, sentence)
