"""Judges: a cross-encoder is made once, its logits are joined by id, and cross-fitted ones have not seen their pair."""

import dataclasses

import numpy as np
import pytest

from experiments.workbench.networks import judges, sentences
from jaxsim import data, evaluation

THINGS = ["cat", "dog", "fish", "bird", "tree", "stone"]
FIRST = [f"a {one} and a {other}" for one in THINGS for other in THINGS]
RNG = np.random.default_rng(0)
ORDER = RNG.permutation(len(FIRST))
SECOND = [FIRST[place] if n % 2 else FIRST[ORDER[n]] for n, place in enumerate(range(len(FIRST)))]
SAME = np.array([a == b for a, b in zip(FIRST, SECOND, strict=True)], np.float32)
SIZES = sentences.Sizes(vocabulary=60, dim=16, layers=1, heads=2, length=8)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return sentences.tokenizer(FIRST, tmp_path_factory.mktemp("words") / "words.json", size=60)


def trained(words, workdir, **settings):
    settings = {"steps": 120, "batch": 12, "rate": 1e-2, "seed": 0, "dropout": 0.0} | settings
    return judges.cross_encoder(
        FIRST, SECOND, SAME, words=words, sizes=SIZES, workdir=workdir, **settings
    )


@pytest.mark.thorough
def test_a_judge_learns_and_is_made_once(words, tmp_path):
    judge = trained(words, tmp_path / "judge", symmetric=True)
    logits = judge(FIRST, SECOND)
    assert logits.shape == (len(FIRST),)
    assert evaluation.spearman(logits, SAME) > 0.6
    np.testing.assert_allclose(logits, judge(SECOND, FIRST), rtol=1e-5, atol=1e-5)
    again = trained(words, tmp_path / "judge", symmetric=True)
    np.testing.assert_array_equal(again(FIRST[:3], SECOND[:3]), judge(FIRST[:3], SECOND[:3]))
    ids = 1000 - np.arange(len(FIRST))
    stored = judge.remembered(FIRST, SECOND, ids, tmp_path)
    np.testing.assert_allclose(stored.of(ids), logits, rtol=1e-5, atol=1e-5)
    (file,) = tmp_path.glob("logits-*.jaxsim")
    before = file.stat().st_mtime_ns
    judge.remembered(FIRST, SECOND, ids, tmp_path)
    assert file.stat().st_mtime_ns == before
    judge.remembered(FIRST, SECOND, ids + 1, tmp_path)
    assert len(list(tmp_path.glob("logits-*.jaxsim"))) == 2
    with pytest.raises(ValueError, match="symmetric"):
        trained(words, tmp_path / "judge")


def test_logits_are_joined_by_id():
    logits = judges.Logits(np.array([7, 3, 5]), np.float32([70, 30, 50]))
    np.testing.assert_array_equal(logits.of([[5, 7], [3, -1]]), [[50, 70], [30, np.nan]])
    with pytest.raises(ValueError, match="ids must be among those judged, got 4"):
        logits.of([3, 4])
    with pytest.raises(ValueError, match="ids must be distinct"):
        judges.Logits(np.array([1, 1]), np.float32([0, 1]))
    with pytest.raises(ValueError, match=r"values must be \[2\]"):
        judges.Logits(np.array([1, 2]), np.float32([0]))
    even = logits.standardized().values
    np.testing.assert_allclose([even.mean(), even.std()], [0, 1], atol=1e-6)


def test_a_cross_fitted_logit_is_of_a_judge_that_has_not_seen_it(tmp_path):
    ids, groups = 100 + np.arange(40), np.arange(40) // 4
    calls = []

    def fit(seen, folder):
        calls.append(folder.name)

        def judge(places):
            assert not set(groups[places]) & set(groups[seen])
            return places + 0.5

        return judge

    settings = {"folds": 5, "seed": 0, "workdir": tmp_path}
    logits = judges.cross_fitted(ids, fit, groups=groups, **settings)
    np.testing.assert_array_equal(logits.of([103, 100, 139]), [3.5, 0.5, 39.5])
    assert calls == [f"fold-{n}" for n in range(5)]
    judges.cross_fitted(ids, fit, groups=groups, **settings)
    assert len(calls) == 5
    with pytest.raises(ValueError, match="folds must be at most the 10 groups, got 11"):
        judges.cross_fitted(ids, fit, groups=groups, **settings | {"folds": 11})


@pytest.mark.thorough
def test_texts_in_single_task_batches_and_every_layers_vectors(words):
    ids = data.text_tokens(words, FIRST, max_length=8)
    tasks = {
        "pairs": {"query": ids, "document": ids[::-1], "score": SAME},
        "texts": {"text": ids[:10]},
    }
    batches = sentences.single_task_batches(
        tasks, batch={"pairs": 12, "texts": 5}, steps=10, seed=0
    )
    assert [int(batch["task"][0]) for batch in batches[:5]].count(1) == 2
    for batch in batches:
        name, column = ("text", ids) if batch["task"][0] else ("document", ids[::-1])
        for row, place in enumerate(batch["ids"]):
            real = batch[name]["tokens"][row][batch[name]["where"][row]]
            np.testing.assert_array_equal(real, column[place])
        if not batch["task"][0]:
            np.testing.assert_array_equal(batch["score"], SAME[batch["ids"]])
    mixed = sentences.mixed_batches(
        {"lists": {"documents": [[row, ids[0]] for row in ids]}, "texts": {"text": ids[:10]}},
        batch={"lists": 4, "texts": 5},
        steps=3,
        seed=0,
    )
    for batch in mixed:
        documents = batch["lists"]["documents"]
        assert documents["tokens"].shape == (
            5,
            2,
            max(map(len, ids)),
        )  # filled up to the larger task
        for row, place in enumerate(batch["lists"]["ids"][:4]):
            real = documents["tokens"][row][documents["where"][row]]
            np.testing.assert_array_equal(real, np.concatenate([ids[place], ids[0]]))
        assert batch["texts"]["text"]["tokens"].shape[0] == 5
    sizes = dataclasses.replace(SIZES, length=16)
    module = sentences.network(sizes, norm="post")
    params = sentences.fits.initial(module, 0, data.padded(ids[:1], 8))
    layers = sentences.layer_vectors(module, params, ids)
    assert layers.shape == (2, len(ids), 16)
    np.testing.assert_allclose(layers[-1], sentences.vectors(module, params, ids), atol=1e-6)
