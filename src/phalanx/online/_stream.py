"""The learner in a loop that is not ours: `act(x)`, then `observe(cost)`, round after round.

No scan, no compiler: NumPy on a handful of small matrices, the same formulas as the policy's
(`_idealised`). What the scan calls one `observe` falls into two here, because x_{t+1} is known only
when the next round begins: the gradient step needs nothing of it and is taken at once; the
disturbance of round t is recovered by the next `act`.
"""

import hashlib
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
from phalanx.online._agent import recovered
from phalanx.online._gradient_perturbation import GradientPerturbation, start, step
from phalanx.online._idealised import blocks, free_response

MAGIC = "phalanx-stream-1"


class StreamingController:
    """One agent's gradient-perturbation controller for a real loop.

    Args:
        learner: the policy; nothing of it is changed.

    Raises:
        InputError: `observe` out of turn, or a state, cost or aggregate of the wrong shape or not finite;
            nothing is changed then.
        NoSolutionError: what was learned grew beyond any number (status "diverged").

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
        if not isinstance(learner, GradientPerturbation):
            raise InputError(
                f"learner must be a GradientPerturbation, but it is a {type(learner).__name__}; "
                "a fixed policy needs no memory: call its formula yourself."
            )
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

    @property
    def M(self) -> Float[np.ndarray, "H p n"]:
        """What has been learned so far; M[p − 1] is the paper's M^{[p]}."""
        return blocks(self._memory.flat, self.learner.memory).copy()

    @property
    def rounds(self) -> int:
        """Rounds begun so far."""
        return int(self._memory.rounds) + (self._u is not None)

    def act(self, x: MatrixLike) -> Float[np.ndarray, " p"]:
        """The control u_t for the state x_t.

        In the independent setting `observe` may be left out between two calls; nothing is then learned
        from that round.

        Args:
            x: (n,) the shared state now.

        Returns:
            (p,) float64.
        """
        x = np.array(x, dtype=np.float64)
        if x.shape != self._state_shape:
            raise InputError(f"x has shape {x.shape} and must have shape {self._state_shape}.")
        if not np.isfinite(x).all():
            at = int(np.argmin(np.isfinite(x)))
            raise InputError(
                f"x must be finite, but it holds {x[at]} at index {at}: a sensor that failed, or a plant that ran away "
                "(then lower the step size or the radius, or check that the gains stabilise the system)."
            )
        if self._u is not None:
            self._finish(x)
        memory = self._memory
        u = memory.windows[0] @ memory.flat - self._agent.K @ x
        if not np.isfinite(u).all():
            raise NoSolutionError(
                Outcome(
                    "diverged",
                    f"In round {int(memory.rounds)} the control is no finite number.",
                    "Lower the step size or the radius, or check that the gains stabilise the system.",
                )
            )
        self._x, self._u = x, u
        self._told = False
        self._aggregate = None
        return u.copy()

    def observe(
        self,
        cost: Any = None,
        aggregate: MatrixLike | None = None,
        applied: MatrixLike | None = None,
    ) -> None:
        """What the round cost, and what the others did in it, after `act` and before the next.

        Args:
            cost: this round's stage cost: a `px` cost (or anything with `gradient(t, x, u)`), or a callable
                (x, u) → (∂c/∂x, ∂c/∂u), since the slope is needed at the idealised point. None: nothing is
                learned from this round.
            aggregate: (n,) Σ_{j≠i} B_j u^j of this round, in the aggregated settings only.
            applied: (p,) the control that really acted, where an actuator gave less than `act` asked for. Left
                out, what was withheld counts as disturbance.
        """
        if self._u is None or self._told:
            raise InputError("observe belongs after act, once a round.")
        told = self._checked(aggregate)
        acted = self._u if applied is None else _finite("applied", applied, self._u.shape)
        if cost is not None:
            memory, t = self._memory, int(self._memory.rounds)
            if cost is not self._cost:
                self._slope = _slope(cost, self._state_shape, self._u.shape)
                self._cost = cost
            memory.flat, memory.past = step(
                self._rule, self._agent, memory, self._slope, t, self._project
            )
        self._aggregate, self._u, self._told = told, acted, True

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
        past = (self._w if memory.e is None else memory.e)[: H + 1]
        memory.free = free_response(agent, memory.free, np.concatenate([e[None], past]))
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
        return _finite("aggregate", aggregate, self._state_shape)

    def _settings(self) -> str:
        learner = self.learner
        H, (p, n) = learner.memory, learner.K.shape
        return (
            f"memory {H}, {n} states, {p} inputs, setting {learner.setting}, update {learner.update}, "
            f"step size {float(learner.initial_step)!r} ({learner.slowing}), radius {learner.radius!r}, decay {learner.decay!r}, "
            f"matrices {_digest(learner)}"
        )


def _plain(module: Any) -> Any:
    return SimpleNamespace(**{f.name: getattr(module, f.name) for f in fields(module)})


def _projection(limits: np.ndarray, memory: int) -> Callable[[Any, Any], Any]:
    def project(flat: np.ndarray, _: np.ndarray) -> np.ndarray:
        # Frobenius norms of the blocks: where all fit, nothing is to be done.
        rows = flat.reshape(memory, -1)
        if (np.einsum("hm,hm->h", rows, rows) <= squares).all():
            return flat
        by_lag = flat.reshape(memory, -1, flat.shape[-1])
        return _balls.project_host(by_lag, limits).reshape(flat.shape)

    with np.errstate(over="ignore"):
        squares = limits**2
    return project


def _slope(cost: Any, n: tuple, p: tuple) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """(t, x, u) → both slopes, tried once on zeros so that what does not fit is said at once."""
    of_kind = getattr(type(cost), "gradient", None)
    if of_kind is not None:  # of the class: a module makes a bound method anew each time
        slope = partial(of_kind, cost)
    elif callable(cost):

        def slope(_: Any, x: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            answer = cost(x, u)
            if not isinstance(answer, tuple) or len(answer) != 2:
                raise InputError(
                    "cost must give the pair (∂c/∂x, ∂c/∂u) at (x, u), not the cost itself; a `px` cost gives both."
                )
            return _finite("∂c/∂x of the cost", answer[0], n), _finite("∂c/∂u", answer[1], p)

    else:
        raise InputError(
            f"cost must be a stage cost or a callable (x, u) → (∂c/∂x, ∂c/∂u), but it is {cost!r}."
        )
    try:
        g_x, g_u = slope(0, np.zeros(n), np.zeros(p))
    except InputError:
        raise
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"cost does not fit: asked for its slopes at x of shape {n} and u of shape {p} it failed "
            f"({str(error).splitlines()[0]}); it must be a stage cost of these sizes, or a callable (x, u) → (∂c/∂x, ∂c/∂u)."
        ) from error
    if np.shape(g_x) != n or np.shape(g_u) != p:
        raise InputError(
            f"cost gives slopes of shapes {np.shape(g_x)} and {np.shape(g_u)}; they must be {n} and {p}."
        )
    return slope


def _finite(name: str, value: Any, shape: tuple) -> np.ndarray:
    out = np.asarray(value, dtype=np.float64)
    if out.shape != shape or not np.isfinite(out).all():
        raise InputError(
            f"{name} must be finite numbers of shape {shape}, but it is {_short(value)}."
        )
    return out


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _digest(learner: GradientPerturbation) -> str:
    """A few letters that differ between agents: a file mixed up with a neighbour's is noticed."""
    agent = learner.agent
    parts = [agent.A, agent.B, agent.K, *([] if agent.others is None else [agent.others])]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:12]


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
