"""python -m experiments: what it says before it works, and how it refuses."""

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
import toy
from rich.console import Console

from experiments import runner
from experiments.__main__ import main
from experiments.frame import places
from jaxsim import storage

ROOT = Path(__file__).resolve().parents[2]
TOY = Path(toy.__file__)
PAGE = (ROOT / "docs/experiments.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.thorough
def test_the_file_in_the_docs_runs_from_anywhere_and_is_reported(inside, capsys):
    quick = BLOCKS[0].replace('"cpu": Config()', '"cpu": Config(examples=200, steps=20)')
    (inside / "linear.py").write_text(quick)
    assert main(["linear.py", "--preset", "cpu", "--seeds", "2"]) == 0
    assert (
        "linear, preset cpu: 2 arms x 2 seeds, in runs/linear-cpu; not measured"
        in capsys.readouterr().out
    )
    results = json.loads((inside / "runs/linear-cpu/results.json").read_text())
    assert {row["arm"] for row in results["rows"]} == {"nca", "pixels"}
    assert main(["report"]) == 0
    table = (inside / "RESULTS.md").read_text()
    assert "python -m experiments linear.py --preset cpu --seeds 2" in table
    assert f"| {results['identity']['device']} |" in table
    page = (inside / "docs/results/linear.md").read_text()
    assert results["claim"]["sentence"] in page
    assert "![linear, preset cpu: recall](linear-cpu-recall.png)" in page
    assert "| pixels | no map |" in page
    assert re.search(r"\| nca \| 0\.\d{3} ±0\.\d{3} \|", page)
    assert main(["linear.py"]) == 0
    assert re.search(r"cpu +│ 2 arms x 3 seeds +│ 0\.\d minutes for", capsys.readouterr().out)


@pytest.mark.thorough
def test_the_file_of_more_words_in_the_docs_runs(inside, capsys):
    (inside / "projections.py").write_text(BLOCKS[1])
    assert main(["projections.py", "--preset", "cpu", "--seeds", "2"]) == 0
    results = json.loads((inside / "runs/projections-cpu/results.json").read_text())
    assert results["claim"]["verdict"] == "held"
    recall = {(row["arm"], row["dim"]): row["recall@1"] for row in results["rows"]}
    assert recall["projection", 8] < recall["sum", 8] < recall["pixels", 8]
    assert "spearman interval" in results["rows"][0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "no experiment 'nothing': there are anncur"),
        (["nothing.py"], "no file nothing.py"),
        ([str(TOY.parent) + "/x.py/"], "no experiment"),
        ([str(TOY), "--preset", "huge"], "no preset 'huge' of toy: there are smoke, slow"),
        ([str(TOY), "--preset"], "--preset must name one of smoke, slow"),
        ([str(TOY), "--preset", "smoke", "--arms", "best"], "no arm 'best' of toy: there are good"),
        (
            [str(TOY), "--preset", "smoke", "--arms", "bad", "bad"],
            "arms must differ, got 'bad' more",
        ),
        (
            [str(TOY), "--preset", "smoke", "--seeds", "0"],
            "seeds must be a whole number of at least 1",
        ),
        ([str(TOY), "--preset", "smoke", "--seeds", "-1"], "at least 1, got -1"),
        (
            [str(TOY), "--preset", "smoke", "--seed", "-1"],
            "seed must be a whole number of at least 0",
        ),
        (
            [str(TOY), "--preset", "smoke", "--seed", "2147483647", "--seeds", "2"],
            "below 2\\*\\*31",
        ),
        ([str(TOY), "--preset", "smoke", "--workdir", ""], "workdir must name a path, got ''"),
        (
            [str(TOY), "--preset", "smoke", "--workdir", str(ROOT / "docs")],
            "not the workdir of an exp",
        ),
    ],
)
def test_bad_words_get_one_sentence(words, message, inside, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert re.search(message, said)
    assert said.count("\n") == 1
    assert not list(inside.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["multi_similarity", "--steps", "-5"],
            "steps must be a whole number of at least 1, got -5",
        ),
        (["multi_similarity", "--rates", "0.1", "nan"], "rates must be finite, got nan"),
        (
            ["contrastive_behaviour", "--data", "mnist"],
            "data must be one of 'digits', 'digits-small'",
        ),
        (["dual_embeddings", "--snapshots", "5000"], "snapshots must be at most steps=4000"),
        (["anncur", "--heads", "3"], "dim must be a multiple of heads=3, got 64"),
        (["anncur", "--shares", "1.5"], "shares must be between 0 and 1, got 1.5"),
        (["leaf", "--teachers", "huge"], "teachers must be one of 'linear', 'neural'"),
        (["leaf", "--teachers"], "teachers must have one value at least"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(words, message, inside, capsys):
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not list(inside.iterdir())


def test_help_shows_every_setting_with_its_meaning(capsys):
    with pytest.raises(SystemExit) as done:
        main(["dual_embeddings", "--help"])
    assert done.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("--dim", "--negatives", "per pair", "how much a made-up pair counts", "--seeds"):
        assert words in shown
    assert "10 arms x 3 seeds" in shown
    assert "the input table against itself" in shown


@pytest.mark.parametrize("slug", places.slugs())
def test_every_setting_has_a_meaning(slug):
    text = (ROOT / f"experiments/{slug}.py").read_text()
    (config,) = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef) and node.name == "Config"
    ]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    fields = [node for node in config.body if isinstance(node, ast.AnnAssign)]
    bare = [
        f.target.id
        for f in fields
        if not comments & {f.lineno - 1, *range(f.lineno, f.end_lineno + 1)}
    ]
    assert fields
    assert not bare


def test_a_bare_name_says_what_it_does_and_how_long_and_does_nothing(inside, capsys):
    assert main(["multi_similarity"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert re.search(r"cpu 4 arms x 3 seeds \d+(\.\d)? minutes", shown)
    assert "python -m experiments multi_similarity --preset cpu" in shown
    assert "semi-hard triplets" in shown
    assert not list(inside.iterdir())


def test_the_list_names_every_paper_and_its_last_verdict(inside, capsys):
    runner.run(
        toy,
        toy.PRESETS["smoke"],
        preset="smoke",
        seeds=2,
        workdir="runs/x",
        console=Console(quiet=True),
    )
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(slug in shown for slug in places.slugs())
    assert "maxsim: not held" in shown
    (inside / "runs/x/results.json").write_text("{")
    assert main([]) == 2
    captured = capsys.readouterr()
    assert "anncur" in captured.out
    assert "maxsim: not held" in captured.out, "other files are not damaged"
    assert captured.err.count("runs/x/results.json: not JSON") == 1


def test_the_list_shows_what_runs_add_but_no_smoke_and_no_changed_settings(inside, capsys):
    kept = json.loads((ROOT / "results/leaf-cpu.json").read_text())
    late = {**kept, "date": "2099-01-01", "claim": {"verdict": "not held", "sentence": "no"}}
    storage.write_json(inside / "runs/a/results.json", {**late, "preset": "smoke"})
    storage.write_json(inside / "runs/b/results.json", {**late, "changed": {"steps": [2, 1]}})
    assert main([]) == 0
    assert re.search(r"leaf .* cpu: held ", capsys.readouterr().out)
    storage.write_json(inside / "runs/c/results.json", late)
    assert main([]) == 0
    assert re.search(r"leaf .* cpu: not held ", capsys.readouterr().out)


def test_the_list_and_the_report_import_no_experiment_and_no_trainer(inside):
    program = (
        "import sys; from experiments.__main__ import main; "
        "assert not main([]) and not main(['--help']) and not main(['report', '--results', 'kept']); "
        "from experiments.frame.places import slugs; "
        "loaded = {'tyro', 'flax', 'optax', 'jaxsim.training', 'jaxsim.losses', 'matplotlib', "
        "*(f'experiments.{slug}' for slug in slugs())} & set(sys.modules); "
        "sys.exit(', '.join(loaded) or 0)"
    )
    shutil.copytree(ROOT / "results", inside / "kept")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-P", "-c", program]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_missing_package_is_one_sentence(inside, capsys, monkeypatch):
    lazy = TOY.read_text().replace("from matplotlib.figure import Figure\n", "")
    lazy = lazy.replace(
        "    figure = Figure()", "    from matplotlib.figure import Figure\n    figure = Figure()"
    )
    (inside / "lazy.py").write_text(lazy)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    needed = (
        'error: the package matplotlib is missing: pip install "jaxsim-similarity[experiments]"\n'
    )
    assert main([str(TOY), "--preset", "smoke"]) == 2
    assert capsys.readouterr().err == needed
    assert main(["lazy.py", "--preset", "smoke"]) == 2
    assert capsys.readouterr().err.endswith(needed)
    assert (inside / "runs/lazy-smoke/results.json").exists(), "only the picture is missing"


def test_one_interrupt_says_how_to_resume(inside, monkeypatch, capsys):
    def interrupted(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", interrupted)
    assert main([str(TOY), "--preset", "smoke"]) == 130
    assert "the same command resumes" in capsys.readouterr().err


@pytest.mark.thorough
def test_it_runs_in_another_folder_with_a_file_named_as_a_library(inside):
    (inside / "json.py").write_text(TOY.read_text())
    words = [sys.executable, "-P", "-m", "experiments", "json.py", "--preset", "smoke"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (inside / "runs/json-smoke/results.json").exists()
