"""Cores: as many devices as asked for, before JAX has begun and not after."""

import os
import subprocess
import sys

import jax
import pytest

import phalanx as px
from phalanx import _cores

DEVICES = """
import phalanx as px
cores = px.use_cores({})
import jax
print(cores, jax.device_count())
"""


@pytest.mark.parametrize(("asked", "given"), [("3", 3), ("", min(_cores.available(), _cores.MOST))])
def test_jax_sees_as_many_devices_as_cores_were_asked_for(asked, given):
    words = [sys.executable, "-c", DEVICES.format(asked)]
    out = subprocess.run(words, capture_output=True, text=True, check=True)
    assert out.stdout.split() == [str(given)] * 2


def test_once_jax_has_begun_it_is_too_late_for_more():
    begun = len(jax.devices("cpu"))
    assert px.use_cores(begun) == begun
    with pytest.raises(px.InputError, match="too late"):
        px.use_cores(begun + 1)


@pytest.mark.parametrize("count", [0, -1, 9, 2.0, True, "2"])
def test_a_count_is_a_number_of_cores(count):
    with pytest.raises(px.InputError, match="from 1 to 8"):
        px.use_cores(count)


PATIENT = """
import os
import phalanx as px
px.use_cores(2)
print(os.environ.get("XLA_FLAGS", ""))
"""


@pytest.mark.parametrize("said", ["", "--xla_cpu_enable_fast_math=false"])
def test_xla_waits_for_a_slow_device_and_keeps_what_was_said(said):
    words = [sys.executable, "-c", PATIENT]
    out = subprocess.run(
        words, capture_output=True, text=True, check=True, env=os.environ | {"XLA_FLAGS": said}
    )
    assert out.stdout.startswith(said)
    patient = jax.__version_info__ < _cores.UNTRIED
    assert ("terminate_timeout_seconds=1000000" in out.stdout) == patient
