"""Every test runs on eight simulated CPU devices; float64 is a fixture, so that float32 stays the default."""

import itertools
import os
from pathlib import Path

import devices
import hosts

os.environ["XLA_FLAGS"] = f"{devices.flags(8)} {os.environ.get('XLA_FLAGS', '')}"
os.environ.setdefault(devices.THREADS, "16")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
# Most of the suite is compilation, and a third of that LLVM's optimizations of programs that run once.
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


@pytest.fixture
def several_processes():
    """For a test that starts several processes as one run: no other such test runs meanwhile."""
    with hosts.one_at_a_time():
        yield


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Tests of one xdist_group share a worker, and with it what they compiled.

    pytest-xdist 3.8 writes the group into `_nodeid`, which pytest 9.2 does not read
    (pytest-dev/pytest-xdist#1386). No test relies on it: without groups the suite is only slower.
    """
    for item in items if getattr(config.option, "loadgroup", False) else []:
        groups = sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")})
        if groups and "@" not in item.nodeid.rpartition("]")[2] and hasattr(item, "_id"):
            item._id = item._id.parse(f"{item.nodeid}@{'_'.join(groups)}")
