"""Every test runs on eight simulated CPU devices; float64 is a fixture, so that float32 stays the default."""

import itertools
import os
from pathlib import Path

import devices

os.environ["XLA_FLAGS"] = f"{devices.flags(8)} {os.environ.get('XLA_FLAGS', '')}"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
# Most of the suite is compilation, and a third of that LLVM's optimisations of programs that run once.
# The programs are the same; to test what a user's machine runs:
# JAX_DISABLE_MOST_OPTIMIZATIONS=0 XLA_FLAGS=--xla_cpu_use_fusion_emitters=true pytest
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import jax
import pytest
from small_model import rows, tiny, tiny_cross  # noqa: F401


@pytest.fixture
def float64():
    """Double precision inside one test."""
    with jax.enable_x64(True):
        yield


MAPPINGS, TESTS = Path("/proc/self/maps"), itertools.count(1)


def pytest_runtest_teardown():
    """Compiled programs go when there are many: each is mapped, and Linux maps 65,530 pieces per process."""
    if next(TESTS) % 25 == 0 and MAPPINGS.exists() and MAPPINGS.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()
