"""Memory, step size and set as P2's theorems choose them, from bounds that the user gives.

With a (κ, ρ)-strongly stable gain, ‖B‖ ≤ κ_B, |ŵ|, |e| ≤ W and |∇c| ≤ G·D whenever |x|, |u| ≤ D:

    set      a = κ_B κ³,  ‖M^{[p]}‖ ≤ a (1 − ρ)^p
    memory   the least H with κ² (1 − ρ)^H ≤ 1/T  (1/(N T) in the aggregated setting)
    step     η = D_M / √(G_f (G_f + L_f H²) T), over N in the aggregated setting
             (online convex optimisation with memory, Anava, Hazan & Mannor 2015)

D_M is the set's diameter and G_f a Lipschitz constant of the idealised cost in M, which bounds L_f as
well. Everything is a worst case: in practice far larger steps and shorter memories do better, and the
experiments say by how much.
"""

from dataclasses import dataclass

import numpy as np

from phalanx._outcome import InputError
from phalanx._types import array


@dataclass(frozen=True)
class TheorySettings:
    """What `GradientPerturbation` takes, by the theorems.

    Attributes:
        memory: H. step_size: η. radius: a. decay: ρ.
        reach: D, a bound on every idealised state and control. lipschitz: G_f. diameter: D_M.
    """

    memory: int
    step_size: float
    radius: float
    decay: float
    reach: float
    lipschitz: float
    diameter: float


def theory_settings(
    kappa: float,
    decay: float,
    *,
    rounds: int,
    bound: float,
    growth: float,
    input_norm: float,
    state_size: int,
    control_size: int,
    n_agents: int = 1,
) -> TheorySettings:
    """The theorems' settings of one agent.

    Args:
        kappa: κ ≥ 1 of the gain's certificate (`strong_stability`).
        decay: its ρ in (0, 1).
        rounds: T.
        bound: W, of every disturbance the agent recovers (in the independent setting others' controls included).
        growth: G, |∇c| ≤ G·D; for xᵀQx + uᵀRu it is 2·max(‖Q‖, ‖R‖).
        input_norm: κ_B, the spectral norm of the agent's B.
        state_size: n.
        control_size: p.
        n_agents: N in the aggregated setting, 1 otherwise.

    Raises:
        InputError: a number outside its range.

    Source: P2, Theorems 3.2 and 3.4; Anava, Hazan & Mannor (2015).

    Example:
        >>> theory = theory_settings(
        ...     1.0,
        ...     0.5,
        ...     rounds=1000,
        ...     bound=1.0,
        ...     growth=2.0,
        ...     input_norm=1.0,
        ...     state_size=1,
        ...     control_size=1,
        ... )
        >>> theory.memory, theory.radius
        (10, 1.0)
    """
    ranges = {
        "kappa": (kappa, 1.0, np.inf),
        "decay": (decay, 1e-9, 1.0),
        "bound": (bound, 0.0, np.inf),
        "growth": (growth, 0.0, np.inf),
        "input_norm": (input_norm, 0.0, np.inf),
        "rounds": (rounds, 1, np.inf),
        "n_agents": (n_agents, 1, np.inf),
    }
    for name, (value, least, below) in ranges.items():
        number = array(name, value)
        if number.ndim or not least <= number < below:
            ceiling = "" if np.isinf(below) else f" and below {below:g}"
            raise InputError(f"{name} must be at least {least:g}{ceiling}, but it is {value!r}.")
    radius = max(input_norm, 1.0) * kappa**3
    memory = max(1, int(np.ceil(np.log(kappa**2 * rounds * n_agents) / -np.log1p(-decay))))
    powers = (1.0 - decay) ** np.arange(1, memory + 1)
    carried = kappa**2 * ((1.0 - decay) ** np.arange(memory + 1)).sum()  # Σ_k ‖F^k‖
    action = radius * powers.sum() * bound  # |Σ_p M^{[p]} ŵ|
    state = carried * (bound + input_norm * action)
    reach = max(state, kappa * state + action)
    in_state = carried * input_norm * np.sqrt(memory) * bound  # |∂y/∂M|, then |∂v/∂M|
    in_control = kappa * in_state + np.sqrt(memory) * bound
    lipschitz = growth * reach * (in_state + in_control)
    rank = min(state_size, control_size)
    diameter = 2.0 * radius * float(np.sqrt(rank * (powers**2).sum()))
    step_size = 0.0
    if lipschitz > 0:
        step_size = diameter / (lipschitz * np.sqrt((1.0 + memory**2) * rounds)) / n_agents
    return TheorySettings(
        memory,
        float(step_size),
        float(radius),
        float(decay),
        float(reach),
        float(lipschitz),
        diameter,
    )
