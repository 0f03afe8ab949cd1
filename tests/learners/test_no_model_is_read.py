"""No learner reads a matrix of the system: an oracle's contract is all that there is."""

import ast
from pathlib import Path

import jax
import numpy as np
import pytest
from learning_worlds import small_game

import phalanx as px
from phalanx import learners
from phalanx.learners import LawOracle

CONTRACT = {"sizes", "Sigma_y", "Sigma_z", "traceable", "prepare", "draws", "costs"}
OPTIONAL = {"gradient", "costs_each", "dtype", "footprint", "antithetic"}
CORE = (
    "_run",
    "_descend",
    "_regress",
    "_ask",
    "_verdict",
    "_descent",
    "_estimators",
    "_quadratic",
    "_steps",
    "_method",
)


@jax.tree_util.register_pytree_node_class
class Opaque:
    """An oracle of which nothing can be had but the contract and the options that it declares."""

    def __init__(self, inner, options=()):
        object.__setattr__(self, "_inner", inner)
        object.__setattr__(self, "_options", options)

    def __getattribute__(self, name):
        if name in CONTRACT or name in object.__getattribute__(self, "_options"):
            return getattr(object.__getattribute__(self, "_inner"), name)
        if name in OPTIONAL:
            raise AttributeError(name)
        if name.startswith("__") or name == "tree_flatten":  # Python's own, and JAX's
            return object.__getattribute__(self, name)
        raise AssertionError(f"the learner asked the oracle for {name!r}")

    def __setattr__(self, name, value):
        raise AssertionError(f"the learner set {name!r} of the oracle")

    def tree_flatten(self):
        parts = (object.__getattribute__(self, part) for part in ("_inner", "_options"))
        inner, options = parts
        return (inner,), options

    @classmethod
    def tree_unflatten(cls, options, parts):
        return cls(parts[0], options)


@pytest.mark.parametrize("options", [("costs_each",), ("antithetic", "dtype")], ids=str)
@pytest.mark.parametrize(
    "method",
    [
        px.Method("regression", iterations=2, batch=300),
        px.Method("one_point", iterations=4, batch=100, step_size=0.01, ball=5.0),
        px.Method("coordinate", "newton", iterations=4, batch=100),
        pytest.param(
            px.Method("two_point", schedule="all_stages", iterations=4, batch=100),
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda m: f"{m.estimator}-{m.update}-{m.schedule}",
)
def test_an_opaque_oracle_teaches_the_same_bits(method, options):
    """What an oracle offers beside the contract may be used, or be absent."""
    if "antithetic" in options and method.estimator != "regression":
        return
    oracle = LawOracle(small_game(60, 1, 1, 1, T=2), 10, antithetic="antithetic" in options)
    opaque = Opaque(oracle, options)
    for name in ("n", "roots", "game", "A", "B", "D", "Q", "R", "system"):
        with pytest.raises(AssertionError, match="asked"):
            getattr(opaque, name)
    open_, closed = (px.learn(o, 5.0, method, key=1) for o in (oracle, opaque))
    for name in ("K1", "K2", "L1", "L2"):
        np.testing.assert_array_equal(getattr(open_, name), getattr(closed, name))
    assert open_.rollouts == closed.rollouts
    assert closed.nash is None


def test_players_asked_about_together_or_apart_teach_the_same():
    """One grid of variants with zeros where a player stays, or one grid a player: the same rollouts."""
    oracle = LawOracle(small_game(60, 1, 1, 1, T=2), 10)
    method = px.Method("two_point", iterations=4, batch=100, step_size=0.01, ball=5.0)
    apart, together = (
        px.learn(Opaque(oracle, options), 5.0, method, key=1) for options in (("costs_each",), ())
    )
    for name in ("K1", "K2", "L1", "L2"):
        np.testing.assert_allclose(getattr(apart, name), getattr(together, name), rtol=1e-10)


def test_a_subclass_with_costs_of_its_own_is_asked_for_those():
    """And not for what it inherits: here ten times the cost, ten times the step."""

    class Dearer(LawOracle):
        def costs(self, shared, gains, offset, drawn, stage):
            cost, energy = super().costs(shared, gains, offset, drawn, stage)
            return 10 * cost, 10 * energy

    game = small_game(60, 1, 1, 1, T=1)
    method = px.Method("one_point", iterations=1, batch=100, step_size=1e-3, ball=50.0)
    once, ten = (px.learn(kind(game, 10), 5.0, method, key=1) for kind in (LawOracle, Dearer))
    np.testing.assert_allclose(ten.K1, 10 * once.K1, rtol=1e-9)


def test_exact_gradients_are_not_to_be_had_from_costs_alone():
    with pytest.raises(px.InputError, match="gradients"):
        px.learn(Opaque(LawOracle(small_game(60))), 3.0, "e-rgda")


WORLDS = {"systems", "costs", "equilibria", "evaluation", "scenarios", "simulation", "disturbances"}
ORACLES = {"_exact", "_law", "_population", "_oracle", "_numbers", "_learn"}


def imported(path: Path) -> set[str]:
    """Every dotted name that a module of the package imports, anywhere in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


@pytest.mark.parametrize("module", CORE)
def test_the_learning_core_imports_no_world(module):
    """Neither a model nor an oracle, not even by way of another module of the room."""
    room = Path(learners.__file__).parent
    seen, ahead = set(), {module}
    while ahead:
        seen |= ahead
        names = set().union(*(imported(room / f"{name}.py") for name in ahead))
        assert not [n for n in names if n.startswith("phalanx.") and n.split(".")[1] in WORLDS]
        assert not [
            n for n in names if n.startswith("phalanx.learners.") and n.split(".")[2] in ORACLES
        ]
        neighbours = {n.split(".")[2] for n in names if n.startswith("phalanx.learners.")}
        ahead = {n for n in neighbours if (room / f"{n}.py").is_file()} - seen


def test_the_learning_core_calls_an_oracle_by_its_contract_only():
    """Attributes of anything called `oracle` in the source."""
    asked = set()
    for module in CORE:
        path = Path(learners.__file__).parent / f"{module}.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "oracle":
                asked.add(node.attr)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "getattr",
                "hasattr",
            ):
                subject, name = node.args[:2]
                if getattr(subject, "id", "") == "oracle":
                    asked.add(name.value)
    assert asked <= CONTRACT | OPTIONAL
    assert {"costs", "draws", "prepare", "gradient"} <= asked
