"""An experiment on two hosts, started by the script of docs/clusters, says what it says on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import toy
from devices import flags

from experiments import runner

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("hosts")


def test_two_hosts_write_one_result(tmp_path):
    words = ["-m", "experiments", toy.__file__, "--preset", "smoke", "--seeds", "2", "--workdir"]
    environment = os.environ | {
        "JAXSIM_REMOTE": "here", "JAXSIM_PORT": "9877", "XLA_FLAGS": flags(1), "PYTHONPATH": str(ROOT)
    }  # fmt: skip
    script = ROOT / "docs" / "clusters" / "hosts.sh"
    done = subprocess.run(
        ["bash", str(script), "localhost,localhost", sys.executable, *words, str(tmp_path / "two")],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "two" / "results.json").read_text())
    alone = runner.run(toy, toy.PRESETS["smoke"], preset="smoke", seeds=2, workdir=tmp_path / "one")
    assert found["rows"] == json.loads(json.dumps(alone["rows"]))
    assert done.stdout.count("good is better") == 1, "the first host tells, and it alone"
