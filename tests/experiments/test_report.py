"""Results that last: each run's own file in results/, and the table and the pages of all that are there."""

import copy
import io
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import toy
from PIL import Image
from rich.console import Console

from experiments import runner
from experiments.__main__ import main
from experiments.frame import kept, report
from experiments.frame.tables import tables
from jaxsim import storage

ROOT = Path(__file__).resolve().parents[2]
STORED = sorted((ROOT / "results").glob("*.json"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The workdir of a toy, as if of its preset `slow`."""
    folder = tmp_path_factory.mktemp("toy")
    quiet = Console(quiet=True)
    runner.run(toy, toy.PRESETS["slow"], preset="slow", seeds=1, workdir=folder, console=quiet)
    return folder


@pytest.fixture(scope="module")
def tree(finished):
    """Its results, without pictures."""
    return {**json.loads((finished / "results.json").read_text()), "pictures": []}


def ran(tree, folder, **changes):
    """A workdir with results."""
    storage.write_json(folder / "results.json", {**tree, **changes})
    return folder


def files(folder):
    """{path: bytes} of all that is in a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_clone_without_runs_makes_the_same_table_and_pages(inside):
    for name in ("RESULTS.md", "docs/results.md"):
        storage.write_bytes(inside / name, (ROOT / name).read_bytes())
    for name in ("results", "docs/results"):
        shutil.copytree(ROOT / name, inside / name)
    before = files(inside)
    assert report.write(Path("RESULTS.md")) == (len(STORED), [])
    assert files(inside) == before
    for page in inside.glob("docs/results/*.md"):  # and where there is none yet
        page.unlink()
    (inside / "RESULTS.md").unlink()
    report.write(Path("RESULTS.md"))
    assert files(inside) == before


def test_the_repository_keeps_no_picture_that_no_result_names():
    named = {kept.picture_of(t, n) for t in map(kept.read, STORED) for n in t.get("pictures") or ()}
    pictures = list((ROOT / "docs/results").glob("*.png"))
    assert {path.name for path in pictures} <= named
    assert all(path.stat().st_size <= kept.LARGEST for path in pictures)


def test_a_run_adds_its_own_file_and_drops_nothing(tree, inside):
    ran(tree, inside / "runs/a")
    report.write(Path("RESULTS.md"))
    ran(tree, inside / "elsewhere/b", experiment="another", preset="cpu")
    assert main(["report", "elsewhere/b"]) == 0
    assert [p.name for p in kept.stored("results") and sorted(Path("results").iterdir())] == [
        "another-cpu.json",
        "toy-slow.json",
    ]
    table = Path("RESULTS.md").read_text()
    assert "[another](docs/results/another.md) | held | cpu | 1 |" in table
    assert "[toy](docs/results/toy.md) | held | slow | 1 |" in table
    gallery = Path("docs/results.md").read_text()
    assert gallery.endswith(table.partition("\n\n| ")[2].replace("(docs/results/", "(results/"))
    assert "(results/another.md): **held** (cpu)\n" in gallery
    (inside / "runs/a/results.json").unlink()
    (inside / "elsewhere/b/results.json").unlink()
    report.write(Path("RESULTS.md"))  # as on a fresh clone
    assert Path("RESULTS.md").read_text() == table


def test_the_gallery_shows_a_picture_of_each_before_its_claim(tree, inside):
    tree = {**tree, "pictures": ["claim", "arms", "more"]}
    for name in ("claim", "more"):
        storage.write_bytes(inside / "docs/results" / kept.picture_of(tree, name), b"")
    text = report.gallery([tree, {**tree, "preset": "cpu"}], Path("docs/results"))
    assert text.count("![toy]") == 1
    assert "    [![toy](results/toy-slow-more.png)](results/toy.md)\n" in text
    assert "(results/toy.md): **held** (slow), **held** (cpu)\n" in text


def test_a_page_has_what_a_reader_asks(tree, inside):
    report.write(Path("RESULTS.md"), given=[ran(tree, inside / "a")])
    page = Path("docs/results/toy.md").read_text()
    for words in (
        "# A toy (Nobody 2024): three arms that draw numbers, slowly enough to be killed\n",
        f"## slow: held\n\n> {tree['claim']['sentence']}\n",
        "```sh\npython -m experiments toy --preset slow\n```",
        f"1 seed on {tree['identity']['device']}, {tree['date'][:10]}, ",
        f"commit {tree['commit']}, with python ",
        "| good | one better |",
        "| figure | good | plain | higher | +1.000 | +1.000 to +1.000 | held |",
        "**figure, k = 1**",
        "**one, k = 2**",
    ):
        assert words in page
    shown = {**tree, "shown": ["one"]}
    page = report.page([shown], inside)
    assert "**figure" not in page
    assert "Only in results/toy-slow.json: figure." in page
    shown["shown"] = ["no figure of this run"]
    assert "**figure, k = 1**" in report.page([shown], inside)


def test_where_every_arm_has_one_row_the_figures_are_across(tree, inside):
    rows = [
        {"arm": "a", "data": "x", "MAE": 0.5, "R": 0.25},
        {"arm": "b", "data": "x", "MAE": 1.0, "MAE interval": [0.5, 1.5]},
    ]
    page = report.page([{**tree, "rows": rows}], inside)
    assert "**data = x**\n\n| arm | MAE | R |\n" in page
    assert "| a | 0.500 | 0.250 |\n| b | 1.000 ±0.500 |  |\n" in page


def test_pictures_come_along_small_and_go_with_their_results(finished, tree, inside):
    shutil.copytree(finished, "runs/a")
    report.write(Path("RESULTS.md"))
    picture = inside / "docs/results/toy-slow-toy.png"
    assert "![toy, preset slow: toy](toy-slow-toy.png)" in Path("docs/results/toy.md").read_text()
    with Image.open(picture) as small, Image.open(finished / "toy.png") as drawn:
        assert (small.mode, small.size) == ("P", drawn.size)
        wanted, got = (np.asarray(one.convert("RGB"), dtype=int) for one in (drawn, small))
    assert np.abs(wanted - got).max() < 16
    assert picture.stat().st_size <= (finished / "toy.png").stat().st_size
    # Newer results that drew another one, which is missing in their workdir.
    stray = inside / "docs/results/toy-slow-own.png"
    shutil.copy(picture, stray)
    ran(tree, inside / "b", date="2099-01-01", pictures=["new"])
    _, said = report.write(Path("RESULTS.md"), given=["b"])
    assert said[-1] == "b/new.png: not kept, there is no such file"
    assert "![" not in Path("docs/results/toy.md").read_text()
    assert not picture.exists()
    assert stray.exists(), "no report made it"


@pytest.mark.thorough
def test_a_large_picture_is_kept_with_fewer_pixels(inside):
    noise = np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save("noise.png")
    data = kept.small_picture(Path("noise.png"))
    assert len(data) <= kept.LARGEST
    with Image.open(io.BytesIO(data)) as small:
        assert small.size[0] < 600


def test_a_damaged_picture_is_refused_before_anything_is_written(finished, inside, capsys):
    shutil.copytree(finished, "runs/a")
    Path("runs/a/toy.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["report"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: runs/a/toy.png: must be a picture")
    assert said.count("\n") == 1
    assert [path.name for path in inside.iterdir()] == ["runs"]


@pytest.mark.parametrize("name", ["RESULTS.md", "docs/results.md", "docs/results/toy.md"])
def test_what_report_did_not_make_is_not_replaced(name, tree, inside):
    storage.write_json(Path("results/toy-slow.json"), tree)
    storage.write_text(inside / name, "by hand")
    with pytest.raises(ValueError, match=f"^{name}: report did not make this file"):
        report.write(Path("RESULTS.md"))
    assert (inside / name).read_text() == "by hand"
    assert len(files(inside)) == 2


def test_a_page_without_results_is_named_and_left(tree, inside):
    ran(tree, inside / "runs/a")
    ran(tree, inside / "runs/b", experiment="other")
    report.write(Path("RESULTS.md"))
    Path("results/other-slow.json").unlink()
    (inside / "runs/b/results.json").unlink()
    storage.write_text(inside / "docs/results/notes.md", "by hand")
    _, said = report.write(Path("RESULTS.md"))
    assert said[1:] == ["docs/results/other.md: results has no results of other any more"]
    assert Path("docs/results/other.md").exists()


def test_pages_may_be_elsewhere(tree, inside, capsys):
    ran(tree, inside / "runs/a")
    assert main(["report", "--out", "a/table.md", "--pages", "b/pages"]) == 0
    assert "](../b/pages/toy.md)" in Path("a/table.md").read_text()
    assert "](pages/toy.md)" in Path("b/pages.md").read_text()
    assert Path("b/pages/toy.md").exists()


def test_of_all_workdirs_only_newer_results_are_taken_and_a_named_one_always(tree, inside):
    ran(tree, inside / "runs/a", date="2020-01-01", commit="old")
    storage.write_json(Path("results/toy-slow.json"), tree)
    _, said = report.write(Path("RESULTS.md"))
    assert "toy-slow.json is newer" in said[0]
    assert kept.read(Path("results/toy-slow.json"))["commit"] == tree["commit"]
    report.write(Path("RESULTS.md"), given=["runs/a"])
    assert kept.read(Path("results/toy-slow.json"))["commit"] == "old"


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
        (
            {"claim": {"verdict": "held", "sentence": "", "comparisons": [{"arm": "a"}]}},
            r"lacks claim.comparisons\[0\].over",
        ),
        ({"identity": {"device": "cpu"}}, "lacks identity.versions"),
        ({"seconds": {"a": None}}, "seconds.a must be a finite number >= 0, got None"),
        ({"rows": []}, "rows must be a list of rows, one at least"),
        ({"rows": [{"arm": "a", "x": [1]}]}, r"rows\[0\].x must be a finite number, got \[1\]"),
        ({"rows": [{"arm": "a", "x": 1.0, "x interval": [1]}]}, "x interval must be a list of two"),
        (
            {"rows": [{"arm": "a", "x": 1.0, "x interval": [1, 10**400]}]},
            "x interval must be a list",
        ),
        ({"changed": {"x": 1}}, "changed.x must be a list"),
        ({"arms": ["a"]}, "arms must be an object of strings"),
        ({"shown": "recall"}, "shown must be a list of strings"),
        ({"pictures": ["../x"]}, "pictures must be a list of names of letters"),
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
    page = report.page([{**tree, "rows": rows, "arms": {"a": "x|<b>*c*"}}], inside)
    assert r"**mode = x\|[dim]y**" in page
    assert r"| a | x\|&lt;b>\*c\* |" in page
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


JUNK = (None, 3, -1, 1.5, True, "x", "", "\ud800", [], {}, [1], {"a": 1}, 10**400)


def places(tree, path=()):
    """The paths to all values of a JSON tree."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for name, value in inner:
        yield (*path, name)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, name))


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_damaged_is_one_sentence_or_a_page(seed, tree, inside):
    draw = random.Random(seed)
    whole = {**tree, "shown": ["one"], "pictures": ["a"], "rows": tree["rows"][:2]}
    paths, said = list(places(whole)), []
    for _ in range(200):
        damaged = copy.deepcopy(whole)
        *path, last = draw.choice(paths)
        inner = damaged
        for name in path:
            inner = inner[name]
        if draw.random() < 0.3:
            del inner[last]
        else:
            inner[last] = draw.choice(JUNK)
        Path("runs/a").mkdir(parents=True, exist_ok=True)
        Path("runs/a/results.json").write_text(json.dumps(damaged))
        shutil.rmtree("results", ignore_errors=True)
        try:
            report.write(Path("RESULTS.md"), given=["runs/a"])
        except (ValueError, FileNotFoundError) as error:
            said.append(str(error))
    assert len(said) > 20
    assert not [one for one in said if "\n" in one]
    named = ("runs/a/results.json: ", "no results to report")
    assert not [one for one in said if not one.startswith(named)]
