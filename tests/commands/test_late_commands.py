"""Late interaction (ColBERT) by command: trained on pairs, its corpus embedded, indexed and searched; what is refused."""

import itertools
import json

import numpy as np
import pytest
from model_folders import make_late

from jaxsim import pretrained, search
from jaxsim.__main__ import main

COLORS, SHAPES, SIZES = ("red", "green", "blue"), ("round", "square"), ("large", "small", "old")
TEXTS = [" ".join(words) for words in itertools.product(SIZES, SHAPES, COLORS)]


def run(*words):
    return main([str(word) for word in words])


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    return make_late(
        tmp_path_factory.mktemp("late") / "model",
        sentence={"prompts": {"query": "query : ", "document": ""}},
        mask={"skiplist_words": [":"]},
        lengths={"query_expansion": {"strategy": "fixed", "length": 8}},
    )


@pytest.fixture
def corpus(tmp_path):
    rows = ({"_id": f"d{place}", "text": f"{text} :"} for place, text in enumerate(TEXTS))
    return lines(tmp_path / "docs.jsonl", rows)


@pytest.fixture
def pairs(tmp_path):
    rows = (
        {"query": text, "document": " ".join(text.split()[::-1]), "negative": TEXTS[place - 1]}
        for place, text in enumerate(TEXTS)
    )
    return lines(tmp_path / "pairs.jsonl", rows)


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_a_corpus_is_embedded_indexed_and_searched(late, corpus, tmp_path, capsys):
    both = "--model", late, "--corpus", corpus
    assert run("embed", *both, "--out", tmp_path / "docs.npy") == 0
    model = pretrained.load(late)
    expected = model.embed([f"{text} :" for text in TEXTS])
    vectors, offsets = (np.load(tmp_path / f"docs{part}.npy") for part in ("", ".offsets"))
    np.testing.assert_allclose(vectors, expected["vectors"][expected["where"]], atol=1e-5)
    np.testing.assert_array_equal(np.diff(offsets), expected["where"].sum(axis=1))
    assert run("embed", *both, "--side", "query", "--out", tmp_path / "queries.npy") == 0
    assert np.diff(np.load(tmp_path / "queries.offsets.npy")).tolist() == [8] * len(TEXTS)

    assert run("index", *both) == 0
    assert "one for each of" in capsys.readouterr().out
    assert run("search", *both, "--k", 2, "small round blue") == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    scores, ids = search.exact_tokens(
        model.embed(["small round blue"], side="query"), vectors, offsets, 2
    )
    assert [line[1] for line in shown] == [f"d{place}" for place in ids[0]]
    np.testing.assert_allclose([float(line[0]) for line in shown], scores[0], atol=1e-3)


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
@pytest.mark.parametrize("chunk", [None, 3])
def test_it_is_trained_on_pairs_with_negatives(chunk, late, pairs, tmp_path, capsys):
    words = ["train", "--model", late, "--pairs", pairs, "--batch-size", 8, "--rate", 0.01]
    words += [] if chunk is None else ["--chunk", chunk]
    assert run(*words, "--steps", 8, "--validate-every", 8, "--out", tmp_path / "out") == 0
    assert "the model compares by max_sim: info_nce has --temperature 1" in capsys.readouterr().out
    model = pretrained.load(tmp_path / "out")
    assert isinstance(model, pretrained.MultiVectorModel)
    before = pretrained.load(late).params["params"]["heads_0"]["linear"]["kernel"]
    assert np.abs(model.params["params"]["heads_0"]["linear"]["kernel"] - before).max() > 1e-3
    assert 'MultiVectorEncoder("out")' in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.xdist_group("commands")
def test_what_late_interaction_does_not_take_is_refused_first(
    late, tiny, pairs, corpus, tmp_path, capsys
):
    def refused(words, *command):
        assert run(*command) != 0
        assert words in capsys.readouterr().err

    train = "train", "--model", late, "--pairs", pairs, "--batch-size", 4, "--out", tmp_path / "out"
    refused("--dims is not for late interaction", *train, "--dims", "4")
    refused("--lora-rank is not for late interaction", *train, "--lora-rank", "2")
    refused("--loss given_triplet does not take the token", *train, "--loss", "given_triplet")
    embed = "embed", "--corpus", corpus, "--out", tmp_path / "docs.npy"
    refused("--side has no effect", *embed, "--model", tiny, "--side", "query")
    refused("--out must end in .npy", *embed[:-1], tmp_path / "docs.npz", "--model", late)
