"""What a command asks for and says of itself: queries at a prompt, and the help."""

import io
import itertools
import json
import re

import jax
import numpy as np
import pytest

import jaxsim
from jaxsim import pretrained
from jaxsim.__main__ import main


def run(*words):
    return main([str(word) for word in words])


@pytest.mark.xdist_group("commands")
def test_queries_are_asked_for_at_a_prompt(tiny, rows, tmp_path, capsys, monkeypatch):
    corpus, texts = tmp_path / "docs.jsonl", [row["positive"] for row in rows]
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    monkeypatch.setattr("sys.stdin", io.StringIO("red green\nblue\n\nnever read\n"))
    assert run("search", "--model", tiny, "--corpus", corpus, "--k", 3) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if not line.startswith(" ")] == ["red green", "blue"]
    model = pretrained.load(tiny)
    vectors = np.asarray(jax.jit(model.encode)(model.params, model.tokenize([*texts, "blue"])))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    best = np.sort(vectors[:-1] @ vectors[-1])[::-1][:3]
    np.testing.assert_allclose([float(line.split()[0]) for line in told[-3:]], best, atol=1e-4)


def test_the_version_is_printed(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"jaxsim {jaxsim.__version__}\n"


HELP = {
    "index": ("--model", "--corpus", "--column", "--index", "resumes"),
    "search": (
        "--model",
        "--corpus",
        "--queries",
        "--run",
        "--k",
        "--reranker",
        "--budget",
        "query",
    ),
    "export": ("--to stablehlo|onnx|faiss|usearch", "--weights beside|inside", "run.py"),
    "evaluate": ("--run", "--qrels", "--k", "--out", "nDCG"),
}


@pytest.mark.parametrize("command", HELP)
def test_help_is_enough_to_use_a_command(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        run(command, "--help")
    told = capsys.readouterr().out
    assert re.search(rf"^    python -m jaxsim {command} ", told, re.MULTILINE), "a line to type"
    for word in HELP[command]:
        assert word in told
    lines = [*told.splitlines(), ""]
    for line, following in itertools.pairwise(lines):
        if line.startswith("  --"):  # every option says what it is for, beside it or below
            assert "  " in line.strip() or following.startswith(" " * 20), line
