"""A learner's state on disk: the same bits back, damage refused, and runs that go on where they were cut."""

import ast
import io
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import simulators
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from learning_worlds import shortened

import phalanx as px
from phalanx import learners
from phalanx.learners._state import MAGIC, State, load_best, previous

GAMMA = 3.0
# Two stages, a dozen chunks; together they cover regression, sampled descent and all stages at once.
METHODS = {
    "fast": {"method": "fast", "iterations": 3, "batch": 200},
    "rgda": {"method": "rgda", "iterations": 5, "batch": 40},
    "e-ddpg": {"method": "e-ddpg", "iterations": 8},
}
ARRAYS = ("K1", "K2", "L1", "L2", "step_size", "ball", "projected", "strong_convexity")


@pytest.fixture(scope="module")
def short(two_by_two):
    return shortened(two_by_two, 2)


class Cut(Exception):
    """What a `progress` may raise to stop."""


def cut_after(chunks: int):
    """A `progress` that stops the run at its `chunks`-th call."""
    calls = []

    def progress(step):
        calls.append(step)
        if len(calls) == chunks:
            raise Cut

    return progress


def assert_same(one, two):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
    for name in ("stage", "iteration", "rollouts", "gains"):
        np.testing.assert_array_equal(getattr(one.iterates, name), getattr(two.iterates, name))
    assert (one.rollouts, one.outcome) == (two.rollouts, two.outcome)


@pytest.fixture(scope="module")
def whole(short):
    """Every method without interruption, and how many chunks it had."""
    out = {}
    for name, arguments in METHODS.items():
        seen = []
        out[name] = px.learn(short, GAMMA, key=5, progress=seen.append, **arguments), len(seen)
    return out


# --- going on --------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("name", METHODS)
def test_a_run_that_was_cut_and_resumed_has_the_same_bits(short, whole, tmp_path, name, share):
    uncut, chunks = whole[name]
    at, place = max(1, round(share * chunks)), tmp_path / "learner"
    with pytest.raises(Cut):
        px.learn(short, GAMMA, key=5, state=place, progress=cut_after(at), **METHODS[name])
    resumed = px.learn(short, GAMMA, key=5, state=place, resume=True, **METHODS[name])
    assert_same(uncut, resumed)
    assert resumed.note == ""


@pytest.mark.parametrize("name", METHODS)
def test_a_run_may_be_cut_again_and_again(short, whole, tmp_path, name):
    uncut, place, last = whole[name][0], tmp_path / "learner", None
    for _ in range(40):
        try:
            last = px.learn(
                short,
                GAMMA,
                key=5,
                state=place,
                resume=True,
                progress=cut_after(2),
                **METHODS[name],
            )
            break
        except Cut:
            continue
    assert_same(uncut, last)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_whatever_interrupts_a_run_its_state_is_kept_and_the_interruption_goes_on(
    short, whole, tmp_path, error
):
    def progress(step):
        raise error

    place = tmp_path / "learner"
    with pytest.raises(error):
        px.learn(short, GAMMA, key=5, state=place, progress=progress, **METHODS["fast"])
    assert State.load(place).rollouts > 0
    resumed = px.learn(short, GAMMA, key=5, state=place, resume=True, **METHODS["fast"])
    assert_same(whole["fast"][0], resumed)


def test_an_error_within_a_chunk_leaves_the_state_before_it(tmp_path):
    """A simulator that fails once, in the middle of the second chunk."""

    def oracle(fails_at=-1):
        calls = []

        def simulate(gains, start, seed):
            calls.append(seed)
            if len(calls) == fails_at:
                raise Cut
            return simulators.little_each(gains, start, seed)

        return px.CostOracle(simulate, 2, 1, 1)

    place, arguments = tmp_path / "learner", {"batch": 100, "iterations": 2}
    with pytest.raises(Cut):
        px.learn(oracle(fails_at=150), GAMMA, "fast", state=place, **arguments)
    assert 0 < State.load(place).rollouts < 150
    resumed = px.learn(oracle(), GAMMA, "fast", state=place, resume=True, **arguments)
    assert_same(px.learn(oracle(), GAMMA, "fast", **arguments), resumed)


def test_a_finished_run_is_not_learned_again(short, whole, tmp_path):
    place, seen = tmp_path / "learner", []
    px.learn(short, GAMMA, key=5, state=place, **METHODS["fast"])
    before = place.read_bytes()
    again = px.learn(
        short, GAMMA, key=5, state=place, resume=True, progress=seen.append, **METHODS["fast"]
    )
    assert seen == []
    assert place.read_bytes() == before
    assert_same(whole["fast"][0], again)


def test_resuming_where_there_is_nothing_starts_anew(short, whole, tmp_path):
    place = tmp_path / "learner"
    learned = px.learn(short, GAMMA, key=5, state=place, resume=True, **METHODS["fast"])
    assert_same(whole["fast"][0], learned)
    assert place.is_file()


def test_without_resume_a_run_starts_anew_and_the_old_state_is_kept(short, whole, tmp_path):
    place = tmp_path / "learner"
    with pytest.raises(Cut):
        px.learn(short, GAMMA, key=5, state=place, progress=cut_after(2), **METHODS["fast"])
    old = place.read_bytes()
    learned = px.learn(short, GAMMA, key=5, state=place, **METHODS["fast"])
    assert_same(whole["fast"][0], learned)
    assert previous(place).read_bytes() == old


# --- the file --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_files(short, tmp_path_factory):
    """A good state and a good one before it, as they lie on disk."""
    place = tmp_path_factory.mktemp("state") / "learner"
    arguments = dict(key=5, state=place, resume=True, **METHODS["fast"])
    for _ in range(2):
        with pytest.raises(Cut):
            px.learn(short, GAMMA, progress=cut_after(2), **arguments)
    return place.read_bytes(), previous(place).read_bytes()


def test_saved_and_loaded_it_has_the_same_bits(two_files, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(two_files[0])
    state = State.load(first)
    state.save(second)
    again = State.load(second)
    for f in fields(State):
        one, two = getattr(state, f.name), getattr(again, f.name)
        assert type(one) is type(two)
        np.testing.assert_array_equal(one, two, err_msg=f.name)
        assert np.asarray(one).dtype == np.asarray(two).dtype


def test_no_pickle_is_in_the_file(two_files):
    head, _, archive = two_files[0].partition(b"\n")
    assert head.startswith(MAGIC.encode())
    with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
        for name in arrays.files:
            assert arrays[name].dtype.kind in "fiuU", name


def test_no_learner_imports_pickle():
    banned = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    for path in Path(learners.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not banned & {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in banned
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert node.value.value is False


DAMAGE = {
    "empty": lambda content: b"",
    "cut in the first line": lambda content: content[:20],
    "cut after the first line": lambda content: content[: content.index(b"\n") + 1],
    "cut in the middle": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-1],
    "one byte long": lambda content: content + b"\0",
    "one bit flipped": lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:],
    "foreign": lambda content: b"\x89PNG\r\n\x1a\n" + bytes(100),
    "of another version": lambda content: content.replace(MAGIC.encode(), b"phalanx-learner-0", 1),
    "a bare archive": lambda content: content[content.index(b"\n") + 1 :],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_in_a_sentence(two_files, tmp_path, damage):
    place = tmp_path / "learner"
    place.write_bytes(DAMAGE[damage](two_files[0]))
    with pytest.raises(px.InputError, match=r"learner's state") as refused:
        State.load(place)
    assert str(place) in str(refused.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_byte_and_no_cut_is_read(two_files, tmp_path, data):
    content, place = two_files[0], tmp_path / "learner"
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        flip = data.draw(st.integers(1, 255))
        place.write_bytes(content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :])
    else:
        place.write_bytes(content[:at])
    with pytest.raises(px.InputError):
        State.load(place)


def test_a_place_that_cannot_be_written_to_is_named_as_it_was_given(two_files, tmp_path):
    """Not by the name of a temporary file beside it."""
    good = tmp_path / "good"
    good.write_bytes(two_files[0])
    place = tmp_path / "gone" / "learner"
    with pytest.raises(px.InputError, match="cannot be written to") as refused:
        State.load(good).save(place)
    assert f"state: {place} cannot" in str(refused.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(px.InputError, match="there is no learner's state"):
        State.load(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["empty", "cut in the middle", "one bit flipped", "foreign"])
def test_the_state_before_is_used_and_said_to_be(short, whole, two_files, tmp_path, damage):
    place = tmp_path / "learner"
    place.write_bytes(DAMAGE[damage](two_files[0]))
    previous(place).write_bytes(two_files[1])
    resumed = px.learn(short, GAMMA, key=5, state=place, resume=True, **METHODS["fast"])
    assert_same(whole["fast"][0], resumed)
    assert "Going on from the one before it, learner.previous" in resumed.note


def test_a_missing_state_with_one_before_it_goes_on_from_that(short, whole, two_files, tmp_path):
    place = tmp_path / "learner"
    previous(place).write_bytes(two_files[1])
    resumed = px.learn(short, GAMMA, key=5, state=place, resume=True, **METHODS["fast"])
    assert_same(whole["fast"][0], resumed)


def test_where_both_are_damaged_nothing_is_learned(short, two_files, tmp_path):
    place = tmp_path / "learner"
    place.write_bytes(two_files[0][:-1])
    previous(place).write_bytes(b"")
    with pytest.raises(px.InputError, match="start anew, without resume"):
        px.learn(short, GAMMA, key=5, state=place, resume=True, **METHODS["fast"])
    assert place.read_bytes() == two_files[0][:-1]


def test_a_good_state_is_never_replaced_by_a_damaged_one(short, two_files, tmp_path):
    """Saving over a damaged file keeps the good one before it."""
    place = tmp_path / "learner"
    place.write_bytes(two_files[0][:-1])
    previous(place).write_bytes(two_files[1])
    with pytest.raises(Cut):
        px.learn(
            short,
            GAMMA,
            key=5,
            state=place,
            resume=True,
            progress=cut_after(1),
            **METHODS["fast"],
        )
    assert State.load(place).rollouts > 0
    assert previous(place).read_bytes() == two_files[1]


# --- other settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"gamma": 3.5}, "gamma"),
        ({"key": 6}, "seed"),
        ({"batch": 201}, "batch"),
        ({"iterations": 4}, "iterations"),
        ({"radius": 0.5}, "radius"),
        ({"n_agents": 10}, "agents"),
        ({"oracle": "population"}, "oracle"),
        ({"precision": "float32"}, "precision"),
        ({"antithetic": False}, "antithetic"),
        ({"ball": 5.0}, "ball"),
        ({"Sigma_y": 2.0}, "Sigma_y"),
        ({"Sigma_z": 2.0}, "Sigma_z"),
    ],
    ids=str,
)
def test_a_state_of_other_settings_is_refused_by_the_settings_name(
    short, two_files, tmp_path, change, named
):
    place = tmp_path / "learner"
    place.write_bytes(two_files[0])
    arguments = {"gamma": GAMMA, "key": 5, **METHODS["fast"]} | change
    with pytest.raises(px.InputError, match=f"was learned with {named} ="):
        px.learn(short, state=place, resume=True, **arguments)
    assert place.read_bytes() == two_files[0]


def test_a_state_of_another_game_is_refused(two_by_two, short, two_files, tmp_path):
    place = tmp_path / "learner"
    place.write_bytes(two_files[0])
    for game in (
        shortened(two_by_two, 3),
        px.RobustGame(short.system, px.MeanFieldCost(2.0, R=1.0), short.noise, 2),
    ):
        with pytest.raises(px.InputError, match="was learned with"):
            px.learn(game, GAMMA, key=5, state=place, resume=True, **METHODS["fast"])


def test_nothing_at_all_is_no_state(tmp_path):
    assert load_best(tmp_path / "nowhere", {}) == (None, "")
