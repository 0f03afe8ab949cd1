"""`CostOracle`: a simulator of the user's own, behind the only door that a learner knows."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx._outcome import InputError, PhalanxError
from phalanx.learners._answers import pair, pairs, refuse_negative, traced_pair
from phalanx.learners._gains import JointGains, Sizes, checked_sizes
from phalanx.learners._numbers import covariance
from phalanx.learners._pool import Pool, check_importable

Form = Literal["each", "batch", "jax"]

# What is said where a simulator stumbles over what it is handed.
_WHOLE = (
    "the simulator must play a whole run where `start` is None, as all stages at once are learned from whole runs, but it "
    "ended with: {}. Write `0 if start is None else start`."
)
_TRACED = (
    'the simulator could not be traced: {}. (form "jax": `start` is traced; use jax.lax.fori_loop(start, T, ...); '
    'arrays are jax.numpy\'s, and noise comes from a JAX key. A simulator in NumPy takes form="each".)'
)
_CALLED = {
    "each": (
        'form "each": simulate(gains, start, seed) was called for one rollout, with one seed; a simulator that plays many at '
        'once takes form="batch".'
    ),
    "batch": (
        'form "batch": simulate(gains, start, seeds) was called for many rollouts, with gains of shape (n, T, ·, ·) and '
        'n seeds; a simulator that plays one takes form="each".'
    ),
}


class CostOracle(eqx.Module):
    """A simulator that learners may roll out.

    A rollout plays given gains of both sides from stage `start` to the end and returns what it cost
    and how much energy the disturbance spent: Σ |y|²_Q + |z|²_Q̄ + |u|²_R + …, or any other cost,
    and Σ |d|², each summed over entries and averaged over agents. Whoever writes it needs no JAX:
    `gains.control(t, x, x_bar)` and `gains.disturbance(t, x, x_bar)` are what agents and adversary do.

    Args:
        simulate: the simulator, in one of three forms.
            "each": simulate(gains, start, seed) → (cost, energy), one rollout, plain Python.
            "batch": simulate(gains, start, seeds) → (costs, energies), each (n,): n seeds, and gains
            with a leading axis, K1 (n, T, p, m); `gains.control` then takes states (n, N, m) and
            means (n, m) or (n, 1, m).
            "jax": simulate(gains, start, key) → (cost, energy), one rollout, traceable; it is
            compiled and mapped over rollouts. `start` is traced: jax.lax.fori_loop(start, T, …).
            At `start` the deviation is drawn from N(0, Sigma_y) and the mean from N(0, Sigma_z), by
            the simulator, from the seed; centring N draws takes the factor √(N/(N−1)) to keep
            Sigma_y. `start` None asks for a whole run from the world's own first state; only
            `schedule="all_stages"` does so: write `0 if start is None else start`.
        horizon: T. state_size: m. control_size: p.
        disturbance_size: q; m by default, so say it unless d has as many entries as x.
        form: "each", "batch" or "jax".
        workers: parallel processes for "each"; 0: none. The simulator must then be a function of a
            module, and a script that starts workers needs `if __name__ == "__main__":`.
        Sigma_y, Sigma_z: (m, m) covariances that the simulator draws from; scalars mean scalar
            times identity.

    The same seed must give the same noise, and another seed another: regression, and automatic steps
    and balls, read curvature from rollouts on common random numbers, and are wrong without. One-point
    estimates with a step size and a ball given need none; two-point and coordinate ones stay unbiased
    without, and vary much more. `learn` tries the simulator out with a few rollouts before the first.

    Raises:
        InputError: sizes out of range, a simulator that workers cannot import, or one that returns
            something else.

    Example:
        >>> import numpy as np
        >>> import phalanx as px
        >>> N = 20
        >>> def simulate(gains, start, seed):
        ...     rng = np.random.default_rng(seed)
        ...     x = rng.normal(size=(N, 1))
        ...     x = (x - x.mean(axis=0)) * np.sqrt(N / (N - 1)) + rng.normal(size=1)
        ...     cost = energy = 0.0
        ...     for t in range(start, 2):
        ...         x_bar = x.mean(axis=0)
        ...         u = gains.control(t, x, x_bar)
        ...         d = gains.disturbance(t, x, x_bar)
        ...         cost += (np.sum(x**2) + np.sum(u**2)) / N
        ...         energy += np.sum(d**2) / N
        ...         x = 0.9 * x + u + 0.5 * d + 0.1 * rng.normal(size=x.shape)
        ...     return cost + np.sum(x**2) / N, energy
        >>> oracle = px.CostOracle(simulate, horizon=2, state_size=1, control_size=1)
        >>> learned = px.learn(oracle, gamma=2.0, batch=40, iterations=2)
        >>> learned.K1.shape
        (2, 1, 1)
    """

    sizes: Sizes = eqx.field(static=True)
    simulate: Callable = eqx.field(static=True)
    form: Form = eqx.field(static=True)
    workers: int = eqx.field(static=True)
    Sigma_y: np.ndarray
    Sigma_z: np.ndarray
    traceable: bool = eqx.field(static=True)
    _pool: Pool = eqx.field(static=True)

    def __init__(
        self,
        simulate: Callable,
        horizon: int,
        state_size: int,
        control_size: int,
        disturbance_size: int | None = None,
        *,
        form: Form = "each",
        workers: int = 0,
        Sigma_y: Any = 1.0,
        Sigma_z: Any = 1.0,
    ):
        if not callable(simulate):
            raise InputError(f"simulate must be a function, but it is {simulate!r}.")
        if form not in ("each", "batch", "jax"):
            raise InputError(f'form must be "each", "batch" or "jax", but it is {form!r}.')
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
            raise InputError(
                f"workers must be a whole number of at least 0, but it is {workers!r}."
            )
        if workers and form != "each":
            raise InputError(f'workers belong to form "each"; form is "{form}".')
        if workers:
            check_importable(simulate)
        q = state_size if disturbance_size is None else disturbance_size
        self.sizes = checked_sizes(horizon, state_size, control_size, q)
        self.simulate, self.form, self.workers = simulate, form, workers
        self.Sigma_y = covariance("Sigma_y", Sigma_y, self.sizes.state)
        self.Sigma_z = covariance("Sigma_z", Sigma_z, self.sizes.state)
        self.traceable = form == "jax"
        self._pool = Pool(workers)

    def close(self) -> None:
        """End the worker processes, if there are any; they start again when they are needed."""
        self._pool.close()

    def prepare(self, gains: JointGains, stage: Any) -> None:
        """Nothing."""
        return

    def draws(self, key: jax.Array, draws: int, stage: Any) -> Any:
        """A seed, or a key, for each draw."""
        if self.traceable:
            return jax.random.split(key, draws)
        return np.asarray(jax.random.bits(key, (draws,), jnp.uint32)).astype(np.int64)

    def costs(
        self, shared: Any, gains: JointGains, offset: JointGains, drawn: Any, stage: Any
    ) -> tuple[Any, Any]:
        """Cost and energy of each rollout of the grid."""
        G, _ = np.broadcast_shapes(offset.theta1.shape[-2:], offset.theta2.shape[-2:])
        B = len(drawn)
        if self.traceable:
            return self._traced(gains, offset, drawn, stage, (G, B))
        many = JointGains(
            _perturbed(np.asarray(gains.theta1), np.asarray(offset.theta1), stage, (G, B)),
            _perturbed(np.asarray(gains.theta2), np.asarray(offset.theta2), stage, (G, B)),
        )
        start = None if stage is None else int(stage)
        seeds = [int(seed) for seed in np.tile(drawn, G)]
        try:
            if self.form == "batch":
                cost, energy = pairs(self.simulate(many, start, np.asarray(seeds)), G * B)
            else:
                rollouts = zip(many.theta1, many.theta2, seeds, strict=True)
                jobs = [(JointGains(one, two), start, seed) for one, two, seed in rollouts]
                answers = [pair(answer) for answer in self._pool.map(self.simulate, jobs)]
                cost, energy = np.array(answers).T
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            if start is None and isinstance(error, TypeError):
                raise InputError(_WHOLE.format(error)) from error
            if not isinstance(error, PhalanxError):
                error.add_note(_CALLED[self.form])
            raise
        refuse_negative(energy, start)
        return jnp.asarray(cost.reshape(G, B)), jnp.asarray(energy.reshape(G, B))

    def _traced(self, gains: Any, offset: Any, keys: Any, stage: Any, grid: tuple) -> tuple:
        flat = [
            jnp.broadcast_to(part, (*part.shape[:-2], *grid)).reshape(*part.shape[:-2], -1)
            for part in offset
        ]

        def one(extra1: Any, extra2: Any, key: Any) -> tuple:
            own = []
            for theta, extra in zip(gains, (extra1, extra2), strict=True):
                theta = jnp.asarray(theta)
                own.append(theta + extra if stage is None else theta.at[stage].add(extra[0]))
            try:
                answer = self.simulate(JointGains(*own), stage, key)
            except TypeError as error:  # what JAX raises where Python wants a number, among others
                if stage is None:
                    raise InputError(_WHOLE.format(_first_line(error))) from error
                raise InputError(_TRACED.format(_first_line(error))) from error
            return traced_pair(answer)

        every = jnp.tile(keys, grid[0])
        cost, energy = jax.vmap(one, in_axes=(-1, -1, 0))(flat[0], flat[1], every)
        return cost.reshape(grid), energy.reshape(grid)


def _perturbed(theta: np.ndarray, extra: np.ndarray, stage: Any, grid: tuple) -> np.ndarray:
    """(G·B, T, ·, 2m): the gains of each rollout."""
    extra = np.broadcast_to(extra, (*extra.shape[:-2], *grid)).reshape(*extra.shape[:-2], -1)
    many = np.repeat(theta[None], extra.shape[-1], axis=0)
    if stage is None:
        return many + np.moveaxis(extra, -1, 0)
    many[:, int(stage)] += np.moveaxis(extra[0], -1, 0)
    return many


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
