"""What a disturbance-action agent is made of, and what it may compute from what it is told.

The three information settings of P2 differ in three things only: which matrix F carries an input
onward in the agent's idealised world, which disturbance ŵ its controls read, and which input e
drives that world beside its own M:

    setting                    F              ŵ_t                          e_t
    independent (2.1)          A − B_i K_i    x' − A x − B_i u  =: w̃       w̃
    aggregated (2.2)           A − Σ_j B_j K_j    w̃ − Σ_{j≠i} B_j u^j      ŵ + Σ_{j≠i} B_j (u^j + K_j x)
    aggregated-agentwise (C.3) A − B_i K_i    w̃ − Σ_{j≠i} B_j u^j          w̃

Everything else, controls, idealised cost and gradient, is the same text for all three.
"""

from typing import Any, Literal

import equinox as eqx
import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array, frozen, matrix

Setting = Literal["independent", "aggregated", "aggregated-agentwise"]
SETTINGS = ("independent", "aggregated", "aggregated-agentwise")
LONGEST_MEMORY = 10_000
# A radius this little above 1 grows no rounding in any run that ends.
MARGINAL = 1e-12


class Agent(eqx.Module):
    """One agent's own part of the world, with the powers of F worked out once.

    Attributes:
        A: (n, n). B: (n, p) its own inputs. K: (p, n) its fixed gain.
        others: (n, n) Σ_{j≠i} B_j K_j, common knowledge in the aggregated setting, else None.
        F: (n, n) the table above. tail: (n, n) F^{H+1}.
        reach: (n, (H+1)·p) the blocks F^k B, k = 0..H: what own inputs of k rounds ago do to the state.
        memory: H. setting: which row of the table above.
        stable: whether F is; if not, nothing may be carried on by powers of F.
    """

    A: Float[np.ndarray, "n n"]
    B: Float[np.ndarray, "n p"]
    K: Float[np.ndarray, "p n"]
    others: Float[np.ndarray, "n n"] | None
    F: Float[np.ndarray, "n n"]
    tail: Float[np.ndarray, "n n"]
    reach: Float[np.ndarray, "n Hp"]
    memory: int = eqx.field(static=True)
    setting: Setting = eqx.field(static=True)
    stable: bool = eqx.field(static=True)

    def __init__(
        self,
        A: MatrixLike,
        B: MatrixLike,
        K: MatrixLike,
        memory: int,
        setting: Setting = "independent",
        others: MatrixLike | None = None,
    ):
        A, B, K = array("A", A), array("B", B), array("K", K)
        if B.ndim == 0:
            B = B.reshape(1, 1)
        if B.ndim != 2:
            raise InputError(
                f"B has shape {B.shape} and must be this agent's own matrix (n, p); see `px.team` for all at once."
            )
        n, p = B.shape
        self.A, self.B = matrix("A", A, n, n), frozen(B)
        self.K = matrix("K", K, p, n)
        for name in ("A", "K"):
            if getattr(self, name).ndim != 2:
                raise InputError(f"{name} varies in time; online agents know one constant {name}.")
        self.memory = whole("memory", memory, 1, LONGEST_MEMORY)
        if setting not in SETTINGS:
            raise InputError(
                f"setting must be one of {', '.join(SETTINGS)}, but it is {setting!r}."
            )
        self.setting = setting
        if (others is None) == (setting == "aggregated"):
            raise InputError(
                "others, the matrix Σ_{j≠i} B_j K_j, is common knowledge in the aggregated setting: it is "
                + (
                    "missing."
                    if others is None
                    else f"not known in the setting {setting!r}; leave it out."
                )
            )
        self.others = None if others is None else matrix("others", others, n, n)
        closed = self.A - self.B @ self.K
        self.F = frozen(closed if self.others is None else closed - self.others)
        self.reach, self.tail = powers(self.F, self.B, self.memory)
        self.stable = bool(np.abs(np.linalg.eigvals(self.F)).max() <= 1.0 + MARGINAL)


def powers(F: np.ndarray, B: np.ndarray, memory: int) -> tuple[np.ndarray, np.ndarray]:
    """[B, F B, .., F^H B] side by side, and F^{H+1}."""
    blocks, power = [B], F
    for _ in range(memory):  # H products, once per agent
        blocks.append(F @ blocks[-1])
    with np.errstate(over="ignore", invalid="ignore"):
        power = np.linalg.matrix_power(F, memory + 1)
    return frozen(np.concatenate(blocks, axis=1)), frozen(power)


def recovered(agent: Agent, x: Any, u: Any, x_next: Any, aggregate: Any) -> tuple[Any, Any]:
    """(ŵ, e) of the round in which u was played and x became x_next, after the table above."""
    own = x_next - agent.A @ x - agent.B @ u
    if agent.setting == "independent":
        return own, own
    w = own - aggregate
    if agent.setting == "aggregated":
        return w, own + agent.others @ x
    return w, own


def whole(name: str, value: Any, least: int, most: int) -> int:
    """A whole number within limits, or a sentence."""
    right = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not right or not least <= value <= most:
        raise InputError(
            f"{name} must be a whole number from {least} to {most}, but it is {value!r}."
        )
    return int(value)
