"""What the saddle point is worth, and what the noise buys.

For N agents, with a = 1 − 1/N and s = 1/N (P1's eq. 14 is N = ∞, with N̄ corrected to use Σ̄):

    V_N = a Tr(M_0 Σ⁰) + Tr(M̄_0 (Σ̄⁰ + s Σ⁰)) + Σ_{t=1..T} [ a Tr(M_t Σ) + Tr(M̄_t (Σ̄ + s Σ)) ]

The value is linear in (a, 1, s), so `Traces` keeps the three coefficients and gives V_N for any N.
In the stationary game the value is per step: the t-sum's summand, with constant M.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from phalanx.equilibria._game import RobustGame

ArrayB = Float[np.ndarray, "*batch"]


@dataclass(frozen=True)
class Traces:
    """The three coefficients of V_N = a·deviation + common + s·mean, batch axes kept.

    Attributes:
        deviation: Tr(M Σ) summed, what idiosyncratic noise costs through deviations.
        common: Tr(M̄ Σ̄) summed, what common noise costs through the mean.
        mean: Tr(M̄ Σ) summed, what the average of idiosyncratic noise costs through the mean.
    """

    deviation: ArrayB
    common: ArrayB
    mean: ArrayB

    def value(self, n_agents: float) -> ArrayB:
        """V_N; `n_agents` may be infinite. At N = 1 the deviation game does not count."""
        share = 1 / n_agents
        deviation = 0.0 if n_agents == 1 else (1 - share) * self.deviation
        return deviation + self.common + (share * self.mean if share else 0.0)


def traces(game: RobustGame, M: np.ndarray, M_bar: np.ndarray) -> Traces:
    """The coefficients from both games' value matrices, (*batch, T+1, m, m), or (*batch, m, m) when stationary."""
    noise = game.noise
    Sigma, Sigma_bar, Sigma_0, Sigma_bar_0 = (
        X[..., 0, :, :] if X.ndim == 4 else X
        for X in (noise.Sigma, noise.Sigma_bar, noise.Sigma_0, noise.initial_common)
    )

    def total(values: np.ndarray, each: np.ndarray, first: np.ndarray) -> np.ndarray:
        if game.stationary:
            return np.einsum("...ij,...ij->...", values, each)
        later = np.einsum("...tij,...ij->...", values[..., 1:, :, :], each)
        return later + np.einsum("...ij,...ij->...", values[..., 0, :, :], first)

    return Traces(
        deviation=total(M, Sigma, Sigma_0),
        common=total(M_bar, Sigma_bar, Sigma_bar_0),
        mean=total(M_bar, Sigma, Sigma_0),
    )


def initial_value(
    game: RobustGame, M: np.ndarray, M_bar: np.ndarray, n_agents: float
) -> float | None:
    """The part of V_N that the initial state costs, a Tr(M_0Σ⁰) + Tr(M̄_0(Σ̄⁰ + x0x0ᵀ + sΣ⁰)).

    For a single game; None in the stationary game, whose value per step it does not enter.
    """
    if game.stationary:
        return None
    share = 1 / n_agents
    common = game.noise.initial_common + share * game.noise.Sigma_0
    own = 0.0 if n_agents == 1 else (1 - share) * np.sum(M[0] * game.noise.Sigma_0)
    return float(own + np.sum(M_bar[0] * common))


def noise_power(game: RobustGame) -> ArrayB:
    """T·Tr(Σ + Σ̄), the random part of the noise index ϖ (P1, eq. 3); per step when stationary."""
    power = np.einsum("...ii->...", game.noise.Sigma + game.noise.Sigma_bar)
    power = power[..., 0] if game.noise.Sigma.ndim == 4 else power
    return np.asarray(power if game.stationary else game.horizon * power)
