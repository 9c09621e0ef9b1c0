"""Late interaction (ColBERT) by command: trained on pairs, its corpus embedded, indexed and searched; what is refused."""

import itertools
import json

import jax
import numpy as np
import pytest
from model_folders import make_late

from jaxsim import pretrained, search
from jaxsim.__main__ import main
from jaxsim.commands.fine_tuning.mining import Mined, Mining
from jaxsim.commands.fine_tuning.tokens import ScoredTokenTask, TokenTask
from jaxsim.commands.inputs.columns import Pairs
from jaxsim.commands.train.losses import Call

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
        config={"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
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


def maxsim(queries, documents):
    """MaxSim in float64 loops, {"vectors", "where"} both: [queries, documents]."""
    sides = [
        [np.float64(vectors[where]) for vectors, where in zip(*side.values(), strict=True)]
        for side in (queries, documents)
    ]
    return np.array([[(q @ d.T).max(axis=1).sum() for d in sides[1]] for q in sides[0]])


REVERSED = [" ".join(text.split()[::-1]) for text in TEXTS]
PROMPTS = ("query : ", "")


@pytest.mark.thorough
def test_the_documents_of_the_largest_max_sim_are_mined(late, tmp_path):
    model = pretrained.load(late)
    pairs = Pairs(TEXTS, REVERSED, None, None)
    mined = Mined(tmp_path, "pairs", Mining(3))
    settings = {"graded": False, "prompts": PROMPTS, "mined": mined}
    task = TokenTask(model, Call("info_nce", {}), pairs, pairs, 4, **settings)
    task.mine(model.params, 0)
    scores = maxsim(model.embed(TEXTS, side="query"), model.embed(REVERSED))
    np.fill_diagonal(scores, -np.inf)
    np.testing.assert_array_equal(mined.at(0), np.argsort(-scores, axis=1)[:, :3])
    batch = task.batches(epochs=1, steps=None, seed=0)[0]
    ids, documents = (batch[name][batch["where"]] for name in ("ids", "document_ids"))
    assert documents[:, 0].tolist() == ids.tolist()
    np.testing.assert_array_equal(documents[:, 1:], mined.at(0)[ids])


@pytest.mark.thorough
def test_a_cross_encoder_s_scores_are_learned_by_max_sim(late):
    model = pretrained.load(late)
    negatives = [
        [TEXTS[place - 1], TEXTS[place - 2]][: 1 + place % 2] for place in range(len(TEXTS))
    ]
    pairs = Pairs(TEXTS, REVERSED, negatives, None)
    teacher = np.random.default_rng(0).normal(size=(len(TEXTS), 3))
    task = ScoredTokenTask(
        model, Call("margin_mse", {}), pairs, pairs, 5, scores=teacher, prompts=PROMPTS
    )
    batch = task.batches(epochs=1, steps=None, seed=0)[0]
    queries = model.embed(TEXTS, side="query")
    each = []
    for row in batch["ids"][batch["where"]]:
        own = model.embed([REVERSED[row], *negatives[row]])
        scores = maxsim({name: array[row : row + 1] for name, array in queries.items()}, own)[0]
        wanted = teacher[row, 0] - teacher[row, 1 : len(scores)]
        each += [(scores[0] - scores[1:] - wanted) ** 2]
    loss = task.objective()(model.params, batch, key=jax.random.key(0), axis_name=None)
    assert float(loss) == pytest.approx(np.concatenate(each).mean(), rel=1e-4)
    assert set(task.validate(model.params)) == {"recall@1", "recall@10", "MRR@10"}


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_a_teacher_s_scores_train_an_adapter(late, tiny_cross, pairs, tmp_path, capsys):
    words = ["train", "--model", late, "--pairs", pairs, "--batch-size", 8, "--rate", 0.01]
    words += ["--loss", "score_distillation", "--teacher", tiny_cross, "--lora-rank", 2]
    words += ["--steps", 4, "--validate-every", 4, "--out", tmp_path / "out"]
    assert run(*words) == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert 'model[0].model = PeftModel.from_pretrained(model[0].model, "out")' in card
    assert 'side="query"' in card
    assert "type: information-retrieval" in card
    base = pretrained.load(late)
    adapter, scale = pretrained.load_lora(base, tmp_path / "out")
    model = base.replace(params=pretrained.with_lora(base.params, adapter, scale=scale))
    peer = pytest.importorskip("sentence_transformers")
    peft = pytest.importorskip("peft")
    theirs = peer.MultiVectorEncoder(str(late), device="cpu")
    theirs[0].model = peft.PeftModel.from_pretrained(theirs[0].model, str(tmp_path / "out"))
    found = model.embed(TEXTS[:4], side="query")["vectors"]
    assert np.abs(found - base.embed(TEXTS[:4], side="query")["vectors"]).max() > 1e-3
    expected = theirs.encode_query(TEXTS[:4], convert_to_numpy=True)
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.xdist_group("commands")
def test_what_late_interaction_does_not_take_is_refused_first(
    late, tiny, tiny_cross, pairs, corpus, tmp_path, capsys
):
    def refused(words, *command):
        assert run(*command) != 0
        assert words in capsys.readouterr().err

    train = "train", "--model", late, "--pairs", pairs, "--batch-size", 4, "--out", tmp_path / "out"
    refused("--dims is not for late interaction", *train, "--dims", "4")
    refused("--layers is not for late interaction", *train, "--loss", "matryoshka_2d")
    taught = "--loss", "margin_mse", "--teacher", tiny_cross
    refused("not what is mined", *train, *taught, "--negatives", "2")
    other = "--model", tiny, *train[3:]
    refused("must be a cross-encoder or of late interaction for the loss", "train", *other, *taught)
    refused("--loss given_triplet does not take the token", *train, "--loss", "given_triplet")
    embed = "embed", "--corpus", corpus, "--out", tmp_path / "docs.npy"
    refused("--side has no effect", *embed, "--model", tiny, "--side", "query")
    refused("--out must end in .npy", *embed[:-1], tmp_path / "docs.npz", "--model", late)
