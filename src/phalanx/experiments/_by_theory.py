"""Memory and step size where a scenario leaves them to theory.

Theory wants bounds: κ and ρ of the fixed gains come from their certificates, the growth G of the costs from
their weights, and W, the largest disturbance an agent recovers, from a run in which everybody plays the
fixed gain alone (P2 assumes it known; what the others do is part of it in the independent setting).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from phalanx._outcome import InputError
from phalanx.equilibria import StabilisingGains, stabilising_gains
from phalanx.scenarios import LinearScenario
from phalanx.scenarios._linear_scenario import LONGEST_MEMORY


def learners_loops(scenario: LinearScenario) -> StabilisingGains:
    """What the learners' fixed gains stabilise.

    Raises:
        InputError: the loop that the setting assumes stable is not: which agent's, and its eigenvalue.
    """
    setting = scenario.online.setting
    together = setting == "aggregated"
    loops = stabilising_gains(
        scenario.system, method=list(scenario.gains), scope="global" if together else "agent"
    )
    if together and loops.joint.spectral_radius >= 1:
        raise InputError(
            f'K of all agents together does not stabilise: {loops.joint.outcome.sentence} The setting "aggregated" needs '
            'that loop stable; choose other gains, or the setting "aggregated-agentwise".'
        )
    for i, own in enumerate(loops.own):
        if not together and own.spectral_radius >= 1:
            raise InputError(
                f'K of agent {i} does not stabilise: {own.outcome.sentence} The setting "{setting}" needs every agent\'s '
                'own loop stable; choose another K for it, such as "lqr".'
            )
    return loops


def by_theory(scenario: LinearScenario, rounds: int, seed: int) -> LinearScenario:
    """The scenario with numbers for its memory and step size: the most cautious agent's for all.

    Raises:
        InputError: gains without a certificate, or costs whose slopes theory has no bound for.
    """
    from phalanx.online import theory_settings

    online, system = scenario.online, scenario.system
    if "theory" not in (online.memory, online.step_size):
        return scenario
    loops = learners_loops(scenario)
    together = online.setting == "aggregated"
    seen = _largest_seen(scenario, rounds, seed)
    found = []
    for i in range(scenario.n_agents):
        proof = loops.joint if together else loops.own[i]
        if not proof.ok:
            raise InputError(
                f"theory chooses nothing for agent {i}: {proof.outcome.text} Give memory and step_size as numbers."
            )
        B = system.input_matrix(i)
        found.append(
            theory_settings(
                max(1.0, proof.kappa),
                proof.decay,
                rounds=rounds,
                bound=seen[i],
                growth=_growth(scenario.costs[i], i),
                input_norm=float(np.linalg.norm(B, 2)),
                state_size=system.state_size,
                control_size=B.shape[1],
                n_agents=scenario.n_agents if together else 1,
            )
        )
    chosen: dict[str, Any] = {}
    if online.memory == "theory":
        # A memory longer than the run reads nothing more.
        chosen["memory"] = min(max(one.memory for one in found), rounds, LONGEST_MEMORY)
    if online.step_size == "theory":
        chosen["step_size"] = min(one.step_size for one in found)
        if not chosen["step_size"] > 0:
            raise InputError(
                "step_size cannot come from theory here: nothing disturbs the agents, or their costs are flat; give a number."
            )
    return replace(scenario, online=replace(online, **chosen))


def _largest_seen(scenario: LinearScenario, rounds: int, seed: int) -> np.ndarray:
    """(N,) W of each agent, while all play their fixed gains."""
    from phalanx.policies import LinearFeedback
    from phalanx.simulation import simulate

    system = scenario.system
    run = simulate(
        system,
        [LinearFeedback(K) for K in scenario.gains],
        scenario.disturbance,
        None,
        rounds,
        seed,
        x0=scenario.x0,
        throw=False,
    )
    w = run.w @ system.E.T
    if scenario.online.setting != "independent":
        return np.full(system.n_agents, np.linalg.norm(w, axis=1).max(initial=0.0))
    pushed = np.einsum("inp,tip->tin", system.B, run.u)
    recovered = w[:, None] + pushed.sum(axis=1, keepdims=True) - pushed
    return np.linalg.norm(recovered, axis=2).max(axis=0, initial=0.0)


def _growth(cost: Any, agent: int) -> float:
    """G with |∇c| ≤ G·D wherever |x|, |u| ≤ D (for a target: wherever D reaches it)."""
    if hasattr(cost, "Q") and hasattr(cost, "R"):
        state, control = (float(np.linalg.norm(np.atleast_2d(W), 2)) for W in (cost.Q, cost.R))
        return 2.0 * max(state * (2.0 if hasattr(cost, "target") else 1.0), control)
    if hasattr(cost, "width"):
        return float(max(cost.weight, cost.control_weight) / cost.width)
    raise InputError(
        f"step_size and memory cannot come from theory for agent {agent}, because no bound on the slopes of its cost is "
        "known; give them as numbers."
    )
