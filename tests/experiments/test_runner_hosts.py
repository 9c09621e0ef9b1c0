"""An experiment on two hosts, started by the script of docs/clusters, says what it says on one."""

import json
import sys

import hosts
import pytest
import toy

from experiments import runner


@pytest.mark.xdist_group("hosts")
@pytest.mark.usefixtures("several_processes")
def test_two_hosts_write_one_result(tmp_path):
    words = ["-m", "experiments", toy.__file__, "--preset", "smoke", "--seeds", "2", "--workdir"]
    command = [sys.executable, *words, tmp_path / "two"]
    code, output, errors = hosts.on_two_hosts(command, devices=1)
    assert code == 0, errors[-3000:]
    found = json.loads((tmp_path / "two" / "results.json").read_text())
    alone = runner.run(toy, toy.PRESETS["smoke"], preset="smoke", seeds=2, workdir=tmp_path / "one")
    assert found["rows"] == json.loads(json.dumps(alone["rows"]))
    assert output.count("good is better") == 1, "the first host tells, and it alone"
