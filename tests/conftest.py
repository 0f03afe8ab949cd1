"""What all tests share: how random examples are drawn, and the reference game of the theory page."""

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import phalanx as px

# Doctest collection would import every conftest.py under one name.
collect_ignore_glob = ["conftest.py", "*/conftest.py"]

# The same examples in every run, and no verdict on how long one takes.
settings.register_profile(
    "phalanx",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("phalanx")


@pytest.fixture(scope="session")
def two_by_two() -> px.RobustGame:
    """The reference case of the theory page: m = p = 2, T = 10, P1's D = I and D̄ = 0."""
    return px.RobustGame(
        px.MeanFieldSystem(
            A=[[0.9, 0.2], [0.1, 0.8]],
            A_bar=[[0.1, 0.0], [0.05, 0.1]],
            B=[[1.0, 0.0], [0.2, 0.7]],
            B_bar=[[0.2, 0.0], [0.0, 0.1]],
        ),
        px.MeanFieldCost(Q=1.0, Q_bar=2.0, R=1.0),
        px.MeanFieldNoise(
            Sigma=np.diag([0.3, 0.2]), Sigma_bar=np.diag([0.1, 0.2]), Sigma_0=6.0, Sigma_bar_0=4.0
        ),
        horizon=10,
    )


@pytest.fixture(scope="session")
def f16() -> px.RobustGame:
    """The stationary F-16 game of the theory page: without coupling, so both halves are equal."""
    return px.RobustGame(
        px.MeanFieldSystem(
            A=[
                [0.906488, 0.0816012, -0.0005],
                [0.0741349, 0.90121, -0.000708383],
                [0.0, 0.0, 0.132655],
            ],
            B=[[-0.00150808], [-0.0096], [0.867345]],
            D=[[0.00951892], [0.00038373], [0.0]],
        ),
        px.MeanFieldCost(Q=1.0, R=1.0),
    )
