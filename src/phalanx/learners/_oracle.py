"""`CostOracle`: a simulator of the user's own, behind the only door that a learner knows."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx._outcome import InputError
from phalanx.learners._gains import JointGains, Sizes, checked_sizes
from phalanx.learners._numbers import covariance

_PAIR = "the simulator must return two numbers, cost and energy, but it returned {}."

Form = Literal["each", "batch", "jax"]


class CostOracle(eqx.Module):
    """A simulator that learners may roll out.

    A rollout plays given gains of both sides from stage `start` to the end and returns what it cost
    and how much energy the disturbance spent: Σ |y|²_Q + |z|²_Q̄ + |u|²_R + …, or any other cost,
    and Σ |d|². Whoever writes it needs no JAX: `gains.control(t, x, x_bar)` and
    `gains.disturbance(t, x, x_bar)` are what agents and adversary do.

    Args:
        simulate: the simulator, in one of three forms.
            "each": simulate(gains, start, seed) → (cost, energy), one rollout, plain Python.
            "batch": simulate(gains, start, seeds) → (costs, energies), gains with a leading axis
            (n, T, ·, 2m) and n seeds, for simulators that vectorise.
            "jax": simulate(gains, start, key) → (cost, energy), one rollout, traceable; it is
            compiled and mapped over rollouts.
            At `start` the deviation is drawn from N(0, Sigma_y) and the mean from N(0, Sigma_z), by
            the simulator, from the seed. `start` None asks for a whole run from the world's own
            first state; only `schedule="all_stages"` does so.
        horizon: T. state_size: m. control_size: p. disturbance_size: q; m by default.
        form: "each", "batch" or "jax".
        workers: parallel processes for "each"; 0: none. The simulator must then be a function of a
            module, and a script that starts workers needs `if __name__ == "__main__":`.
        Sigma_y, Sigma_z: (m, m) covariances that the simulator draws from; scalars mean scalar
            times identity.

    The same seed must give the same noise: two-point, coordinate and regression estimates compare
    rollouts on common random numbers. They stay unbiased without, and vary much more.

    Raises:
        InputError: sizes out of range, or a simulator that returns something else.

    Example:
        >>> import numpy as np
        >>> import phalanx as px
        >>> def simulate(gains, start, seed):
        ...     rng = np.random.default_rng(seed)
        ...     x = rng.normal(size=(20, 1))
        ...     x = x - x.mean() + rng.normal()
        ...     cost = energy = 0.0
        ...     for t in range(start, 2):
        ...         x_bar = x.mean(axis=0)
        ...         u = gains.control(t, x, x_bar)
        ...         d = gains.disturbance(t, x, x_bar)
        ...         cost += np.mean(x**2 + u**2)
        ...         energy += np.mean(d**2)
        ...         x = 0.9 * x + u + 0.5 * d + 0.1 * rng.normal(size=x.shape)
        ...     return cost + np.mean(x**2), energy
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
    _pool: "_Pool" = eqx.field(static=True)

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
        q = state_size if disturbance_size is None else disturbance_size
        self.sizes = checked_sizes(horizon, state_size, control_size, q)
        self.simulate, self.form, self.workers = simulate, form, workers
        self.Sigma_y = covariance("Sigma_y", Sigma_y, self.sizes.state)
        self.Sigma_z = covariance("Sigma_z", Sigma_z, self.sizes.state)
        self.traceable = form == "jax"
        self._pool = _Pool(workers)

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
        if self.form == "batch":
            answer = self.simulate(many, start, np.asarray(seeds))
            try:
                cost, energy = (np.asarray(part, dtype=np.float64) for part in answer)
                cost, energy = (np.broadcast_to(part, (G * B,)) for part in (cost, energy))
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"the simulator must return costs and energies of {G * B} rollouts, but it returned {_short(answer)}."
                ) from error
        else:
            pairs = zip(many.theta1, many.theta2, seeds, strict=True)
            jobs = [(JointGains(one, two), start, seed) for one, two, seed in pairs]
            answers = [_pair(answer) for answer in self._pool.map(self.simulate, jobs)]
            cost, energy = np.array(answers).T
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
            answer = self.simulate(JointGains(*own), stage, key)
            try:
                cost, energy = (jnp.asarray(part, jnp.float64) for part in answer)
            except (TypeError, ValueError) as error:
                raise InputError(_PAIR.format(_short(answer))) from error
            if cost.shape or energy.shape:
                raise InputError(_PAIR.format(_short(answer)))
            return cost, energy

        every = jnp.tile(keys, grid[0])
        cost, energy = jax.vmap(one, in_axes=(-1, -1, 0))(flat[0], flat[1], every)
        return cost.reshape(grid), energy.reshape(grid)


class _Pool:
    """Worker processes that start when they are first needed; compared by identity, as jit asks."""

    def __init__(self, workers: int):
        self.workers, self.pool = workers, None

    def map(self, simulate: Callable, jobs: list) -> Any:
        if not self.workers:
            return [simulate(*job) for job in jobs]
        if self.pool is None:
            # A forked child of a process that runs JAX's threads may hang.
            self.pool = ProcessPoolExecutor(
                self.workers, multiprocessing.get_context("spawn"), initializer=_ignore_interrupts
            )
        chunk = max(1, len(jobs) // (4 * self.workers))
        return self.pool.map(_call, [(simulate, job) for job in jobs], chunksize=chunk)

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            self.pool = None


def _ignore_interrupts() -> None:
    """Ctrl-C reaches the whole group; the parent answers it."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _call(work: tuple) -> Any:
    simulate, job = work
    return simulate(*job)


def _perturbed(theta: np.ndarray, extra: np.ndarray, stage: Any, grid: tuple) -> np.ndarray:
    """(G·B, T, ·, 2m): the gains of each rollout."""
    extra = np.broadcast_to(extra, (*extra.shape[:-2], *grid)).reshape(*extra.shape[:-2], -1)
    many = np.repeat(theta[None], extra.shape[-1], axis=0)
    if stage is None:
        return many + np.moveaxis(extra, -1, 0)
    many[:, int(stage)] += np.moveaxis(extra[0], -1, 0)
    return many


def _pair(answer: Any) -> tuple[float, float]:
    try:
        cost, energy = answer
        return float(cost), float(energy)
    except (TypeError, ValueError) as error:
        raise InputError(_PAIR.format(_short(answer))) from error


def _short(answer: Any) -> str:
    text = repr(answer)
    return text if len(text) <= 80 else f"{text[:77]}..."
