"""`train --experts`: an expert for each file or for each value of a column, and commands that take one of them."""

import json

import jax
import numpy as np
import pytest

from jaxsim import pretrained
from jaxsim.__main__ import main
from jaxsim.commands.inputs import models

TRAINING = ("--steps", 4, "--rate", 0.01, "--held-out", 0.2, "--max-length", 8)


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture
def topics(tmp_path, rows):
    """A file of pairs of two topics."""
    path = tmp_path / "topics.jsonl"
    lines = [
        {"query": row["anchor"], "document": row["positive"], "topic": "ab"[number % 2]}
        for number, row in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_an_expert_is_trained_for_each_topic(tiny, topics, tmp_path, capsys):
    out, dense = tmp_path / "out", pretrained.load(tiny)
    words = ("train", "--model", tiny, "--pairs", topics, *TRAINING, "--batch-size", 16)
    assert run(*words, "--experts", "topic", "--out", out) == 0
    assert "which other libraries cannot read" in capsys.readouterr().out
    found = json.loads((out.with_name("out.run") / "figures.json").read_text())
    assert {"a MRR@10", "b MRR@10", "mean"} <= set(found["after"])
    config = json.loads((out / "config.json").read_text())
    assert config["model_type"] == "jaxsim_experts"
    model = pretrained.load(out)
    assert model.domains == ("a", "b")
    texts = ["red green", "old"]
    of_topics = [
        np.asarray(model.encode(model.params, model.tokenize(texts, domain=name)))
        for name in model.domains
    ]
    assert np.abs(of_topics[0] - of_topics[1]).max() > 1e-4, "each has learned its own"
    # Commands take the dense model of one domain.
    vectors = tmp_path / "vectors.npy"
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    embed = ("embed", "--model", out, "--corpus", corpus, "--out", vectors)
    assert run(*embed) == 2
    assert f"--domain must be one of a, b, the experts of {out}" in capsys.readouterr().err
    assert run(*embed, "--domain", "b") == 0
    np.testing.assert_allclose(np.load(vectors), of_topics[1], atol=1e-5)
    embed = ("embed", "--model", tiny, "--corpus", corpus, "--out", tmp_path / "other.npy")
    assert run(*embed, "--domain", "b") == 2
    assert "--domain has no effect" in capsys.readouterr().err
    assert jax.tree.map(np.shape, pretrained.take_domain(model, "a").params) == jax.tree.map(
        np.shape, dense.params
    )


def test_all_texts_of_a_task_are_of_its_domain(tiny):
    """Before it is trained every expert is the dense model."""
    dense = pretrained.load(tiny)
    model = pretrained.with_experts(dense, ["a", "b"])
    within = models.within_domain(model, "b")
    texts = dense.tokenize(["red green", "old"])
    expected = dense.encode(dense.params, texts)
    np.testing.assert_allclose(within.encode(within.params, texts), expected, atol=1e-6)
    assert within.encode.dtype == model.encode.dtype
    assert models.dim_of(model) == models.dim_of(dense)


REFUSED = {
    "one file": (
        ["--experts"],
        "--experts needs several files of --pairs, or the name of a column",
    ),
    "no such column": (["--experts", "kind"], "which has no 'kind'"),
    "one domain": (["--experts", "one"], "needs two domains or more, all of"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_experts_without_domains_are_refused(tiny, tmp_path, capsys, case):
    path = tmp_path / "pairs.jsonl"
    line = json.dumps({"query": "red", "document": "old", "one": "x"})
    path.write_text(f"{line}\n" * 4)
    words, message = REFUSED[case]
    assert run("train", "--model", tiny, "--pairs", path, "--out", tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
