"""Image and text matching as an experiment: galleries, readers, what each arm's pairs rank, drawn negatives."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments import image_text_matching as matching

SMALL = matching.PRESETS["smoke"]
CAPTIONS = [["a red cat", "cat"], ["a blue cat", "cat"], ["the red dog"]]


def test_equal_captions_are_one_that_belongs_to_several():
    found = matching.gallery(matching.World(np.zeros((3, 2), np.float32), CAPTIONS))
    assert found.captions == ["a blue cat", "a red cat", "cat", "the red dog"]
    np.testing.assert_array_equal(found.relevant, [[0, 1, 1, 0], [1, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.thorough
def test_readers_know_what_comes_twice_in_training():
    texts = [["a red cat", "a red dog", "red"], ["the red cat"], ["blue"]]
    words = matching.read(SMALL, "words", texts)
    assert words.ids == 2  # a and red
    np.testing.assert_array_equal(words.validation["where"].sum(axis=1), [1])
    np.testing.assert_array_equal(words.test["where"].sum(axis=1), [0])
    grams = matching.read(SMALL, "ngrams", texts)
    assert grams.ids == 3  # and the two in a row
    assert matching.read(SMALL, "bigrams", texts).ids == 3
    sequence = matching.read(SMALL, "sequence", texts)
    np.testing.assert_array_equal(sequence.train["where"].sum(axis=1), [2, 2, 1])


@pytest.mark.parametrize("arm", ["both", "sentences", "images", "both_twice"])
def test_arms_have_as_many_comparisons_but_for_both_twice(arm):
    weights = matching.weights_of(arm, 8)
    sums = weights["annotation"].sum(), weights["search"].sum()
    expected = {"both": (4, 4), "sentences": (8, 0), "images": (0, 8), "both_twice": (8, 8)}
    assert sums == expected[arm]
    if arm == "both":
        np.testing.assert_array_equal(weights["annotation"] + weights["search"], 1)


def shared_of(captions):
    """Ten things of two captions each."""
    features = np.random.default_rng(0).normal(size=(len(captions), 4)).astype(np.float32)
    part = matching.World(features, captions)
    found = matching.gallery(part)
    pairs = np.stack(np.nonzero(found.relevant), axis=1)
    texts = matching.read(SMALL, "words", [found.captions] * 3)
    return matching.Shared(part, pairs, {"test": found}, {"words": texts}, {})


THINGS = [[f"a thing {'abcdefghij'[n]}", f"thing {'abcdefghij'[n // 2]}"] for n in range(10)]


def test_no_image_and_no_text_comes_twice_in_a_batch():
    shared = shared_of(THINGS)
    config = dataclasses.replace(SMALL, batch=6, steps=5)
    for batch in matching.batches_of(config, "both", shared, "words"):
        things, texts = shared.pairs[batch["ids"][batch["where"]]].T
        assert len(set(things)) == len(set(texts)) == len(things)
        np.testing.assert_array_equal(batch["image"][batch["where"]], shared.train.features[things])


@pytest.mark.thorough
def test_objectives_are_their_sums():
    shared = shared_of(THINGS)
    config = dataclasses.replace(SMALL, batch=6, drawn=5, steps=5, dim=3, hidden=4)
    module = matching.towers(config, "words", shared.texts["words"].ids)
    for arm in ("both", "drawn", "hardest"):
        batch = matching.batches_of(config, arm, shared, "words")[0]
        params = matching.fits.initial(module, 0, batch["image"], batch["text"])
        u, t = (np.asarray(side) for side in module.apply(params, batch["image"], batch["text"]))
        objective = matching.objective_of(module, matching.kind_of(arm), "dot", 1.0, 2)
        steps = {"step": 3} if arm == "hardest" else {}
        found = objective(params, batch, key=jax.random.key(0), axis_name=None, **steps)
        scores, own = u @ t.T, np.sum(u * t, axis=1)
        real = batch["where"]
        costs = [np.maximum(1 + side - own[:, None], 0) for side in (scores, scores.T)]
        for side in costs:
            np.fill_diagonal(side, 0)
            side[:, ~real] = 0
        if arm == "both":
            weights = (batch["annotation"] * real, batch["search"] * real)
            expected = sum(w @ side.sum(axis=1) for w, side in zip(weights, costs, strict=True))
        elif arm == "hardest":
            expected = sum(side.max(axis=1)[real].sum() for side in costs)
        else:
            expected = 0.0
            for row in np.flatnonzero(real):
                texts = jax.tree.map(lambda a, row=row: a[row], batch["texts"])
                others = module.apply(params, batch["images"][row], texts)
                for query, wrong in ((u, others[1]), (t, others[0])):
                    one = np.maximum(1 + np.asarray(wrong) @ query[row] - own[row], 0)
                    expected += one[batch["wrong"][row]].sum()
        np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.thorough
def test_drawn_negatives_are_of_other_images_and_texts():
    shared = shared_of(THINGS)
    config = dataclasses.replace(SMALL, batch=6, drawn=20, steps=2)
    batch = matching.batches_of(config, "drawn", shared, "words")[1]
    own = shared.train.features[shared.pairs[batch["ids"], 0]]
    same = (batch["images"] == own[:, None]).all(axis=-1)
    assert not (same & batch["wrong"])[batch["where"]].any()
    assert batch["wrong"].mean() > 0.5


def test_settings_that_do_not_fit():
    with pytest.raises(ValueError, match="images must be perceptron where captions stand for them"):
        dataclasses.replace(SMALL, data="captions", images="network")


def test_an_emoji_in_a_skin_tone_is_left_out():
    assert matching.plain("waving hand")
    assert not matching.plain("waving hand: dark skin tone")
