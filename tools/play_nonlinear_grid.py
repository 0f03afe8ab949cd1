"""The whole of `power-grid` in the nonlinear model, limits and all: how much do they matter?

The scenario is linear, and its valves know no end. Here the same loads and the same controllers meet the
nonlinear model that the matrices were taken from, through its own door: the loop below is not the library's.
Generators hold their set-points for a round; between rounds the model is integrated by Runge and Kutta's
method of fourth order in steps of 12.5 ms. Learners are `StreamingController`s that believe in the linear model.

    python tools/play_nonlinear_grid.py                            # everything: some minutes each
    python tools/play_nonlinear_grid.py --limits set --only gpc    # one of them

It needs the package `tops` (`pip install phalanx[grid]`).
"""

import argparse
from collections.abc import Callable

import numpy as np
from build_new_england_grid import Plant, plant

import phalanx as px
from phalanx.online import team
from phalanx.scenarios import LinearScenario
from phalanx.scenarios._new_england import REFERENCE, THOUSANDTHS, NewEngland, load
from phalanx.simulation import simulate

STEPS = 8  # of the integration, in a round
CONTROLLERS = ("zero", "lqr", "gpc")

Act = Callable[[np.ndarray], np.ndarray]


def seen(grid: NewEngland) -> np.ndarray:
    """(122, 123): from deviations of the model's state to the scenario's, angles measured from G1."""
    variables = [variable for _, variable in grid.states]
    reference = grid.states.index((REFERENCE, "angle"))
    turn = np.eye(len(variables))
    turn[[k for k, variable in enumerate(variables) if variable == "angle"], reference] -= 1.0
    unit = {"speed": THOUSANDTHS * grid.frequency, "angle": float(np.degrees(1.0))}
    scale = np.array([unit.get(variable, THOUSANDTHS) for variable in variables])
    return np.delete(scale[:, None] * turn, reference, axis=0)


def players(world: LinearScenario, controller: str) -> Act:
    """All nine at once: from the state to their set-points, MW."""
    if controller != "gpc":
        K = np.vstack(world.gains) * (controller == "lqr")
        return lambda x: -K @ x
    streams = [px.StreamingController(policy) for policy in learners(world)]

    def act(x: np.ndarray) -> np.ndarray:
        u = np.array([stream.act(x)[0] for stream in streams])
        for stream, cost in zip(streams, world.costs, strict=True):
            stream.observe(cost)
        return u

    return act


def learners(world: LinearScenario) -> list[px.GradientPerturbation]:
    """The learners as the scenario describes them."""
    online = world.online
    return team(
        world.system,
        world.gains,
        memory=online.memory,
        step_size=online.step_size,
        radius=online.radius,
    )


def nonlinear(world: LinearScenario, act: Act, model: Plant) -> tuple[np.ndarray, np.ndarray]:
    """States (T, 122) and set-points (T, 9) of the whole run."""
    grid = load()
    T, rest = seen(grid), model.model.x_0.copy()
    h = world.step_seconds / STEPS
    y, x, u = rest.copy(), [], []
    for loads in np.asarray(world.disturbance.common):
        x.append(T @ (y - rest))
        u.append(act(x[-1]))
        push, load_share = u[-1] / grid.governed_mw, loads / grid.load_mw
        for _ in range(STEPS):
            k1 = model.derivative(y, push, load_share)
            k2 = model.derivative(y + h / 2 * k1, push, load_share)
            k3 = model.derivative(y + h / 2 * k2, push, load_share)
            k4 = model.derivative(y + h * k3, push, load_share)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return np.array(x), np.array(u)


def linear(world: LinearScenario, controller: str) -> tuple[np.ndarray, np.ndarray]:
    """The same in the scenario's own world."""
    policies = (
        learners(world)
        if controller == "gpc"
        else [px.LinearFeedback(K * (controller == "lqr")) for K in world.gains]
    )
    run = simulate(world.system, policies, world.disturbance, list(world.costs), world.rounds, 0)
    return run.x[:-1], run.u[:, :, 0]


def said(world: LinearScenario, x: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, str]:
    """Frequencies (T, 9) in mHz, and a line about them."""
    f = 1000 * x @ world.outputs[0].matrix.T
    costs = [
        np.einsum("tn,nm,tm->t", x, cost.Q, x) + cost.R[0, 0] * u[:, i] ** 2
        for i, cost in enumerate(world.costs)
    ]
    words = f"nadir {f.min():7.1f}  largest {np.abs(f).max():6.1f}  rms {np.sqrt((f**2).mean()):6.2f} mHz"
    return f, f"{words}  mean cost {np.mean(costs):.3f}"


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description="power-grid in the nonlinear model.")
    parser.add_argument("--limits", choices=("set", "lifted"), help="of valves and stabilisers")
    parser.add_argument("--only", choices=CONTROLLERS, help="one controller")
    options = parser.parse_args()
    world = px.scenario("power-grid")
    for controller in CONTROLLERS if options.only is None else (options.only,):
        f, words = said(world, *linear(world, controller))
        print(f"{controller:5s} linear           {words}", flush=True)
        for limits in ("lifted", "set") if options.limits is None else (options.limits,):
            act = players(world, controller)
            g, words = said(world, *nonlinear(world, act, plant(limits == "set")))
            apart = f"correlation {np.corrcoef(f.ravel(), g.ravel())[0, 1]:.4f}"
            print(f"{controller:5s} limits {limits:9s} {words}  {apart}", flush=True)


if __name__ == "__main__":
    main()
