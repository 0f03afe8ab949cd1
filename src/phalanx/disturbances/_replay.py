"""Recorded disturbances, played back round by round, and an adversary whose gains are handed in."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._files import read_table
from phalanx._linalg._apply import apply, dot
from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array
from phalanx.disturbances._base import Disturbance, PopulationView, Scope
from phalanx.disturbances._signals import check_scope


class Replay(Disturbance):
    """A recorded signal: common to all agents, each agent its own record, or both added.

    Args:
        common: (T, q), or (T,) when q = 1: one signal for all agents.
        idiosyncratic: (T, q, P), or (T, P) when q = 1: P recorded signals. With P = N agent i plays
            record i; with fewer, agents draw theirs uniformly, once.

    Rounds past the end of the record are an error: see `rounds_available`.

    Raises:
        InputError: neither given, lengths that differ, or numbers that are not finite.

    Example:
        >>> import phalanx as px
        >>> px.Replay(common=[0.0, 1.0, 0.5]).rounds_available
        3
    """

    common: np.ndarray | None
    idiosyncratic: np.ndarray | None

    def __init__(self, common: MatrixLike | None = None, idiosyncratic: MatrixLike | None = None):
        if common is None and idiosyncratic is None:
            raise InputError("Replay needs a record: give common, idiosyncratic, or both.")
        self.common = None if common is None else _record("common", common, 2)
        self.idiosyncratic = (
            None if idiosyncratic is None else _record("idiosyncratic", idiosyncratic, 3)
        )
        if self.common is not None and self.idiosyncratic is not None:
            a, b = self.common.shape, self.idiosyncratic.shape
            if a != b[:2]:
                raise InputError(
                    f"common has shape {a} and idiosyncratic {b}; both need the same rounds and entries (T, q)."
                )

    @classmethod
    def from_file(cls, path: str | Path, scope: Scope = "common") -> "Replay":
        """A record from `.csv` (one row a round, one column an entry, a header is allowed) or `.npy`.

        Raises:
            InputError: a file that is missing or does not hold numbers.
        """
        rows = read_table(Path(path), "record")
        check_scope(scope)
        if scope == "common":
            return cls(common=rows)
        if scope == "both":
            raise InputError('a file holds one record; give scope "common" or "idiosyncratic".')
        return cls(idiosyncratic=rows[:, None, :] if rows.ndim == 2 else rows)

    @property
    def rounds_available(self) -> int:
        """Rounds the record lasts."""
        return len(self.common if self.common is not None else self.idiosyncratic)  # pyright: ignore[reportArgumentType]

    def init(self, key: jax.Array, size: int, n_agents: int) -> Any:
        """Which record each agent plays."""
        for name in ("common", "idiosyncratic"):
            record = getattr(self, name)
            if record is not None and record.shape[1] != size:
                raise InputError(
                    f"the {name} record has {record.shape[1]} entries a round, but the system's disturbance has {size}."
                )
        if self.idiosyncratic is None:
            return None
        records = self.idiosyncratic.shape[2]
        return (
            jnp.arange(n_agents)
            if records == n_agents
            else jax.random.randint(key, (n_agents,), 0, records)
        )

    def sample(
        self, state: Any, key: jax.Array, view: PopulationView
    ) -> tuple[Any, Float[jax.Array, "q N"]]:
        """This round's row of the record."""
        total = jnp.zeros(())
        if self.common is not None:
            total = total + self.common[view.t][:, None]
        if self.idiosyncratic is not None:
            total = total + self.idiosyncratic[view.t][:, state]
        return state, total


class LinearAdversary(Disturbance):
    """d^i = +K2_t (x^i − x̄) + L2_t x̄: the disturber's side of a saddle point (P1, eq. 13).

    Args:
        K2: (q, m), or (T, q, m): acts on deviations.
        L2: (q, m), or (T, q, m): acts on the mean.
        repeat: play time-varying gains again from stage 0 after the last; otherwise the last stays.
    """

    K2: Float[np.ndarray, "*T q m"]
    L2: Float[np.ndarray, "*T q m"]
    repeat: bool = eqx.field(static=True)

    def __init__(self, K2: MatrixLike, L2: MatrixLike, repeat: bool = False):
        self.K2, self.L2 = array("K2", K2), array("L2", L2)
        self.repeat = repeat
        if self.K2.shape != self.L2.shape or self.K2.ndim not in (2, 3):
            raise InputError(
                f"K2 has shape {self.K2.shape} and L2 {self.L2.shape}; both must be (q, m), or both (T, q, m)."
            )

    def init(self, key: jax.Array, size: int, n_agents: int) -> None:
        """No state is kept."""

    def sample(
        self, state: Any, key: jax.Array, view: PopulationView
    ) -> tuple[Any, Float[jax.Array, "q N"]]:
        """The answer to the population's present state."""
        K2, L2 = self.K2, self.L2
        if K2.ndim == 3:
            t = view.t % len(K2) if self.repeat else jnp.minimum(view.t, len(K2) - 1)
            K2, L2 = K2[t], L2[t]
        return state, apply(K2, view.y) + dot(L2, view.z)[:, None]


def _record(name: str, value: MatrixLike, axes: int) -> np.ndarray:
    out = array(name, value)
    if out.ndim == axes - 1:
        out = out[:, None]
    if out.ndim != axes or len(out) == 0:
        wanted = "(T, q), or (T,) when q = 1" if axes == 2 else "(T, q, P), or (T, P) when q = 1"
        raise InputError(f"{name} has shape {np.shape(value)} and must have shape {wanted}.")
    return out
