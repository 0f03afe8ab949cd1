"""The learner in a loop that is not ours: `act(x)`, then `observe(cost)`, round after round.

No scan, no compiler: NumPy on a handful of small matrices, the same formulas as the policy's
(`_idealised`). What the scan calls one `observe` falls into two here, because x_{t+1} is known only
when the next round begins: the gradient step needs nothing of it and is taken at once; the
disturbance of round t is recovered by the next `act`.
"""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from jaxtyping import Float

from phalanx._linalg import _balls
from phalanx._outcome import InputError, NoSolutionError, Outcome
from phalanx._sealed import seal, unseal
from phalanx._types import MatrixLike
from phalanx.online import _idealised
from phalanx.online._agent import recovered
from phalanx.online._gradient_perturbation import GradientPerturbation, start, step

MAGIC = "phalanx-stream-1"


class StreamingController:
    """One agent's gradient-perturbation controller for a real loop.

    Args:
        learner: the policy; nothing of it is changed.

    Raises:
        InputError: `act` and `observe` out of turn, or a state, cost or aggregate of the wrong shape.
        NoSolutionError: the controls grew beyond any number (status "diverged"); the state is kept as it
            was before that round.

    Example:
        >>> import numpy as np
        >>> import phalanx as px
        >>> learner = px.GradientPerturbation(
        ...     A=[[0.9]], B=[[1.0]], K=[[0.3]], memory=4, step_size=0.02
        ... )
        >>> controller = px.StreamingController(learner)
        >>> x = np.zeros(1)
        >>> for t in range(300):
        ...     u = controller.act(x)
        ...     controller.observe(px.Quadratic(Q=1.0, R=0.1))
        ...     x = 0.9 * x + u + 1.0  # the world: a steady push the controller is not told of
        >>> bool(abs(x[0]) < 0.5 < 1 / (1 - 0.9 + 0.3))
        True
    """

    def __init__(self, learner: GradientPerturbation):
        self.learner = learner
        # Plain copies of the modules' fields, the memory's to be changed in place: what a module does
        # at every look-up, and a new record a round, would cost more than the mathematics.
        self._agent, self._rule = _plain(learner.agent), _plain(learner)
        H, n = learner.memory, learner.A.shape[-1]
        self._setting = learner.setting
        self._memory = _plain(start(learner))
        # One buffer of disturbances, and the windows a view of it that moves as it moves.
        self._w = np.zeros((2 * H + 1, n))
        self._memory.windows = _view(self._w, H)
        self._cost: Any = None
        self._slope: Any = None
        self._project = _projection(learner.limits, H)
        self._state_shape = (n,)
        self._x = np.zeros(n)
        self._u: np.ndarray | None = None
        self._aggregate: np.ndarray | None = None
        self._told = False
        self._learned = False

    @property
    def M(self) -> Float[np.ndarray, "H p n"]:
        """What has been learned so far; M[p − 1] is the paper's M^{[p]}."""
        return _idealised.blocks(self._memory.flat, self.learner.memory).copy()

    @property
    def rounds(self) -> int:
        """Rounds begun so far."""
        return int(self._memory.rounds) + (self._u is not None)

    def act(self, x: MatrixLike) -> Float[np.ndarray, " p"]:
        """The control u_t for the state x_t.

        Args:
            x: (n,) the shared state now.

        Returns:
            (p,) float64.
        """
        x = np.array(x, dtype=np.float64)
        if x.shape != self._state_shape:
            raise InputError(f"x has shape {x.shape} and must have shape {self._state_shape}.")
        if self._u is not None:
            self._finish(x)
        memory = self._memory
        u = memory.windows[0] @ memory.flat - self._agent.K @ x
        if not np.isfinite(u).all():
            raise NoSolutionError(
                Outcome(
                    "diverged",
                    f"In round {int(memory.rounds)} the control or the state is no finite number.",
                    "Lower the step size or the radius, or check that the gains stabilise the system.",
                )
            )
        self._x, self._u = x, u
        self._told = self._learned = False
        self._aggregate = None
        return u.copy()

    def observe(self, cost: Any = None, aggregate: MatrixLike | None = None) -> None:
        """What the round cost, and what the others did in it, after `act` and before the next.

        Args:
            cost: this round's stage cost: a `px` cost (or anything with `gradient(t, x, u)`), or a callable
                (x, u) → (∂c/∂x, ∂c/∂u), since the slope is needed at the idealised point. None: nothing is
                learned from this round.
            aggregate: (n,) Σ_{j≠i} B_j u^j of this round, in the aggregated settings only.
        """
        if self._u is None or self._told:
            raise InputError("observe belongs after act, once a round.")
        self._aggregate = self._checked(aggregate)
        if cost is not None:
            memory, t = self._memory, int(self._memory.rounds)
            if cost is not self._cost:
                self._cost = cost
                self._slope = _slope(cost, self._state_shape, self._u.shape)
            memory.flat, memory.past = step(
                self._rule, self._agent, memory, self._slope, t, self._project
            )
        self._told = True

    def save(self, path: str | Path) -> None:
        """Write the state between two rounds, or in the middle of one, to one file; never half a file."""
        memory = self._memory
        seal(
            Path(path),
            MAGIC,
            {
                "settings": np.asarray(self._settings()),
                "flat": memory.flat,
                "w": self._w,
                "e": _or_nothing(memory.e),
                "free": memory.free,
                "past": _or_nothing(memory.past),
                "rounds": np.asarray(memory.rounds),
                "x": self._x,
                "u": _or_nothing(self._u),
                "aggregate": _or_nothing(self._aggregate),
                "told": np.asarray(self._told),
            },
        )

    @classmethod
    def load(cls, path: str | Path, learner: GradientPerturbation) -> "StreamingController":
        """Go on where `save` left off, to the same bits.

        Args:
            path: of the file.
            learner: the same policy as then.

        Raises:
            InputError: no such file, a damaged one, or one that belongs to other sizes or settings.
        """
        saved = unseal(Path(path), MAGIC, "controller's state")
        out = cls(learner)
        if str(saved["settings"]) != out._settings():
            raise InputError(
                f"{path} was saved with {saved['settings']}, but the learner at hand has {out._settings()}."
            )
        memory = out._memory
        out._w[:] = saved["w"]
        if memory.e is not None:
            memory.e[:] = saved["e"]
        memory.flat, memory.free, memory.rounds = (saved[k] for k in ("flat", "free", "rounds"))
        memory.past = _nothing_as_none(saved["past"])
        out._x, out._told = saved["x"], bool(saved["told"])
        out._u, out._aggregate = (_nothing_as_none(saved[name]) for name in ("u", "aggregate"))
        return out

    def _finish(self, x: np.ndarray) -> None:
        """Recover the disturbance of the round that x ends."""
        if not self._told and self._setting != "independent":
            raise InputError(
                "aggregate is missing for the last round: call observe(cost, aggregate) before the next act."
            )
        memory, agent, H = self._memory, self._agent, self._agent.memory
        w, e = recovered(agent, self._x, self._u, x, self._aggregate)
        if not np.isfinite(w).all():
            raise InputError("x must be finite numbers; the last state or control was not.")
        leaving = (self._w if memory.e is None else memory.e)[H].copy()
        memory.free = _idealised.free_response(agent, memory.free, e, leaving)
        _push(self._w, w)
        if memory.e is not None:
            _push(memory.e, e)
        memory.rounds = memory.rounds + 1
        self._u = None

    def _checked(self, aggregate: MatrixLike | None) -> np.ndarray | None:
        wanted = self._setting != "independent"
        if (aggregate is not None) != wanted:
            raise InputError(
                f"aggregate, the (n,) sum of what the others did, is "
                f"{'missing in' if wanted else 'not known in'} the setting {self.learner.setting!r}."
            )
        if aggregate is None:
            return None
        out = np.array(aggregate, dtype=np.float64)
        if out.shape != self._state_shape or not np.isfinite(out).all():
            raise InputError(
                f"aggregate must be {self._state_shape} finite numbers, but it is {aggregate!r}."
            )
        return out

    def _settings(self) -> str:
        learner = self.learner
        H, (p, n) = learner.memory, learner.K.shape
        return (
            f"memory {H}, {n} states, {p} inputs, setting {learner.setting}, update {learner.update}, "
            f"step size {float(learner.initial_step)!r} ({learner.slowing}), radius {learner.radius!r}, decay {learner.decay!r}"
        )


def _plain(module: Any) -> Any:
    return SimpleNamespace(**{f.name: getattr(module, f.name) for f in fields(module)})


def _projection(limits: np.ndarray, memory: int) -> Callable[[Any, Any], Any]:
    def project(flat: np.ndarray, _: np.ndarray) -> np.ndarray:
        # Frobenius norms of the blocks: where all fit, nothing is to be done.
        rows = flat.reshape(memory, -1)
        if (np.einsum("hm,hm->h", rows, rows) <= squares).all():
            return flat
        blocks = flat.reshape(memory, -1, flat.shape[-1])
        return _balls.project_host(blocks, limits).reshape(flat.shape)

    with np.errstate(over="ignore"):
        squares = limits**2
    return project


def _slope(cost: Any, n: tuple, p: tuple) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    slope_of_kind = getattr(type(cost), "gradient", None)
    if slope_of_kind is not None:  # of the class: a module makes a bound method anew each time
        return partial(slope_of_kind, cost)
    if hasattr(cost, "gradient"):
        return cost.gradient
    if not callable(cost):
        raise InputError(
            f"cost must be a stage cost or a callable (x, u) → (∂c/∂x, ∂c/∂u), but it is {cost!r}."
        )

    def slope(_: Any, x: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        answer = cost(x, u)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise InputError(
                "cost must give the pair (∂c/∂x, ∂c/∂u) at (x, u), not the cost itself; a `px` cost gives both."
            )
        g_x, g_u = (np.asarray(part, dtype=np.float64) for part in answer)
        if g_x.shape != n or g_u.shape != p:
            raise InputError(
                f"cost gives slopes of shapes {g_x.shape} and {g_u.shape}; they must be {n} and {p}."
            )
        return g_x, g_u

    return slope


def _view(w: np.ndarray, memory: int) -> np.ndarray:
    """Row j: the `memory` rows of w from j on, end to end, without a copy; it moves as w moves."""
    n = w.shape[1]
    return np.lib.stride_tricks.as_strided(
        w, (memory + 2, memory * n), (n * w.itemsize, w.itemsize), writeable=False
    )


def _push(past: np.ndarray, newest: np.ndarray) -> None:
    past[1:] = past[:-1]
    past[0] = newest


def _or_nothing(value: Any) -> np.ndarray:
    return np.zeros(0) if value is None else np.asarray(value)


def _nothing_as_none(value: np.ndarray) -> np.ndarray | None:
    return None if value.shape == (0,) else value
