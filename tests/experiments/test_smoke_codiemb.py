"""CoDiEmb as an experiment: its parts share no text, its arms have their batches, instructions are not pooled."""

import dataclasses
import itertools

import numpy as np
import pytest

from experiments import codiemb
from experiments.workbench.measures import two_tasks
from experiments.workbench.networks import sentences
from jaxsim import data

SMALL = codiemb.PRESETS["smoke"]


def test_parts_share_no_body():
    parts = two_tasks.split_pairs("docstrings-small")
    bodies = [{document for _, document in part} for part in parts]
    for one, other in itertools.combinations(bodies, 2):
        assert not one & other
    count = sum(map(len, bodies))
    np.testing.assert_allclose([len(part) / count for part in bodies], [0.8, 0.05, 0.15], atol=0.01)


def shared_of(tasks):
    """What `batches_of` reads."""
    return codiemb.Shared(None, {}, tasks, {}, None, (), None, {})


def test_batches_of_each_kind_of_arm():
    rows = [np.array([2, n, 3], np.int32) for n in range(90)]
    tasks = {
        "ir": {
            "query": rows[:48],
            "documents": [[row, row] for row in rows[:48]],
            "numbers": np.zeros((48, 2), np.int32),
        },
        "sts": {"first": rows, "second": rows, "grade": np.zeros(90, np.float32)},
    }
    config = dataclasses.replace(SMALL, batch=16, sts_batch=10, steps=12)
    assert codiemb.retrieval_share(config, tasks) == 3 / 12

    def kinds(arm):
        batches = codiemb.batches_of(config, arm, shared_of(tasks), 0)
        assert len(batches) == 12
        return [("query" in one) + 2 * ("grade" in one) for one in batches]

    assert kinds("ir") == [1] * 12
    assert kinds("sts") == [2] * 12
    assert sorted(kinds("codiemb")) == sorted(kinds("joint")) == [1] * 3 + [2] * 9
    assert kinds("mixed_cosent") == [0] * 12
    assert 6 < kinds("ratio_4_1").count(1) < 12
    batch = codiemb.batches_of(config, "mixed", shared_of(tasks), 0)[0]
    assert batch["ir"]["where"].sum() == 4  # a quarter of 16
    assert batch["sts"]["where"].sum() == 8  # three quarters of 10


def test_an_instruction_is_read_and_not_pooled():
    words = data.train_wordpiece(["find the body below", "compare two texts"] * 5, size=60)
    module = codiemb.network(dataclasses.replace(SMALL, vocabulary=60))
    reader = codiemb.reader_of(SMALL, module, words)
    kinds = reader.kinds
    assert kinds["document"].skipped == 0
    (row,) = reader.ids("query", ["the body"])
    (alone,) = sentences.token_ids(words, ["the body"], 16)
    np.testing.assert_array_equal(row[kinds["query"].skipped :], alone[1:])
    texts = two_tasks.pooled(data.padded([row], 16), kinds["query"].skipped)
    assert np.asarray(texts["pooled"]).sum() == len(alone) - 1


def test_settings_that_do_not_fit():
    with pytest.raises(ValueError, match=r"instructions must be two, got \('a',\)"):
        dataclasses.replace(SMALL, instructions=("a",))


@pytest.mark.thorough
def test_checkpoints_are_mixed(tmp_path):
    config = dataclasses.replace(SMALL, steps=2, start_steps=2, repeats=5)
    shared = codiemb.prepare_all(config, tmp_path)
    folders = []
    for seed in range(2):
        folders.append(tmp_path / str(seed))
        one = dataclasses.replace(config, seed=seed)
        codiemb.run(one, "codiemb", shared, folders[-1])
    (fused,) = codiemb.run(config, "fused", shared, tmp_path / "f", {"codiemb": tuple(folders)})
    (alone,) = codiemb.run(config, "fused", shared, tmp_path / "g", {"codiemb": (folders[0],) * 2})
    (single,) = codiemb.run(config, "codiemb", shared, folders[0])
    np.testing.assert_allclose(alone["nDCG@10"], single["nDCG@10"])
    assert fused["nDCG@10"].shape == single["nDCG@10"].shape
