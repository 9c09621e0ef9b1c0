"""Runs of several processes, started by the script of docs/clusters: each on a free port, one at a time."""

import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from devices import flags

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "docs" / "clusters" / "hosts.sh"
PATIENCE = 900  # seconds: a loaded machine of one core is slow, and only a hang takes so long


@contextlib.contextmanager
def one_at_a_time():
    """Waits until no other test of this machine runs several processes, in whichever worker or suite.

    A lock on a file, and not pytest-xdist's groups alone: with pytest 9.2 these have no effect
    (pytest-dev/pytest-xdist#1386), and the system frees a lock when its owner dies.
    """
    path = Path(tempfile.gettempdir()) / f"jaxsim-tests-{os.getuid()}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_port():
    """A port that nobody listens on, below those that the system gives to outgoing connections."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("", port))
            return port


def environment(devices, *paths):
    """A separate process's environment: not the eight devices of the tests."""
    paths = os.pathsep.join(map(str, [ROOT, *paths]))
    return os.environ | {"XLA_FLAGS": flags(devices), "PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"}


def on_two_hosts(command, *, devices, paths=()):
    """The exit code, the output and the errors of a command on two hosts, here both on this machine."""
    several = {"JAXSIM_REMOTE": "here", "JAXSIM_PORT": str(free_port())}
    return run(
        ["bash", str(SCRIPT), "localhost,localhost", *command],
        env=environment(devices, *paths) | several,
    )


def run(command, env):
    """(exit code, output, errors) of a command; all that it started ends with it."""
    process = subprocess.Popen(
        list(map(str, command)),
        env=env,
        cwd=ROOT,
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode, output, errors
