"""Whether a stage cost is convex, found out by asking: regret against the best in hindsight needs it.

A sample cannot prove convexity; it finds what is clearly not convex, which is what users get wrong
(a saturating or a periodic cost, a sign). Chords are drawn at several scales and at several rounds.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phalanx._outcome import InputError
from phalanx.costs._stage import Huber, LinearStage, Quadratic, Tracking

CHORDS = 512
SCALES = (0.1, 1.0, 10.0, 100.0)
ROUNDS = (0, 1, 10, 100)
# Rounding of a cost evaluated in float64, relative to the costs at the chord's ends.
ROUNDING = 1e-9


def require_convex(cost: Any, state_size: int, control_size: int, name: str = "cost") -> None:
    """Pass a stage cost c(t, x, u) that is convex in (x, u) as far as a sample can tell.

    Args:
        cost: any callable c(t, x, u) in `jax.numpy`; the package's own pass unasked.
        state_size: n.
        control_size: p.
        name: how to call it in the sentence.

    Raises:
        InputError: a chord on which the cost lies above, with the place; or a cost that is no number.

    Example:
        >>> import jax.numpy as jnp
        >>> require_convex(lambda t, x, u: jnp.sum(x**4) + jnp.abs(u).sum(), 2, 1)
        >>> require_convex(lambda t, x, u: jnp.sin(x).sum(), 1, 1)
        Traceback (most recent call last):
        ...
        phalanx._outcome.InputError: cost is not convex: halfway between two points at distance ...
    """
    if isinstance(cost, Quadratic | Tracking | Huber | LinearStage):
        return
    n, p = state_size, control_size
    rng = np.random.default_rng(0)
    scales = rng.choice(SCALES, size=(2, CHORDS, 1))
    ends = scales * rng.normal(size=(2, CHORDS, n + p))
    rounds = rng.choice(ROUNDS, size=CHORDS)
    with jax.enable_x64(True):
        price = jax.jit(jax.vmap(lambda t, z: cost(t, z[:n], z[n:])))
        points = [*ends, ends.mean(axis=0)]
        try:
            a, b, middle = (
                np.asarray(price(jnp.asarray(rounds), jnp.asarray(point))) for point in points
            )
        except (TypeError, ValueError, IndexError, jax.errors.JAXTypeError) as error:
            raise InputError(
                f"{name} must be a function c(t, x, u) of jax.numpy for x of shape ({n},) and u of shape ({p},), "
                f"but calling it failed: {str(error).splitlines()[0]}"
            ) from error
    if a.shape != (CHORDS,):
        raise InputError(
            f"{name} must give one number, but it gives an array of shape {a.shape[1:]}."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all() and np.isfinite(middle).all()):
        raise InputError(f"{name} must be finite everywhere, but it is not at every sampled point.")
    excess = middle - (a + b) / 2
    worst = int(np.argmax(excess - ROUNDING * (np.abs(a) + np.abs(b))))
    if excess[worst] > ROUNDING * (np.abs(a[worst]) + np.abs(b[worst])):
        apart = np.linalg.norm(ends[0, worst] - ends[1, worst])
        raise InputError(
            f"{name} is not convex: halfway between two points at distance {apart:.3g} it is {middle[worst]:.4g}, above "
            f"the {(a[worst] + b[worst]) / 2:.4g} of the chord (round {rounds[worst]}); learners and regret need a convex cost."
        )
