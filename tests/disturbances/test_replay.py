"""A record plays back what it holds, to whom it was recorded for, and never past its end."""

import numpy as np
import pytest
from scipy import stats
from worlds import simulated

from phalanx import InputError, Replay, Sum

T, q, N = 6, 2, 4
rng = np.random.default_rng(0)
COMMON = rng.normal(size=(T, q))
OWN = rng.normal(size=(T, q, N))


def test_a_common_record_is_played_to_all():
    d = simulated(Replay(common=COMMON), T, q, N)
    np.testing.assert_array_equal(d, np.broadcast_to(COMMON[:, None], (T, N, q)))


def test_agent_i_plays_record_i():
    d = simulated(Replay(idiosyncratic=OWN), T, q, N)
    np.testing.assert_array_equal(d, OWN.swapaxes(1, 2))


def test_both_records_add_up():
    d = simulated(Replay(common=COMMON, idiosyncratic=OWN), T, q, N)
    np.testing.assert_array_equal(d, COMMON[:, None] + OWN.swapaxes(1, 2))


def test_one_entry_a_round_may_be_written_flat():
    np.testing.assert_array_equal(simulated(Replay(common=[3.0, 1.0]), 2, 1, 1).ravel(), [3, 1])
    flat = simulated(Replay(idiosyncratic=[[3.0, 4.0], [1.0, 2.0]]), 2, 1, 2)
    np.testing.assert_array_equal(flat[..., 0], [[3, 4], [1, 2]])


def records_played(records: int, agents: int, key: int = 0) -> np.ndarray:
    """Which record each agent plays, of records that hold nothing but their number."""
    numbers = np.broadcast_to(np.arange(records, dtype=float), (3, records))
    d = simulated(Replay(idiosyncratic=numbers), 3, 1, agents, key=key)[..., 0]
    np.testing.assert_array_equal(d, np.broadcast_to(d[0], d.shape))  # drawn once, then kept
    return d[0].astype(int)


def test_agents_draw_uniformly_from_fewer_records():
    """Chi-square test of 10 000 agents over 7 records."""
    counts = np.bincount(records_played(7, 10_000), minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts).pvalue > 1e-3


def test_agents_keep_the_record_they_drew():
    records_played(3, 20)


def test_another_key_deals_the_records_anew():
    assert np.any(records_played(3, 20, key=1) != records_played(3, 20, key=2))


def test_a_replay_can_start_in_the_middle():
    d = simulated(Replay(common=COMMON), 2, q, 1, first_round=3)
    np.testing.assert_array_equal(d[:, 0], COMMON[3:5])


def test_a_record_knows_how_long_it_lasts():
    assert Replay(common=COMMON).rounds_available == T
    assert Replay(idiosyncratic=OWN).rounds_available == T


# --- files -------------------------------------------------------------------------------------


def test_a_record_is_read_from_npy(tmp_path):
    np.save(tmp_path / "wind.npy", COMMON)
    np.testing.assert_array_equal(Replay.from_file(tmp_path / "wind.npy").common, COMMON)


def test_a_record_is_read_from_csv(tmp_path):
    np.savetxt(tmp_path / "wind.csv", COMMON, delimiter=",", header="a,b", comments="", fmt="%.17g")
    np.testing.assert_array_equal(Replay.from_file(str(tmp_path / "wind.csv")).common, COMMON)


def test_the_columns_of_an_idiosyncratic_file_are_agents(tmp_path):
    np.save(tmp_path / "wind.npy", OWN[:, 0])
    replay = Replay.from_file(tmp_path / "wind.npy", scope="idiosyncratic")
    np.testing.assert_array_equal(replay.idiosyncratic, OWN[:, :1])


def test_an_npy_may_hold_entries_and_agents(tmp_path):
    np.save(tmp_path / "wind.npy", OWN)
    replay = Replay.from_file(tmp_path / "wind.npy", scope="idiosyncratic")
    np.testing.assert_array_equal(replay.idiosyncratic, OWN)


@pytest.mark.parametrize(("scope", "sentence"), [("both", "one record"), ("ours", "scope must be")])
def test_a_file_is_common_or_idiosyncratic(tmp_path, scope, sentence):
    np.save(tmp_path / "wind.npy", COMMON)
    with pytest.raises(InputError, match=sentence):
        Replay.from_file(tmp_path / "wind.npy", scope=scope)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*calm\.csv"):
        Replay.from_file(tmp_path / "calm.csv")


# --- refusals ----------------------------------------------------------------------------------


def test_a_record_too_short_is_refused():
    with pytest.raises(InputError, match=f"lasts {T} rounds, but round {T} is asked for"):
        simulated(Replay(common=COMMON), T + 1, q, N)


def test_a_record_too_short_from_where_it_starts_is_refused():
    with pytest.raises(InputError, match=f"lasts {T} rounds, but round {T} is asked for"):
        simulated(Replay(common=COMMON), 2, q, N, first_round=T - 1)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_record_too_short_is_found_inside_a_sum(depth):
    disturbance = Replay(common=COMMON)
    for _ in range(depth):
        disturbance = Sum(disturbance)
    with pytest.raises(InputError, match="lasts"):
        simulated(disturbance, T + 1, q, N)


def test_a_record_of_other_entries_is_refused():
    with pytest.raises(InputError, match=r"common record has 2 entries a round, but .* has 3"):
        simulated(Replay(common=COMMON), T, 3, N)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "give common, idiosyncratic, or both"),
        ({"common": np.ones((T, q, N))}, r"common has shape \(6, 2, 4\) and must have shape"),
        ({"idiosyncratic": np.ones(T)}, r"idiosyncratic has shape \(6,\) and must have shape"),
        ({"common": np.ones((0, q))}, r"common has shape \(0, 2\)"),
        ({"common": [1.0, np.nan]}, r"common must be finite, but it holds nan at index \(1,\)"),
        ({"common": COMMON, "idiosyncratic": OWN[:-1]}, "both need the same rounds and entries"),
        ({"common": COMMON, "idiosyncratic": OWN[:, :1]}, "both need the same rounds and entries"),
    ],
)
def test_what_is_no_record_is_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        Replay(**given)
