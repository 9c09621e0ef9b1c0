"""Two processes of four devices are one of eight: started by the script of docs/clusters."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from devices import flags

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.xdist_group("hosts")  # one after another: each starts several processes


def environment(devices):
    """A process of its own: not the eight devices of the tests."""
    paths = os.pathsep.join([str(ROOT), str(HERE)])
    return os.environ | {"XLA_FLAGS": flags(devices), "PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"}


def on_two_hosts(*arguments):
    """The processes that the script for a plain list of hosts starts, here both on this machine."""
    script = ROOT / "docs" / "clusters" / "hosts.sh"
    return subprocess.Popen(
        ["bash", str(script), "localhost,localhost", sys.executable, str(HERE / "hosted.py"), *arguments],
        env=environment(4) | {"JAXSIM_REMOTE": "here"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def on_one_host(*arguments):
    done = subprocess.run(
        [sys.executable, str(HERE / "hosted.py"), *arguments],
        env=environment(8), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def finished(processes):
    output, _ = processes.communicate(timeout=150)
    return processes.returncode, output


def test_two_hosts_train_as_one_and_save_and_go_on_together(tmp_path):
    on_one_host(str(tmp_path / "one"))
    hosts = on_two_hosts(str(tmp_path / "two"))
    code, output = finished(hosts)
    assert code == 0, output[-3000:]
    one, two = (np.load(tmp_path / name / "found.npz") for name in ("one", "two"))
    assert set(one) == set(two) == {"pmap", "shard_map", "sharded", "resumed"}
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(one[name], one["pmap"], rtol=0, atol=1e-9, err_msg=name)
    lines = (tmp_path / "two" / "saved" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]


def test_a_signal_to_one_host_stops_and_saves_all(tmp_path):
    hosts = on_two_hosts(str(tmp_path), "signal")
    code, output = finished(hosts)
    assert code == 0, output[-3000:]
    saved = [
        int(p.name) for p in (tmp_path / "saved" / "checkpoints").iterdir() if p.name.isdigit()
    ]
    assert 3 <= max(saved) < 100, output[-3000:]
    assert "finished" not in output


def test_hosts_that_differ_are_refused_before_any_step(tmp_path):
    hosts = on_two_hosts(str(tmp_path), "differ")
    code, output = finished(hosts)
    assert code != 0
    assert "process 1 was started with another fingerprint than process 0" in output
