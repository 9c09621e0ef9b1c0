"""The same curve on Python 3.12 with the newest JAX. Slow, for it installs.

`make thorough` asks for it by JAXSIM_NEWEST=1; another way is JAXSIM_NEWEST=/path/to/python3.12.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def interpreter():
    """A Python 3.12 that starts, or None."""
    asked = os.environ["JAXSIM_NEWEST"]
    found = shutil.which(asked if "/" in asked else "python3.12")
    if found is None:
        return None
    done = subprocess.run([found, "-c", "import venv"], capture_output=True, check=False)
    return found if done.returncode == 0 else None


@pytest.mark.thorough
@pytest.mark.skipif("JAXSIM_NEWEST" not in os.environ, reason="slow; JAXSIM_NEWEST=1 asks for it")
def test_the_training_room_on_the_newest_jax(tmp_path):
    python = interpreter()
    if python is None:
        pytest.skip("no Python 3.12 here")
    ours = "PYTHONPATH", "PYTEST_ADDOPTS", "XLA_FLAGS"
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    own = tmp_path / "newest" / "bin" / "python"

    def run(*command, cwd=ROOT):
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=clean,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    run(python, "-m", "venv", tmp_path / "newest")
    copy = tmp_path / "source"
    shutil.copytree(
        ROOT,
        copy,
        ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "runs", "__pycache__"),
    )
    run(
        own,
        "-m",
        "pip",
        "install",
        "-q",
        f"{copy}[train,data]",
        "pytest",
        "pytest-xdist",
        "matplotlib",
    )
    version = run(own, "-c", "import jax, jaxsim; print(jax.__version__)", cwd=tmp_path).strip()
    assert tuple(map(int, version.split(".")[:2])) > (0, 10), version
    run(
        own,
        "-m",
        "pytest",
        "-o",
        "addopts=-q",
        "-p",
        "no:cacheprovider",
        copy / "tests/training/test_training_spread.py",
        copy / "tests/training/test_training_chunks.py",
        copy / "tests/training/test_training_loop.py",
    )
