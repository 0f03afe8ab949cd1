"""From nouns to numbers: what a population's simulation is handed, checked and cast once."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array
from phalanx.costs import MeanFieldCost
from phalanx.simulation._population import Inputs, Static
from phalanx.systems import MeanFieldNoise, MeanFieldSystem


def prepare(
    system: MeanFieldSystem,
    cost: MeanFieldCost | None,
    rounds: int,
    n_agents: int | None,
    noise: MeanFieldNoise | None,
    x0: MatrixLike | None,
    record: str,
    limits: tuple[MatrixLike, MatrixLike] | None,
    first_round: int,
    dtype: Any,
) -> tuple[Static, Inputs]:
    """The static description and the traced numbers of one simulation.

    Raises:
        InputError: sizes that do not fit.
    """
    if isinstance(n_agents, bool) or not isinstance(n_agents, int | np.integer) or n_agents < 1:
        raise InputError(f"n_agents must be a whole number of at least 1, but it is {n_agents!r}.")
    if cost is not None and not isinstance(cost, MeanFieldCost):
        raise InputError(
            f"costs must be a MeanFieldCost for a mean-field system, but it is a {type(cost).__name__}."
        )
    N, m = int(n_agents), system.state_size
    noise = (MeanFieldNoise() if noise is None else noise).for_size(m)
    stage = {name: getattr(system, name) for name in ("A", "A_bar", "B", "B_bar", "D", "D_bar")}
    terminal = {}
    if cost is not None:
        cost = cost.for_sizes(m, system.control_size)
        stage |= {name: getattr(cost, name) for name in ("Q", "Q_bar", "R", "R_bar")}
        terminal = {name: getattr(cost, name) for name in ("Q_T", "Q_bar_T")}
    if x0 is not None:
        x0 = array("x0", x0)
        if x0.shape not in ((m,), (N, m)):
            raise InputError(
                f"x0 has shape {x0.shape} and must have shape ({m},), the same for all agents, or ({N}, {m})."
            )
        x0 = np.broadcast_to(x0, (N, m)).T
    covariances = {
        name: getattr(noise, name) for name in ("Sigma", "Sigma_bar", "Sigma_0", "Sigma_bar_0")
    }
    if x0 is not None:
        del covariances["Sigma_0"], covariances["Sigma_bar_0"]
    static = Static(
        rounds=rounds,
        n_agents=N,
        record=record,
        has_cost=cost is not None,
        noisy=tuple(name for name, value in covariances.items() if value.any()),
        has_limits=limits is not None,
    )

    def cast(value: np.ndarray) -> Any:
        return jnp.asarray(np.ascontiguousarray(value), dtype)

    sides = None
    if limits is not None:
        sides = cast(np.stack([_bound(side, m) for side in limits]))
    inputs = Inputs(
        constant={name: cast(value) for name, value in stage.items() if value.ndim == 2},
        varying={
            name: cast(stages(name, value, first_round, rounds))
            for name, value in stage.items()
            if value.ndim == 3
        },
        terminal={name: cast(value) for name, value in terminal.items()},
        roots={name: cast(_root(covariances[name])) for name in static.noisy},
        x0=None if x0 is None else cast(x0),
        mean_x0=cast(noise.x0),
        limits=sides,
        first_round=jnp.asarray(first_round),
    )
    return static, inputs


def stages(name: str, value: Any, first_round: int, rounds: int) -> Any:
    """The stages of a time-varying matrix that a run goes through.

    Raises:
        InputError: the matrix is given for fewer stages.
    """
    if len(value) < first_round + rounds:
        raise InputError(
            f"{name} is given for {len(value)} stages, but the run goes from round {first_round} to round "
            f"{first_round + rounds - 1}."
        )
    return value[first_round : first_round + rounds]


def _bound(side: MatrixLike, m: int) -> np.ndarray:
    """One side of the limits; infinity means no limit, so only NaN is refused."""
    out = np.asarray(side, dtype=np.float64)
    if np.isnan(out).any() or out.shape not in ((), (m,)):
        raise InputError(
            f"limits must be two vectors of {m} numbers, one per state, but a side is {side!r}."
        )
    return np.broadcast_to(out, (m,))


def _root(covariance: Float[np.ndarray, "m m"]) -> Float[np.ndarray, "m m"]:
    """F with F Fᵀ = covariance, for semidefinite covariances too."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))
