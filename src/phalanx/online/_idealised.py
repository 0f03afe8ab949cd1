"""The idealised cost ℓ_t(M) = c_t(y_t(M), v_t(M)) and its gradient in closed form (docs/notation.md).

y and v are the state and control had the agent played M for the last H+1 rounds, from state zero:

    y = f_t + Σ_{k=0..H} F^k B s_k,   s_k = Σ_p M^{[p]} ŵ_{t−1−k−p},   f_t = Σ_{k=0..H} F^k e_{t−1−k}
    v = −K y + Σ_p M^{[p]} ŵ_{t−p}

With λ = g_x − Kᵀ g_u and q_k = (F^k B)ᵀ λ the gradient is ∂ℓ/∂M^{[p]} = g_u ŵ_{t−p}ᵀ + Σ_k q_k ŵ_{t−1−k−p}ᵀ.
All the s, and the gradient, are one matrix product each with the *windows*: row j holds
ŵ_{t−j}, .., ŵ_{t−j−H+1} one after the other, j = 1..H+2. A round later they are one row down, so that
they are carried, not built. M is kept as (H·n, p), the transposed blocks M^{[p]ᵀ} on top of each other.

The free response f costs two products a round instead of H+1 where F is stable, because
f_{t+1} = F f_t + e_t − F^{H+1} e_{t−1−H}.

Everything here is written for NumPy and JAX arrays alike: the scan and the stream are one text.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from phalanx.online._agent import Agent


def parts(flat: Any, windows: Any) -> Any:
    """(H+2, p): Σ_p M^{[p]} ŵ_{t−p} of the present round first, then s_0 .. s_H."""
    return windows @ flat


def state_and_control(agent: Agent, s: Any, free: Any) -> tuple[Any, Any]:
    """(y, v) of the idealised round, from `parts` and the free response."""
    y = free + agent.reach @ s[1:].reshape(-1)
    return y, s[0] - agent.K @ y


def gradient(agent: Agent, windows: Any, g_x: Any, g_u: Any) -> Any:
    """∂ℓ/∂M, laid out like M (H·n, p), from the stage cost's slopes at (y, v)."""
    p = len(g_u)
    back = agent.reach.swapaxes(-1, -2) @ (g_x - agent.K.swapaxes(-1, -2) @ g_u)
    library = np if isinstance(windows, np.ndarray) else jnp
    weights = library.concatenate([g_u, back]).reshape(-1, p)
    return (weights.swapaxes(-1, -2) @ windows).swapaxes(-1, -2)


def free_response(agent: Agent, free: Any, e: Any) -> Any:
    """f_{t+1} from f_t and the inputs e (H+2, n), e_t first.

    Two products where F is stable; where it is not they would grow the rounding of earlier rounds,
    and the sum is taken anew, F(F(..) + e_{t−1}) + e_t.
    """
    if agent.stable:
        return agent.F @ free + e[0] - agent.tail @ e[-1]
    total = e[-2]
    for k in reversed(range(agent.memory)):
        total = agent.F @ total + e[k]
    return total


def blocks(flat: Any, memory: int) -> Any:
    """(H, p, n) from (H·n, p)."""
    return flat.reshape(*flat.shape[:-2], memory, -1, flat.shape[-1]).swapaxes(-1, -2)


def on_top(M: Any) -> Any:
    """(H·n, p) from (H, p, n)."""
    *batch, memory, p, n = M.shape
    return M.swapaxes(-1, -2).reshape(*batch, memory * n, p)
