"""The idealised cost ℓ_t(M) = c_t(y_t(M), v_t(M)) and its gradient in closed form (theory.md, Section 3).

y and v are the state and control had the agent played M for the last H+1 rounds, from state zero:

    y = f_t + Σ_{k=0..H} F^k B s_k,   s_k = Σ_p M^{[p]} ŵ_{t−1−k−p},   f_t = Σ_{k=0..H} F^k e_{t−1−k}
    v = −K y + Σ_p M^{[p]} ŵ_{t−p}

With λ = g_x − Kᵀ g_u and q_k = (F^k B)ᵀ λ the gradient is ∂ℓ/∂M^{[p]} = g_u ŵ_{t−p}ᵀ + Σ_k q_k ŵ_{t−1−k−p}ᵀ.
All the s, and the gradient, are one matrix product each with the *windows*: row j holds
ŵ_{t−j}, .., ŵ_{t−j−H+1} one after the other, j = 1..H+2. M is kept as (p, H·n), its blocks side by side.

The free response f costs two products a round instead of H+1, because f_{t+1} = F f_t + e_t − F^{H+1} e_{t−1−H}.

Everything here is written for NumPy and JAX arrays alike: the scan and the stream are one text.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from phalanx.online._agent import Agent


def parts(agent: Agent, M: Any, windows: Any) -> Any:
    """(H+2, p): Σ_p M^{[p]} ŵ_{t−p} of the present round first, then s_0 .. s_H."""
    return windows @ M.swapaxes(-1, -2)


def state_and_control(agent: Agent, s: Any, free: Any) -> tuple[Any, Any]:
    """(y, v) of the idealised round, from `parts` and the free response."""
    y = free + agent.reach @ s[1:].reshape(-1)
    return y, s[0] - agent.K @ y


def gradient(agent: Agent, windows: Any, g_x: Any, g_u: Any) -> Any:
    """∂ℓ/∂M (p, H·n) from the stage cost's slopes at (y, v)."""
    back = (agent.reach.swapaxes(-1, -2) @ (g_x - agent.K.swapaxes(-1, -2) @ g_u)).reshape(
        -1, len(g_u)
    )
    library = np if isinstance(windows, np.ndarray) else jnp
    return library.concatenate([g_u[None], back]).swapaxes(-1, -2) @ windows


def free_response(agent: Agent, free: Any, e: Any, leaving: Any) -> Any:
    """f_{t+1} from f_t, the newest input e_t and the one that leaves, e_{t−1−H}."""
    return agent.F @ free + e - agent.tail @ leaving


def windows_of(w: Any, memory: int) -> Any:
    """(H+2, H·n) from the last 2H+1 disturbances (2H+1, n), newest first."""
    return jnp.stack([w[j : j + memory].reshape(-1) for j in range(memory + 2)])


def blocks(M: Any, memory: int) -> Any:
    """(H, p, n) from (p, H·n)."""
    return M.reshape(*M.shape[:-1], memory, -1).swapaxes(-3, -2)


def side_by_side(M: Any) -> Any:
    """(p, H·n) from (H, p, n)."""
    *batch, memory, p, n = M.shape
    return M.swapaxes(-3, -2).reshape(*batch, p, memory * n)
