"""Every check of the method's specification: the combiner's gate, its loss, ties, crops, and mined triplets."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import genecis
from jaxsim import data, encoders, evaluation, losses

needs_data = pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="needs JAXSIM_DATA")
MODULE = encoders.Combiner(projection=6, hidden=5)
RNG = np.random.default_rng(0)
IMAGES, TEXTS = RNG.normal(size=(2, 4, 3)).astype(np.float32)
PARAMS = MODULE.init(jax.random.key(0), IMAGES, TEXTS)
combine = jax.jit(MODULE.apply)


def with_layers(**changed):
    """Parameters in which some layers' kernels are times a number, and their biases another."""
    layers = dict(PARAMS["params"])
    for name, (scale, bias) in changed.items():
        kernel = layers[name]["kernel"]
        layers[name] = {"kernel": kernel * scale, "bias": jnp.full_like(layers[name]["bias"], bias)}
    return {"params": layers}


def test_without_what_is_learned_it_is_the_mean():
    silent = with_layers(out=(0, 0), gate_out=(0, 0))
    found = encoders.Combiner(projection=6, hidden=5).apply(
        with_layers(out=(0, 0), gate_out=(0, 0)), IMAGES, TEXTS
    )
    mean = (IMAGES + TEXTS) / 2
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-6)
    by_hand = combine(silent, np.eye(3, dtype=np.float32)[:1], np.eye(3, dtype=np.float32)[1:2])
    np.testing.assert_allclose(by_hand, [[0.5**0.5, 0.5**0.5, 0]], atol=1e-6)


@pytest.mark.parametrize(("bias", "side"), [(40.0, TEXTS), (-40.0, IMAGES)])
def test_the_gate_multiplies_the_text(bias, side):
    found = combine(with_layers(out=(0, 0), gate_out=(0, bias)), IMAGES, TEXTS)
    np.testing.assert_allclose(found, side / np.linalg.norm(side, axis=1, keepdims=True), atol=1e-6)


def test_the_whole_combiner_beside_numpy():
    layers = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), PARAMS["params"])

    def dense(name, x):
        return x @ layers[name]["kernel"] + layers[name]["bias"]

    def relu(x):
        return np.maximum(x, 0)

    v, t = IMAGES.astype(np.float64), TEXTS.astype(np.float64)
    z = np.concatenate([relu(dense("text", t)), relu(dense("image", v))], axis=1)
    a = 1 / (1 + np.exp(-dense("gate_out", relu(dense("gate", z)))))
    out = dense("out", relu(dense("both", z))) + a * t + (1 - a) * v
    expected = out / np.linalg.norm(out, axis=1, keepdims=True)
    np.testing.assert_allclose(combine(PARAMS, IMAGES, TEXTS), expected, atol=1e-6)
    scaled = combine(PARAMS, 3 * IMAGES, TEXTS)
    assert np.abs(scaled - expected).max() > 1e-3
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), 1, atol=1e-6)


@pytest.mark.thorough
def test_the_loss_at_its_ends(float64):
    same = np.ones((4, 3))
    np.testing.assert_allclose(losses.info_nce(same, same, temperature=0.01), np.log(4), rtol=1e-12)
    right = losses.info_nce(np.eye(2), np.eye(2), temperature=0.01)
    np.testing.assert_allclose(right, np.exp(-100), atol=1e-15)
    targets = RNG.normal(size=(4, 3))
    value = losses.info_nce(IMAGES, targets, temperature=0.01)
    scales = np.array([[0.1], [1], [7], [100]])
    np.testing.assert_allclose(
        losses.info_nce(IMAGES, scales * targets, temperature=0.01), value, rtol=1e-10
    )


def test_a_collapsed_gallery_is_a_miss():
    target = np.eye(1, 15, dtype=bool)
    scores = np.zeros((1, 15))
    assert evaluation.score_recall(scores, target, 1, ties="pessimistic") == 0
    np.testing.assert_allclose(evaluation.score_recall(scores, target, 1, ties="expected"), 1 / 15)


def test_random_features_are_at_chance():
    figures = genecis.recalls(RNG.normal(size=(3000, 15)), [str(n) for n in range(3000)])
    found = [figures[f"R@{k}"].values.mean() for k in (1, 2, 3)]
    np.testing.assert_allclose(found, [1 / 15, 2 / 15, 3 / 15], atol=0.03)


def test_crops_by_hand():
    assert data.vg_crop([100, 50, 40, 20], (640, 480)) == (72, 36, 140, 70)
    assert data.vg_crop([10, 5, 40, 20], (640, 480)) == (0, 0, 68, 34)
    with pytest.raises(ValueError, match="box must have a width"):
        data.vg_crop([1, 1, 0, 2], (9, 9))
    with pytest.raises(ValueError, match="dilation must be at least 0"):
        data.vg_crop([1, 1, 2, 2], (9, 9), dilation=-1.0)


def test_mined_triplets_share_what_they_should():
    subjects, objects = RNG.integers(0, 6, (2, 200))
    images = RNG.integers(0, 80, 200)
    found = data.condition_triplets(subjects, objects, images, count=300, seed=0)
    assert len(found.references) > 290
    reference, target, other = found
    assert (subjects[target] == subjects[reference]).all()
    assert (objects[target] != objects[reference]).all()
    assert (images[target] != images[reference]).all()
    assert (objects[other] == objects[target]).all()
    again = data.condition_triplets(subjects, objects, images, count=300, seed=0)
    np.testing.assert_array_equal(np.stack(again), np.stack(found))
    drawn = np.bincount(subjects[reference], minlength=6) / len(reference)
    counts = np.array([len(np.unique(images[subjects == one])) for one in range(6)])
    np.testing.assert_allclose(drawn, counts / counts.sum(), atol=0.08)


def test_triplets_that_cannot_be_mined_are_named():
    with pytest.raises(ValueError, match="subjects must have 5 images and 2 objects"):
        data.condition_triplets([0, 0], [1, 2], [0, 1], count=3, seed=0)
    with pytest.raises(ValueError, match="objects must be"):
        data.condition_triplets([0, 0], [1], [0, 1], count=3, seed=0)


def test_galleries_have_both_kinds_of_distractors():
    config = genecis.PRESETS["smoke"]
    train, test = genecis.split(config)
    assert not set(train.images) & set(test.images)
    queries = genecis.galleries(config, test)
    row = {caption: n for n, caption in enumerate(test.captions)}
    for reference, gallery in zip(queries.references, queries.galleries, strict=True):
        subject = test.subjects[row[reference]]
        target, *others = [row[caption] for caption in gallery]
        same = test.subjects[others] == subject
        wanted = test.objects[others] == test.objects[target]
        assert test.subjects[target] == subject
        assert (same ^ wanted).all()
        assert same.sum() == wanted.sum() == config.distractors


@needs_data
def test_templates_of_the_benchmark():
    for task, images, words in (("change_object", 2739, 109), ("focus_object", 2198, 97)):
        rows = data.genecis(task)
        assert len(rows) == 1960
        assert {len(row.gallery) for row in rows} == {14}
        seen = {one for row in rows for one in (row.reference, row.target, *row.gallery)}
        assert (len(seen), len({row.condition for row in rows})) == (images, words)
