"""The command as a process of its own: what it loads, how it is interrupted, a reader that leaves."""

import json
import signal
import subprocess
import sys
import time

import pytest

START = "from phalanx.cli import run; run()"


def start(*words: str, code: str = START, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_exit_code_streams_and_json_of_a_process():
    process = start("design", "two-by-two", "--gamma", "3", "--json")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["gamma"] == 3.0


def test_bad_input_of_a_process(tmp_path):
    process = start("design", "absent.toml", "--out", "out", cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (2, "", "phalanx: there is no file absent.toml.\n")
    assert list(tmp_path.iterdir()) == []


# `--help` is asked for often: what takes long to load waits until a command needs it.
LOADED = f"""
import atexit, sys
@atexit.register
def say():
    print(*sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
{START}
"""
HEAVY = {"jax", "jaxlib", "equinox", "numpy", "scipy", "xarray", "h5py", "h5netcdf", "matplotlib"}


@pytest.mark.parametrize("words", [["--help"], ["design", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(words):
    process = start(*words, code=LOADED)
    _, err = process.communicate(timeout=60)
    loaded = set(err.split())
    assert "phalanx" in loaded
    assert loaded & HEAVY == set()


def test_importing_phalanx_loads_nothing_heavy():
    process = start(code="import sys, phalanx; phalanx.__version__; print(*sys.modules)")
    out, _ = process.communicate(timeout=60)
    assert {name.partition(".")[0] for name in out.split()} & HEAVY == set()


def test_designing_does_without_jax():
    process = start("design", "two-by-two", "--json", code=LOADED)
    _, err = process.communicate(timeout=60)
    assert not {"jax", "jaxlib", "matplotlib"} & set(err.split())


def test_ctrl_c_ends_a_run_in_one_sentence_and_leaves_no_half_written_files(tmp_path):
    process = start("run", "battery-fleet", "--out", "out", cwd=tmp_path)
    for _ in range(600):  # the folder appears once the design is done, before the long part
        if (tmp_path / "out").exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "phalanx: interrupted.\n")
    assert list(tmp_path.iterdir()) == []


# Before this, Ctrl-C is Python's to answer.
READY = f"""
from phalanx.cli import _interrupt
_interrupt.install()
open("ready", "w").close()
{START}
"""


@pytest.mark.parametrize("seconds", [0.0, 0.3, 1.0, 1.5, 2.0, 4.0])
def test_ctrl_c_is_answered_whenever_it_comes(tmp_path, seconds):
    process = start("run", "battery-fleet", "--json", "--out", "out", code=READY, cwd=tmp_path)
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "phalanx: interrupted.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["ready"]


def test_a_reader_that_has_left_is_no_fault():
    with start("design", "two-by-two") as process:
        process.stdout.close()
        err = process.stderr.read()
    assert "Traceback" not in err
    assert "Exception" not in err


def test_any_number_of_cores_prints_the_same(tmp_path):
    words = ["learn", "two-by-two", "--method", "rgda", "--iterations", "2", "--batch", "20000"]
    words += ["--gamma", "4", "--json"]
    said = []
    for cores in ("1", "2"):
        process = start(*words, "--cores", cores, "--out", cores, cwd=tmp_path)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        summary = json.loads(out)
        said.append({key: summary[key] for key in ("K1", "K2", "L1", "L2", "rollouts")})
    assert said[0] == said[1]
