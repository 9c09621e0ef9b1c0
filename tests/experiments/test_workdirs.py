"""A workdir is one experiment's and preset's, and one process's; what else is there is left alone."""

import json
import subprocess
import sys

import pytest
import toy
from rich.console import Console

from experiments import runner
from experiments.frame import workdirs
from jaxsim import storage


def run(workdir, preset="smoke"):
    return runner.run(
        toy,
        toy.PRESETS["smoke"],
        preset=preset,
        seeds=1,
        workdir=workdir,
        console=Console(quiet=True),
    )


def test_another_preset_or_experiment_replaces_nothing(tmp_path):
    run(tmp_path)
    before = (tmp_path / "results.json").read_bytes()
    with pytest.raises(
        ValueError, match=r"holds results of toy, preset smoke; this is toy, preset slow"
    ):
        run(tmp_path, "slow")
    with pytest.raises(
        ValueError, match=r"holds results of toy, preset smoke; this is anncur, preset smoke"
    ):
        workdirs.checked(tmp_path, "anncur", "smoke")
    assert (tmp_path / "results.json").read_bytes() == before


def test_results_of_before_there_was_a_mark_count(tmp_path):
    run(tmp_path)
    (tmp_path / workdirs.MARK).unlink()
    with pytest.raises(ValueError, match="preset smoke; this is toy, preset slow"):
        run(tmp_path, "slow")
    run(tmp_path)


def test_a_run_that_has_not_ended_keeps_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(toy, "run", lambda *arguments: [])
    with pytest.raises(ValueError, match="there are none"):
        run(tmp_path)
    with pytest.raises(ValueError, match="preset smoke; this is toy, preset slow"):
        run(tmp_path, "slow")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "workdir must name a path, got ''"),
        ("file", "workdir must be a folder, got the file"),
        ("file/below", "lies below .*file', which is not a folder"),
        ("full", "is not empty and not the workdir of an experiment .*: it holds 'notes.txt'"),
        ("damaged", "damaged/experiment.json: not JSON, or damaged"),
        ("strange", "strange/experiment.json: lacks preset, which must be a string"),
    ],
)
def test_what_is_not_ours_is_refused_before_any_work(name, message, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    storage.write_text(tmp_path / "full/notes.txt", "mine")
    storage.write_text(tmp_path / "damaged/experiment.json", "{")
    storage.write_json(tmp_path / "strange/experiment.json", {"experiment": "toy"})
    monkeypatch.setattr(toy, "fingerprint", lambda config: pytest.fail("work was done"))
    with pytest.raises(ValueError, match=message):
        run(tmp_path / name if name else "")
    assert (tmp_path / "full/notes.txt").read_text() == "mine"
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["notes.txt"]


HOLDER = """
import sys
from experiments.frame import workdirs
with workdirs.owned(sys.argv[1], "toy", "smoke"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_process_is_refused_and_a_killed_one_leaves_nothing(tmp_path, monkeypatch):
    workdir = tmp_path / "run"
    words = [sys.executable, "-c", HOLDER, str(workdir)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=rf"run: is in use by process {holder.pid} on "):
            run(workdir)
        assert not (workdir / "results.json").exists()
        holder.kill()
    run(workdir)
    assert json.loads((workdir / workdirs.MARK).read_text()) == {
        "experiment": "toy",
        "preset": "smoke",
    }
