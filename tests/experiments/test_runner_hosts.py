"""An experiment on two hosts, started by the script of docs/clusters, says what it says on one."""

import json
import sys

import hosts
import pytest
import toy

from experiments import runner
from jaxsim import storage

WORDS = ["-m", "experiments", toy.__file__, "--preset", "smoke", "--seeds", "2", "--workdir"]
COMMAND = [sys.executable, *WORDS]


@pytest.mark.thorough
@pytest.mark.xdist_group("hosts")
@pytest.mark.usefixtures("several_processes")
def test_two_hosts_write_one_result(tmp_path):
    code, output, errors = hosts.on_two_hosts([*COMMAND, tmp_path / "two"], devices=1)
    assert code == 0, errors[-3000:]
    found = json.loads((tmp_path / "two" / "results.json").read_text())
    alone = runner.run(toy, toy.PRESETS["smoke"], preset="smoke", seeds=2, workdir=tmp_path / "one")
    assert found["rows"] == json.loads(json.dumps(alone["rows"]))
    assert output.count("good is better") == 1, "the first host tells, and it alone"


@pytest.mark.thorough
@pytest.mark.xdist_group("hosts")
@pytest.mark.usefixtures("several_processes")
def test_a_workdir_that_the_first_host_cannot_have_stops_both(tmp_path):
    with storage.owned(tmp_path / "two"):
        code, _, errors = hosts.on_two_hosts([*COMMAND, tmp_path / "two"], devices=1)
    assert code != 0
    assert "is in use by process" in errors
    assert "was refused by the first host" in errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "two").iterdir())
