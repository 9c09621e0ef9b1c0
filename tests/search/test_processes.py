"""Exact search by two processes of four devices gives what one process of eight gives, ties included."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "tests" / "search" / "searched.py")
pytestmark = pytest.mark.xdist_group("hosts")  # one after another: each starts several processes


def environment(devices):
    flags = f"--xla_force_host_platform_device_count={devices}"
    return os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return str(listener.getsockname()[1])


def test_two_processes_find_what_one_finds(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    hosts = ROOT / "docs" / "clusters" / "hosts.sh"
    several = {"JAXSIM_REMOTE": "here", "JAXSIM_PORT": free_port()}
    for command, settings in (
        ([sys.executable, SCRIPT, str(tmp_path / "one")], environment(8)),
        (
            ["bash", str(hosts), "localhost,localhost", sys.executable, SCRIPT, str(tmp_path / "two")],
            environment(4) | several,
        ),
    ):  # fmt: skip
        done = subprocess.run(
            command, env=settings, capture_output=True, text=True, timeout=150, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    one, *two = (
        np.load(tmp_path / name) for name in ("one/found0.npz", "two/found0.npz", "two/found1.npz")
    )
    assert len(one.files) == 12
    for answer in two:  # every process gets the whole answer
        assert set(answer.files) == set(one.files)
        for name in one.files:
            np.testing.assert_array_equal(answer[name], one[name], err_msg=name)
    assert len(np.unique(one["dot scores"])) < 20  # they do tie
