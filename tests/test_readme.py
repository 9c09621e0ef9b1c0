"""README's snippets run as they stand, and its first two blocks are the two commands."""

import re
import shlex
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.__main__ import main
from jaxsim import pretrained

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [text for language, text in BLOCKS if language == "sh"]


def test_the_first_two_blocks_are_the_job_and_the_tests():
    assert [language for language, _ in BLOCKS[:2]] == ["sh", "sh"]
    for block, last in zip(
        SHELL[:2],
        ["-m experiments anncur --preset cpu --workdir runs/anncur", "-m pytest"],
        strict=True,
    ):
        lines = block.strip().splitlines()
        assert lines[0].startswith("python3 -m venv")
        assert "pip install" in lines[1]
        assert lines[-1].endswith(last)


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
    assert (names["found"].calls == 40).all()
    assert 0.8 < names["recall"] <= 1


def test_the_experiment_runs(tmp_path, monkeypatch, capsys):
    (line,) = [line for line in SHELL[2].splitlines() if line]
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "experiments"]
    monkeypatch.chdir(tmp_path)
    assert main(words[3:]) == 0
    assert (tmp_path / "runs/smoke/results.json").exists()
    assert (tmp_path / "runs/smoke/recall_vs_budget.png").stat().st_size > 10_000
    assert "at equal budget" in capsys.readouterr().out


def test_a_model_is_fine_tuned_by_hand(tiny, rows, tmp_path):
    sides = ([row[side] for row in rows] for side in ("anchor", "positive"))
    names = dict(zip(("queries", "documents"), sides, strict=True))
    names |= {"folder": tiny, "out": tmp_path / "out"}
    small = PYTHON[3].replace("(32, 64)", "(16,)").replace("(64, 128)", "(16,)")
    exec(compile(small, "README.md", "exec"), names)
    trained = pretrained.load(tmp_path / "out").params
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), names["model"].params, trained)
    assert 0 < max(jax.tree.leaves(moved)) < 1e-2


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists(), link
