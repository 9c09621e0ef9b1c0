"""`train` on several files at once, on texts with labels, and with hard negatives that are mined again."""

import json

import jax
import numpy as np
import pytest

from jaxsim import losses, pretrained
from jaxsim.__main__ import main
from jaxsim.commands.fine_tuning.labels import LabelTask
from jaxsim.commands.fine_tuning.mining import Mined, Mining
from jaxsim.commands.fine_tuning.mixture import Mixture
from jaxsim.commands.fine_tuning.pairs import documents_of
from jaxsim.commands.fine_tuning.texts import Task
from jaxsim.commands.inputs.columns import Labeled, Pairs
from jaxsim.commands.train.losses import Call

TRAINING = ("--rate", 0.01, "--held-out", 0.2, "--batch-size", 16, "--max-length", 8)
A, B, C, D, E = "red green", "old new", "blue round", "square large", "hard light"


def run(*words):
    return main([str(word) for word in words])


def figures(folder):
    """The figures that a run left."""
    return json.loads((folder / "figures.json").read_text())


def lines(folder):
    """The lines of a run's log."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder):
    return jax.tree.leaves(pretrained.load(folder).params)


@pytest.fixture
def labeled(tmp_path, rows):
    """A file of texts whose class is their first word."""
    path = tmp_path / "classes.jsonl"
    texts = [{"text": row["anchor"], "label": row["anchor"].split()[0]} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in texts))
    return str(path)


@pytest.fixture
def task(tiny):
    """A function of (pairs, mined) to a task of all rows in a batch."""
    model = pretrained.load(tiny, max_length=8)

    def made(pairs, mined=None, **settings):
        settings = {"graded": False, "prompts": (None, None)} | settings
        loss = Call("cosent" if settings["graded"] else "info_nce", {})
        size = len(pairs.queries)
        return Task(model, loss, pairs, pairs, size, mined=mined, **settings)

    return made


def counted(batch):
    """The columns of numbers of a batch, of the rows that count."""
    names = ("ids", "document_ids")
    return {name: batch[name][batch["where"]] for name in names if name in batch}


def value(task, batch, params=None):
    """The loss of a batch."""
    params = task.model.params if params is None else params
    return float(task.objective()(params, batch, key=jax.random.key(0), axis_name=None))


@pytest.mark.thorough
def test_a_mixture_has_the_loss_of_each_task(task):
    """Every batch is of one task, by its loss and weight; ids name rows of all tables."""
    pairs = task(Pairs([A, B, C], [C, D, E], None, None))
    graded = task(Pairs([A, B], [C, D], None, [0.1, 0.9]), graded=True)
    mixture = Mixture({"one": pairs, "two": graded}, {"one": 2.0, "two": 0.5})
    batches = mixture.batches(epochs=2, steps=None, seed=0)
    assert len(batches) == 4
    names = ["one" if "one" in batches[number] else "two" for number in range(4)]
    assert sorted(names) == ["one", "one", "two", "two"]
    expected = {
        name: value(each, each.batches(epochs=1, steps=None, seed=0)[0])
        for name, each in mixture.tasks.items()
    }
    objective, state = mixture.objective(), mixture.state
    assert np.isnan(state).all()
    for number, name in enumerate(names):
        batch = batches[number]
        assert sorted(counted(batch)["ids"].tolist()) == ([0, 1, 2] if name == "one" else [3, 4])
        loss, (state, shown) = objective(
            pairs.model.params, state, batch, key=jax.random.key(0), axis_name=None
        )
        np.testing.assert_allclose(loss, mixture.weights[name] * expected[name], rtol=1e-5)
        np.testing.assert_allclose(shown[f"{name} loss"], expected[name], rtol=1e-5)
    found = mixture.validate(pairs.model.params)
    assert found["mean"] == pytest.approx((found["one MRR@10"] + found["two spearman"]) / 2)
    assert found["loss"] == pytest.approx(2 * found["one loss"] + found["two loss"] / 2)


@pytest.mark.thorough
def test_mined_negatives_are_near_and_no_document_of_the_query(task, tmp_path):
    """Not the query itself, no document that any row gives it, and every row as many as there are."""
    mined = Mined(tmp_path, "n", Mining(3, 2))
    queries, documents = [A, B, A, C], [C, D, E, A]
    one = task(Pairs(queries, documents, None, None), mined)
    params = one.model.params
    assert not mined.known(0)
    one.mine(params, 0)
    assert mined.known(1)
    assert not mined.known(2)
    texts = documents_of(one.pairs)
    assert texts == [C, D, E, A]
    right = {A: {C, E, A}, B: {D}, C: {A, C}}
    allowed = [set(texts) - right[query] for query in queries]
    for row, table in enumerate(mined.at(1).tolist()):
        names = [texts[number] for number in table if number >= 0]
        assert set(names) == allowed[row]
        assert table == sorted(table, key=lambda number: number < 0), "those that lack come last"
    batch = one.batches(epochs=1, steps=None, seed=0)[0]
    assert (batch["document_where"] == (batch["document_ids"] >= 0)).all()
    # The loss is that of the same negatives in the file.
    rows = counted(batch)
    table = rows["document_ids"][np.argsort(rows["ids"])]
    assert table.shape == (4, 4)
    vectors, of_queries = (
        np.asarray(one.model.encode(params, one.model.tokenize(side))) for side in (texts, queries)
    )
    expected = losses.info_nce(
        of_queries,
        vectors[np.maximum(table, 0)],
        query_ids=np.array([0, 1, 0, 2]),
        document_ids=table,
        document_where=table >= 0,
    )
    assert value(one, batch) == pytest.approx(float(expected), abs=1e-5)
    with pytest.raises(FileNotFoundError):
        mined.at(2)


def test_mining_rules_are_those_of_search(task, tmp_path):
    mining = Mining(1, None, 0.2, 0.9, (2, 30))
    assert [rule.__name__ for rule in mining.rules()] == [
        "below_by_a_margin",
        "below_a_share",
        "in_ranks",
    ]
    assert mining.depth() == 100
    mined = Mined(tmp_path, "n", mining)
    assert (mined.first_of(77), mined.stops(80)) == (0, [80])
    again = Mined(tmp_path, "n", mining._replace(every=30))
    assert (again.first_of(77), again.stops(80)) == (60, [30, 60, 80])
    assert again.stops(60) == [30, 60]


@pytest.mark.thorough
def test_texts_with_labels_are_batches_of_classes(tiny):
    model = pretrained.load(tiny, max_length=8)
    rows = Labeled([A, B, C, D, E, "red old"], ["x", "y", "x", "y", "z", "z"])
    one = LabelTask(
        model, Call("triplet", {"margin": 0.3}), rows, rows, 4, per_class=2, prompt=None
    )
    batch = one.batches(epochs=1, steps=None, seed=0)[0]
    ids = counted(batch)["ids"]
    labels = one.labels[ids]
    assert np.unique(labels, return_counts=True)[1].tolist() == [2, 2]
    texts = [rows.texts[place] for place in ids]
    vectors = model.encode(model.params, model.tokenize(texts))
    expected = losses.triplet(vectors, labels, margin=0.3)
    assert value(one, batch) == pytest.approx(float(expected), abs=1e-5)
    found = one.validate(model.params)
    assert set(found) == {"loss", "precision@1", "MAP@R"}


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_several_files_train_one_model(tiny, table, labeled, tmp_path, capsys):
    pairs = table("anchor", "positive", name="pairs.jsonl")
    graded = table("anchor", "positive", "score", name="sts.jsonl")
    words = (
        "train",
        "--model",
        tiny,
        "--pairs",
        pairs,
        f"{graded}:cosent:0.5",
        f"{labeled}:triplet",
    )
    words = (*words, *TRAINING, "--set", "margin=0.1", "--steps", 12, "--out", tmp_path / "out")
    assert run(*words) == 0
    shown = capsys.readouterr().out
    for name in ("pairs: loss", "sts: loss", "classes: loss", "spearman", "MRR@10", "MAP@R"):
        assert name in shown
    found = figures(tmp_path / "out.run")["after"]
    expected = np.mean([found["pairs MRR@10"], found["sts spearman"], found["classes MAP@R"]])
    assert found["mean"] == pytest.approx(expected)
    steps = [line for line in lines(tmp_path / "out.run") if "examples/s" in line]
    assert all(f"{name} loss" in steps[-1] for name in ("pairs", "sts", "classes"))
    # Another weight is another run; the same is finished.
    first = weights(tmp_path / "out")
    assert run(*words) == 0
    assert all((a == b).all() for a, b in zip(first, weights(tmp_path / "out"), strict=True))
    other = [str(word).replace(":0.5", ":0.6") for word in words]
    assert run(*other) == 2
    assert "weight of sts 0.5, now 0.6" in capsys.readouterr().err


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_a_run_that_mines_again_resumes_bitwise(tiny, table, tmp_path, monkeypatch, capsys):
    """Interrupted in the middle of a stretch and while mining, it ends as one that was not."""
    pairs = table("anchor", "positive")
    words = ("train", "--model", tiny, "--pairs", pairs, *TRAINING, "--steps", 9)
    words = (*words, "--negatives", 2, "--mine-every", 4, "--mine-ranks", 1, 20)
    assert run(*words, "--out", tmp_path / "whole") == 0
    columns, mine = Task.columns, Mined.mine

    def killed_at_6(self, rows, step):
        if step == 6:
            raise KeyboardInterrupt
        return columns(self, rows, step)

    def killed_at_8(self, *args, step, **settings):
        if step == 8:
            raise KeyboardInterrupt
        return mine(self, *args, step=step, **settings)

    again = (*words, "--out", tmp_path / "again")
    with monkeypatch.context() as patch:
        patch.setattr(Task, "columns", killed_at_6)
        assert run(*again) == 130
    with monkeypatch.context() as patch:
        patch.setattr(Mined, "mine", killed_at_8)
        assert run(*again) == 130
    assert run(*again) == 0
    names = sorted(path.name for path in (tmp_path / "again.run" / "negatives").iterdir())
    assert names == [f"pairs-0000000{step}.arrays" for step in (0, 4, 8)]
    both = weights(tmp_path / "whole"), weights(tmp_path / "again")
    assert all((a == b).all() for a, b in zip(*both, strict=True))
    # A longer run mines on; what was mined is not mined again.
    capsys.readouterr()
    longer = [14 if word == 9 else word for word in again]
    assert run(*longer) == 0
    mined = [line for line in capsys.readouterr().out.splitlines() if "mined" in line]
    assert [line.split(":")[0] for line in mined] == ["before step 13"]


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_a_guide_leaves_out_what_it_takes_for_right(tiny, table, tmp_path):
    pairs = table("anchor", "positive", "negative")
    words = ("train", "--model", tiny, "--pairs", pairs, *TRAINING, "--steps", 2)
    assert run(*words, "--guide", tiny, "--set", "margin=0.1", "--out", tmp_path / "out") == 0
    assert (tmp_path / "out.run" / "guide-documents.npy").exists()
    assert set(figures(tmp_path / "out.run")["after"]) == {"recall@1", "recall@10", "MRR@10"}


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_texts_with_labels_train_by_default(tiny, labeled, tmp_path):
    words = ("train", "--model", tiny, "--pairs", labeled, "--rate", 0.01, "--held-out", 0.3)
    assert run(*words, "--steps", 3, "--out", tmp_path / "out", "--dims", 8) == 0
    assert "MAP@R of 8" in figures(tmp_path / "out.run")["after"]
