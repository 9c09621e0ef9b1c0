"""Two processes of four devices are one of eight: started by the script of docs/clusters."""

import json
import sys
from pathlib import Path

import hosts
import numpy as np
import pytest

from jaxsim import storage, training

HERE = Path(__file__).resolve().parent
pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.usefixtures("several_processes")]


def on_two_hosts(*arguments):
    """(exit code, output) of hosted.py by two processes of four devices."""
    command = [sys.executable, HERE / "hosted.py", *arguments]
    code, output, errors = hosts.on_two_hosts(command, devices=4, paths=[HERE])
    return code, output + errors


def on_one_host(*arguments):
    command = [sys.executable, HERE / "hosted.py", *arguments]
    code, _, errors = hosts.run(command, env=hosts.environment(8, HERE))
    assert code == 0, errors[-3000:]


@pytest.mark.thorough
def test_two_hosts_train_as_one_and_save_and_go_on_together(tmp_path):
    on_one_host(tmp_path / "one")
    code, output = on_two_hosts(tmp_path / "two")
    assert code == 0, output[-3000:]
    one, two = (np.load(tmp_path / name / "found.npz") for name in ("one", "two"))
    assert set(one) == set(two) == {"pmap", "shard_map", "sharded", "resumed", "best"}
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(one[name], one["pmap"], rtol=0, atol=1e-9, err_msg=name)
    for name in ("one", "two"):  # here is another number of devices than there
        folder, like = tmp_path / name / "best", {"w": np.zeros((4, 8))}
        _, params, _ = training.best_of(folder, like, best=lambda figures: figures["score"])
        np.testing.assert_allclose(params["w"], two["best"], rtol=1e-6)  # read as float32
    lines = (tmp_path / "two" / "saved" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]


@pytest.mark.thorough
def test_a_signal_to_one_host_stops_and_saves_all(tmp_path):
    code, output = on_two_hosts(tmp_path, "signal")
    assert code == 0, output[-3000:]
    saved = [
        int(p.name) for p in (tmp_path / "saved" / "checkpoints").iterdir() if p.name.isdigit()
    ]
    assert 3 <= max(saved) < 100, output[-3000:]
    assert "finished" not in output


def test_hosts_that_differ_are_refused_before_any_step(tmp_path):
    code, output = on_two_hosts(tmp_path, "differ")
    assert code != 0
    assert "process 1 was started with another fingerprint than process 0" in output


@pytest.mark.thorough
def test_a_workdir_in_use_is_refused_by_all_hosts(tmp_path):
    with storage.owned(tmp_path / "saved"):
        code, output = on_two_hosts(tmp_path, "signal")
    assert code != 0
    assert "saved: is in use by process" in output
    assert "was refused in process 0, which says why" in output
    assert not (tmp_path / "saved" / "run.json").exists()
