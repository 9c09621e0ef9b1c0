"""`train` on cross-encoders: scores, lists and a teacher's scores; the folder is one of sentence-transformers."""

import json

import numpy as np
import pytest

from jaxsim import losses, pretrained
from jaxsim.__main__ import main
from jaxsim.commands.fine_tuning.cross import CrossTask, scores_of
from jaxsim.commands.fine_tuning.pairs import listed
from jaxsim.commands.inputs.columns import Pairs
from jaxsim.commands.train.losses import Call

TRAINING = ("--steps", 6, "--rate", 0.01, "--held-out", 0.2, "--batch-size", 16)
A, B, C, D, E = "red green", "old new", "blue round", "square large", "hard light"


def run(*words):
    return main([str(word) for word in words])


def figures(folder):
    """The figures that a run left."""
    return json.loads((folder / "figures.json").read_text())


@pytest.fixture
def model(tiny_cross):
    return pretrained.load(tiny_cross)


@pytest.mark.thorough
def test_a_row_is_scored_with_each_of_its_documents(model):
    """Scores are those of the model; a negative that is right for the query does not count."""
    pairs = Pairs([A, B, A], [C, D, E], [[D, E], [A, C], [B, D]], None)
    task = CrossTask(model, Call("list_softmax", {}), pairs, pairs, 3)
    assert task.counts.tolist() == [[True, True, False], [True] * 3, [True] * 3]
    assert task.left_out == 1
    documents = listed(pairs)
    scores = scores_of(model, pairs.queries, documents)
    for row, query in enumerate(pairs.queries):
        sides = model.tokenize_pairs([query] * 3, documents[row])
        np.testing.assert_allclose(scores[row], model.score(model.params, *sides), atol=1e-5)
    found = task.validate(model.params)
    expected = losses.list_softmax(scores, candidate_where=task.counts)
    assert found["loss"] == pytest.approx(float(expected), abs=1e-5)
    places = 1 + ((scores[:, 1:] >= scores[:, :1]) & task.counts[:, 1:]).sum(axis=1)
    assert found["MRR"] == pytest.approx((1 / places).mean())
    batch = task.batches(epochs=1, steps=None, seed=0)[0]
    loss = task.objective()(model.params, batch, key=None, axis_name=None)
    assert float(loss) == pytest.approx(float(expected), abs=1e-4)


def test_rows_with_fewer_negatives_end_with_documents_that_do_not_count(model):
    pairs = Pairs([A, B, C], [C, D, E], [[D, E], [], [A]], None)
    task = CrossTask(model, Call("list_softmax", {}), pairs, pairs, 3)
    assert task.counts.tolist() == [[True] * 3, [True, False, False], [True, True, False]]
    assert (task.left_out, task.negatives) == (0, [2, 0, 1])
    scores = scores_of(model, pairs.queries, listed(pairs))
    assert scores[~task.counts].tolist() == [0, 0, 0]
    each = [np.log(np.exp(row[row != 0]).sum()) - row[0] for row in np.float64(scores)]
    expected = np.mean(each)  # of row 1, which has nothing to order, 0
    found = task.validate(model.params)
    assert found["loss"] == pytest.approx(expected, abs=1e-5)
    ranks = 1 + ((scores[:, 1:] >= scores[:, :1]) & task.counts[:, 1:]).sum(axis=1)
    assert found["MRR"] == pytest.approx((1 / ranks[[0, 2]]).mean())
    batch = task.batches(epochs=1, steps=None, seed=0)[0]
    loss = task.objective()(model.params, batch, key=None, axis_name=None)
    assert float(loss) == pytest.approx(expected, abs=1e-4)


def test_every_candidate_is_a_yes_or_a_no():
    scores, targets = np.float32([[2, -1, 0], [1, 1, 1]]), np.float32([[1, 0, 0], [1, 0, 0]])
    counts, where = np.array([[1, 1, 0], [1, 1, 1]], bool), np.array([True, False])
    found = Call("binary_cross_entropy", {"positive_weight": 2.0})(
        scores, targets, candidate_where=counts, where=where
    )
    expected = (2 * np.log1p(np.exp(-2.0)) + np.log1p(np.exp(-1.0))) / 2
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_a_cross_encoder_learns_lists_and_teaches_another(tiny_cross, table, tmp_path):
    lists = table("anchor", "positive", "negative")
    words = ("train", "--model", tiny_cross, "--pairs", lists, *TRAINING)
    assert run(*words, "--loss", "list_softmax", "--out", tmp_path / "first") == 0
    found = figures(tmp_path / "first.run")
    assert found["after"]["MRR"] > found["before"]["MRR"]
    taught = (*words, "--loss", "margin_mse", "--teacher", tmp_path / "first")
    assert run(*taught, "--out", tmp_path / "second") == 0
    found = figures(tmp_path / "second.run")
    assert found["after"]["MRR"] > found["before"]["MRR"]
    assert (tmp_path / "second.run" / "teacher-scores.arrays").exists()
    # The command that searches takes it.
    corpus = tmp_path / "docs.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in (A, B, C)))
    assert pretrained.load(tmp_path / "first").scorer([A], [B])([0], [0]).shape == (1,)


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "score_mse"])
def test_a_cross_encoder_learns_scores(tiny_cross, table, tmp_path, loss):
    graded = table("anchor", "positive", "score")
    words = ("train", "--model", tiny_cross, "--pairs", graded, *TRAINING, "--loss", loss)
    assert run(*words, "--out", tmp_path / "out") == 0
    assert set(figures(tmp_path / "out.run")["after"]) == {"loss", "spearman", "pearson"}


REFUSED = {
    "an encoder's options": (["--loss", "rank_net", "--dims", 4], "--dims is for embedding models"),
    "mining": (["--loss", "rank_net", "--negatives", 4], "--negatives is for embedding models"),
    "no negatives": (
        ["--loss", "list_net"],
        "list_net orders a query's documents, there is no column",
    ),
    "neither": (
        ["--loss", "binary_cross_entropy"],
        "needs scores or negatives, there is no column",
    ),
    "no scores": (["--loss", "score_mse"], "score_mse needs a score for every pair"),
    "no teacher": (["--loss", "margin_mse"], "--teacher and a loss of teachers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(tiny_cross, table, tmp_path, capsys, case):
    words, message = REFUSED[case]
    pairs = table("anchor", "positive")
    out = tmp_path / "out"
    assert run("train", "--model", tiny_cross, "--pairs", pairs, "--out", out, *words) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_an_encoder_has_no_scores_to_train(tiny, table, tmp_path, capsys):
    pairs = table("anchor", "positive", "negative")
    words = ("train", "--model", tiny, "--pairs", pairs, "--out", tmp_path / "out")
    assert run(*words, "--loss", "list_softmax") == 2
    assert "--model must be a cross-encoder for the loss, got" in capsys.readouterr().err
