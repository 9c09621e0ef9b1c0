"""Results that last: each run's own file in results/, and RESULTS.md of all that are there."""

import io
import json
from pathlib import Path

import pytest
import toy
from rich.console import Console

from experiments import runner
from experiments.__main__ import main
from experiments.frame import report
from experiments.frame.tables import tables
from jaxsim import storage

ROOT = Path(__file__).resolve().parents[2]
KEPT = sorted((ROOT / "results").glob("*.json"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The results of a toy, as if of its preset `slow`."""
    folder = tmp_path_factory.mktemp("toy")
    runner.run(
        toy,
        toy.PRESETS["slow"],
        preset="slow",
        seeds=1,
        workdir=folder,
        console=Console(quiet=True),
    )
    return json.loads((folder / "results.json").read_text())


def ran(tree, folder, **changes):
    """A workdir with results."""
    storage.write_json(folder / "results.json", {**tree, **changes})


@pytest.fixture
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_of_the_repository_comes_from_its_results(inside):
    count, said = report.write(Path("RESULTS.md"), results=ROOT / "results")
    assert (count, said) == (len(KEPT), [])
    assert (inside / "RESULTS.md").read_text() == (ROOT / "RESULTS.md").read_text()


def test_a_run_adds_its_own_file_and_drops_nothing(tree, inside):
    ran(tree, inside / "runs/a")
    report.write(Path("RESULTS.md"))
    ran(tree, inside / "elsewhere/b", experiment="another", preset="cpu")
    assert main(["report", "elsewhere/b"]) == 0
    assert [p.name for p in report.stored("results") and sorted(Path("results").iterdir())] == [
        "another-cpu.json",
        "toy-slow.json",
    ]
    page = Path("RESULTS.md").read_text()
    assert "## another" in page
    assert "## toy" in page
    (inside / "runs/a/results.json").unlink()
    (inside / "elsewhere/b/results.json").unlink()
    report.write(Path("RESULTS.md"))  # as on a fresh clone
    assert Path("RESULTS.md").read_text() == page


def test_of_all_workdirs_only_newer_results_are_taken_and_a_named_one_always(tree, inside):
    ran(tree, inside / "runs/a", date="2020-01-01", commit="old")
    storage.write_json(Path("results/toy-slow.json"), tree)
    _, said = report.write(Path("RESULTS.md"))
    assert "toy-slow.json is newer" in said[0]
    assert report.read(Path("results/toy-slow.json"))["commit"] == tree["commit"]
    report.write(Path("RESULTS.md"), given=["runs/a"])
    assert report.read(Path("results/toy-slow.json"))["commit"] == "old"


def test_smoke_and_changed_settings_are_not_kept(tree, inside):
    ran(tree, inside / "runs/a", preset="smoke")
    ran(tree, inside / "runs/b", changed={"size": [20, 25]})
    ran(tree, inside / "runs/c")
    _, said = report.write(Path("RESULTS.md"))
    assert "runs/a/results.json: not kept, smoke only shows" in said[0]
    assert "settings are not those of preset slow: size 25, the preset's 20" in said[1]
    assert [p.name for p in Path("results").iterdir()] == ["toy-slow.json"]


def test_two_runs_of_the_same_preset_are_not_chosen_between(tree, inside):
    ran(tree, inside / "runs/a")
    ran(tree, inside / "runs/b")
    with pytest.raises(ValueError, match="both hold toy, preset slow: name the one to keep"):
        report.write(Path("RESULTS.md"))
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experiment": 3}, "experiment must be a string, got 3"),
        ({"preset": "../x"}, "preset must be letters, digits"),
        ({"claim": {"verdict": "won", "sentence": ""}}, "claim.verdict must be one of 'held'"),
        ({"identity": {"device": "cpu"}}, "lacks identity.versions"),
        ({"seconds": {"a": None}}, "seconds.a must be a finite number >= 0, got None"),
        ({"rows": []}, "rows must be a list of rows, one at least"),
        ({"rows": [{"arm": "a", "x": [1]}]}, r"rows\[0\].x must be a finite number, got \[1\]"),
        ({"rows": [{"arm": "a", "x": 1.0, "x interval": [1]}]}, "x interval must be a list of two"),
        ({"changed": {"x": 1}}, "changed.x must be a list"),
    ],
)
def test_damaged_results_are_refused_by_file_and_field(change, message, tree, inside, capsys):
    ran(tree, inside / "runs/a", **change)
    assert main(["report"]) == 2
    with pytest.raises(ValueError, match=rf"^runs/a/results.json: .*{message}"):
        report.write(Path("RESULTS.md"))
    assert not Path("RESULTS.md").exists()


def test_a_file_under_the_name_of_another_is_refused(tree, inside):
    storage.write_json(Path("results/other-slow.json"), tree)
    with pytest.raises(ValueError, match=r"must be named toy-slow.json"):
        report.write(Path("RESULTS.md"))


def test_keys_with_signs_of_markup_are_shown_as_they_are(tree, inside):
    rows = [{"arm": "a", "mode": "x|[dim]y", "score": 0.5}]
    page = report.render([{**tree, "rows": rows}])
    assert r"| arm \ mode | x\|[dim]y |" in page
    (table,) = tables(rows)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table)
    assert "x|[dim]y" in console.export_text()


def test_a_file_in_the_place_of_results_is_refused(inside):
    Path("results").write_text("")
    with pytest.raises(ValueError, match="results must be a folder, got the file 'results'"):
        report.write(Path("RESULTS.md"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no results to report in results or the folders of runs"),
        (["--runs", "nowhere"], "no folder nowhere"),
        (["nowhere"], "nowhere/results.json: there is no such file"),
        (["--out", "."], "out must be a file, got the folder '.'"),
    ],
)
def test_nothing_to_report_is_one_sentence(words, message, inside, capsys):
    assert main(["report", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(inside.iterdir())
