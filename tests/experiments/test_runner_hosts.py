"""An experiment on two hosts, started by the script of docs/clusters, says what it says on one."""

import json
import sys

import hosts
import pytest
import toy
import toy_parts

from experiments import runner
from jaxsim import storage

WORDS = ["--preset", "smoke", "--seeds", "2", "--workdir"]
COMMAND = [sys.executable, "-m", "experiments", toy.__file__, *WORDS]


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
def test_two_hosts_agree_on_every_part(tmp_path):
    command = [sys.executable, "-m", "experiments", toy_parts.__file__, *WORDS]
    code, _, errors = hosts.on_two_hosts([*command, tmp_path / "two"], devices=1)
    assert code == 0, errors[-3000:]
    one = json.loads((tmp_path / "two" / "results.json").read_text())
    (soup,) = (tmp_path / "two").rglob("soup.json")
    soup.unlink()
    code, _, errors = hosts.on_two_hosts([*command, tmp_path / "two"], devices=1)
    assert code == 0, errors[-3000:]
    again = json.loads((tmp_path / "two" / "results.json").read_text())
    assert (again["rows"], again["claim"], again["facts"]) == (
        one["rows"],
        one["claim"],
        one["facts"],
    )
    smoke = toy_parts.PRESETS["smoke"]
    runner.run(toy_parts, smoke, preset="smoke", seeds=2, workdir=tmp_path / "one")
    assert one["rows"] == json.loads((tmp_path / "one" / "results.json").read_text())["rows"]


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
