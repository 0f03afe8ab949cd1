"""The game that the agents play in one round, each with its M frozen over the memory (docs/notation.md, setting 2.2).

    y = Σ_{k=0..H} A_cl^k [w_{t−1−k} + Σ_j B_j Σ_p M_j^{[p]} w_{t−1−k−p}],   A_cl = A − Σ_j B_jK_j
    v_i = −K_i y + Σ_p M_i^{[p]} w_{t−p},      ℓ^i_t(M_1, …, M_N) = c^i_t(y, v_i)

When the costs make it a potential game, a change of ℓ^i by agent i alone is the change of the potential Φ. They do when
the mixed second derivatives agree,  ∂²ℓ^i/∂M_i∂M_j = ∂²ℓ^j/∂M_i∂M_j, which is checked here in sampled directions: a
common c_t(x) passes, and so does c_t(x) + r_i(u^i) where K = 0; an identical c(x, u^i) with K ≠ 0 does not.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx.costs import Quadratic
from phalanx.evaluation._rollout import on_device
from phalanx.simulation._kinds import Kind

# How much of the game is sampled for its symmetry: rounds, pairs of agents, pairs of directions each.
ROUNDS, PAIRS, DIRECTIONS = 8, 12, 4


class RoundGame:
    """Idealised states and controls of some rounds, on the host.

    Args:
        A_cl: (n, n). B, K: per agent (n, p_i) and (p_i, n). w: (T, n) true disturbances, as they enter the state.
        M: per agent (R, H, p_i, n), what was played in the rounds. rounds: (R,) their places in w.

    Attributes:
        windows: (R, H+2, H, n); row j of a round holds w_{t−j−1}, .., w_{t−j−H}.
        reach: per agent (H+1, n, p_i), A_cl^k B_i.
        y: (R, n). v: per agent (R, p_i).
    """

    def __init__(
        self,
        A_cl: np.ndarray,
        B: Sequence[np.ndarray],
        K: Sequence[np.ndarray],
        w: np.ndarray,
        M: Sequence[np.ndarray],
        rounds: np.ndarray,
    ):
        H = M[0].shape[1]
        back = np.arange(H + 2)[:, None] + np.arange(H) + 1
        self.windows = _past(w, rounds[:, None, None] - back)
        powers = [np.eye(len(A_cl))]
        for _ in range(H):
            powers.append(A_cl @ powers[-1])
        self.K, self.M = list(K), list(M)
        self.reach = [np.stack([power @ b for power in powers]) for b in B]
        recent = _past(w, rounds[:, None] - 1 - np.arange(H + 1))
        free = np.einsum("kmn,rkn->rm", np.stack(powers), recent)
        parts = [self.parts(m) for m in M]
        self.own = [self.pushed(i, part) for i, part in enumerate(parts)]
        self.y = free + sum(self.own)
        self.v = [part[:, 0] - self.y @ k.T for part, k in zip(parts, self.K, strict=True)]

    def parts(self, M: np.ndarray) -> Float[np.ndarray, "R H2 p"]:
        """Σ_p M^{[p]} w_{t−j−p} for j = 0..H+1."""
        return np.einsum("rhab,rjhb->rja", M, self.windows, optimize=True)

    def pushed(self, agent: int, parts: np.ndarray) -> Float[np.ndarray, "R n"]:
        """What an agent's learned part does to y."""
        return np.einsum("knp,rkp->rn", self.reach[agent], parts[:, 1:], optimize=True)

    def asymmetry(self, costs: Sequence[Any], t: np.ndarray) -> float:
        """Largest difference of the mixed second derivatives of ℓ^i and ℓ^j, as a share of the largest of them."""
        draws = np.random.default_rng(0)
        N, R = len(self.M), len(self.y)
        pairs = [(i, j) for i in range(N) for j in range(i + 1, N)]
        if len(pairs) > PAIRS:
            pairs = [pairs[k] for k in draws.choice(len(pairs), PAIRS, replace=False)]
        some = np.unique(np.linspace(0, R - 1, min(R, ROUNDS)).astype(int))
        largest = apart = felt = 0.0
        for i, j in pairs:
            for _ in range(DIRECTIONS):
                ways = {}
                for agent in (i, j):
                    parts = self.parts(draws.normal(size=self.M[agent].shape))
                    ways[agent] = self.pushed(agent, parts), parts[:, 0]
                mixed, plain = [], []
                for agent, other in ((i, j), (j, i)):
                    K = self.K[agent]
                    (own_y, own_v), (other_y, _) = ways[agent], ways[other]
                    both = own_y, own_v - own_y @ K.T, other_y, -other_y @ K.T
                    points = (t, self.y, self.v[agent], *both)
                    device = [jnp.asarray(value[some]) for value in points]
                    mixed.append(np.asarray(_mixed(on_device(costs[agent]), *device)))
                    plain.append(np.asarray(_mixed(on_device(Quadratic()), *device)))
                largest = max(largest, float(np.abs(mixed).max()))
                felt = max(felt, float(np.abs(plain).max()))
                apart = max(apart, float(np.abs(mixed[0] - mixed[1]).max()))
        if largest > 0:
            return apart / largest
        # Nothing mixes: because the agents do not meet, or because where they do the costs are flat.
        return 0.0 if felt == 0 else float("nan")


class BestResponses(eqx.Module):
    """ℓ^i of every agent of one kind in every round, as a function of that agent's own M: what is minimised.

    Attributes:
        kind: the agents' costs. t: (R,) rounds. windows: as in `RoundGame`.
        y: (G, R, n) without the agent's own part. reach: (G, H+1, n, p). K: (G, p, n).
    """

    kind: Kind
    t: jax.Array
    windows: jax.Array
    y: jax.Array
    reach: jax.Array
    K: jax.Array

    def __call__(self, M: Float[jax.Array, "GR H p n"]) -> Float[jax.Array, " GR"]:
        """Agent by agent, round by round."""
        each = M.reshape(*self.y.shape[:2], *M.shape[1:])
        highest = jax.lax.Precision.HIGHEST
        parts = jnp.einsum("grhab,rjhb->grja", each, self.windows, precision=highest)
        y = self.y + jnp.einsum("gknp,grkp->grn", self.reach, parts[:, :, 1:], precision=highest)
        v = parts[:, :, 0] - jnp.einsum("gpn,grn->grp", self.K, y, precision=highest)
        costs = self.kind.map(lambda cost, y, v: jax.vmap(cost)(self.t, y, v), y, v)
        return costs.reshape(-1)


@eqx.filter_jit
def _mixed(
    cost: Any,
    t: jax.Array,
    y: jax.Array,
    v: jax.Array,
    y_1: jax.Array,
    v_1: jax.Array,
    y_2: jax.Array,
    v_2: jax.Array,
) -> jax.Array:
    """Second derivative of c_t at (y, v) along (y_1, v_1) and (y_2, v_2), round by round."""

    def one(t, y, v, y_1, v_1, y_2, v_2):
        def along(r):
            def inner(s):
                return cost(t, y + s * y_1 + r * y_2, v + s * v_1 + r * v_2)

            return jax.jvp(inner, (0.0,), (1.0,))[1]

        return jax.jvp(along, (0.0,), (1.0,))[1]

    return jax.vmap(one)(t, y, v, y_1, v_1, y_2, v_2)


def _past(w: np.ndarray, at: np.ndarray) -> np.ndarray:
    """W at the rounds `at`; 0 before round 0."""
    return np.where((at >= 0)[..., None], w[np.maximum(at, 0)], 0.0)
