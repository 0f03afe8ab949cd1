"""Near the level: what it costs to solve at 1 + 1e-6 times it, beside far above it."""

import numpy as np

import phalanx as px
from benchmarks._machine import Machine
from benchmarks._timing import Race, race


def run(machine: Machine) -> list[Race]:
    A = [[0.906488, 0.0816012, -0.0005], [0.0741349, 0.90121, -0.000708383], [0, 0, 0.132655]]
    B, D = [[-0.00150808], [-0.0096], [0.867345]], [[0.00951892], [0.00038373], [0]]
    f16 = px.RobustGame(px.MeanFieldSystem(A, 0, B, 0, D), px.MeanFieldCost(1.0))
    reference = px.scenario("two-by-two").game
    out = []
    for name, game in (("F-16, stationary", f16), ("two-by-two, T=10", reference)):
        level = px.attenuation_levels(game).saddle
        near = level * (1 + 1e-6)
        out.append(
            race(
                f"{name}: solve at level·(1+1e-6); peer: at 10 × level",
                lambda game=game, near=near: px.solve(game, near),
                lambda game=game, level=level: px.solve(game, 10 * level),
                target="no cliff near the level",
                floor=lambda s: "library calls on 3 × 3 matrices: their latency, not arithmetic",
                pairs=11,
                calls=10,
            )
        )
        out.append(
            race(
                f"{name}: all four levels to 1e-12",
                lambda game=game: px.attenuation_levels(game, 100),
                None,
                target="–",
                pairs=11,
                floor=lambda s: "some ten passes of 24 γ's a level: call latency",
            )
        )
    assert np.isfinite(level)
    return out
