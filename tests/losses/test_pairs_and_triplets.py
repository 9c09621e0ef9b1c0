"""What the table of losses does not ask of pairs.py, relative.py and triplets.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loops import distances, sides

from jaxsim import losses
from jaxsim.losses._lift._over_triplets import swapped_slopes

X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
EVERY = np.ones(9, bool)


def test_margin_takes_a_boundary_for_each_class_and_learns_it():
    beta = np.float32([1.0, 1.2, 1.4])
    value, slope = jax.jit(jax.value_and_grad(lambda b: losses.margin(X, LABELS, beta=b)))(beta)
    d, terms, slopes = distances(np.float64(X), False), [], np.zeros(3)
    for i, positives, negatives in sides(LABELS, EVERY):
        b = float(beta[LABELS[i]])
        for p in positives:
            for n in negatives:
                terms += [max(d[i, p] - b + 0.2, 0), max(b - d[i, n] + 0.2, 0)]
                slopes[LABELS[i]] += float(terms[-1] > 0) - float(terms[-2] > 0)
    count = np.sum(np.array(terms) > 0)
    np.testing.assert_allclose(value, np.sum(terms) / count, rtol=1e-5)
    np.testing.assert_allclose(slope, slopes / count, rtol=1e-5)


def test_a_label_without_a_boundary_is_not_given_another_classs():
    assert np.isnan(jax.jit(losses.margin)(X, LABELS, beta=np.float32([1.0, 1.2])))


def test_n_pairs_takes_the_first_two_rows_that_are_not_padding():
    where = np.array([0, 1, 1, 1, 0, 1, 1, 1, 1], bool)
    value = jax.jit(losses.n_pairs)(X, LABELS, where=where)
    a, b = np.float64(X[[1, 3, 6]]), np.float64(X[[2, 5, 7]])
    scores = a @ b.T
    expected = np.mean(np.logaddexp.reduce(scores, axis=1) - np.diag(scores))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_a_queue_serves_all_anchors_of_the_walk():
    """References that are not the batch: a rectangle of scores, rows with 0 to 3 positives."""
    queue = np.random.default_rng(1).normal(size=(7, 4)).astype(np.float32)
    theirs = np.array([0, 0, 0, 1, 5, 5, 5])
    call = jax.jit(functools.partial(losses.triplet_mean, margin=0.3))
    value = call(X, LABELS, references=queue, reference_labels=theirs)
    everyone = np.float64([*X, *queue])
    d, costs = distances(everyone, False)[:9, 9:], []
    for i in range(9):
        near = [d[i, j] for j in range(7) if theirs[j] == LABELS[i]]
        far = [d[i, j] for j in range(7) if theirs[j] != LABELS[i]]
        costs += [max(p - n + 0.3, 0) for p in near for n in far]
    np.testing.assert_allclose(value, np.mean(costs), rtol=1e-5)


def test_a_learned_margin_has_a_slope():
    call = jax.jit(jax.value_and_grad(lambda m: losses.smooth_triplet(X, LABELS, margin=m)))
    ends = [float(call(0.1 + h)[0]) for h in (1e-2, -1e-2)]
    np.testing.assert_allclose(call(0.1)[1], (ends[0] - ends[1]) / 2e-2, rtol=1e-3)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["triplet", "smooth_triplet", "swapped_triplet"])
def test_triplets_are_never_held(name):
    def temporaries(batch):
        x = jax.ShapeDtypeStruct((batch, 8), jnp.float32)
        labels = jax.ShapeDtypeStruct((batch,), jnp.int32)
        call = jax.jit(jax.grad(functools.partial(getattr(losses, name), block=64)))
        return call.lower(x, labels).compile().memory_analysis().temp_size_in_bytes

    # 64 anchors and 1,024 references: 64 * 1024^2 triplets would be 256 MiB.
    assert temporaries(1024) < 20 * 64 * 1024 * 4


@pytest.mark.thorough
@pytest.mark.parametrize(
    "loss",
    [
        losses.contrastive,
        losses.cosine_contrastive,
        losses.margin,
        losses.ranked_list,
        losses.triplet,
        losses.semi_hard_triplet,
        losses.batch_hard_triplet,
    ],
)
def test_a_score_that_is_not_a_number_shows(loss):
    """A hinge must not take NaN for satisfied: the loss of a diverged model would be 0."""
    own = {"margin": 0.4, "negative_sharpness": 3.0} if loss is losses.ranked_list else {}
    where = ~np.eye(9, dtype=bool)
    parts = loss.rule(jnp.full((9, 9), jnp.nan), where & (LABELS[:, None] == LABELS), where, **own)
    values, weights = parts[0] if isinstance(parts, list) else parts
    assert np.isnan(values).all()
    assert (weights > 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.multi_similarity(X, LABELS, alpha=0.0), "alpha must be > 0, got 0.0"),
        (lambda: losses.circle(X, LABELS, gamma=-1.0), "gamma must be > 0, got -1.0"),
        (lambda: losses.tuplet_margin(X, LABELS, temperature=0.0), "temperature must be > 0"),
        (lambda: losses.cosine_lifted_structure(X, LABELS, beta=0.0), "beta must be > 0"),
        (lambda: losses.n_pairs(X, LABELS * 1.0), "labels must be integers, got float"),
        (lambda: losses.n_pairs(X, LABELS, where=[True]), r"where must be \[9\]"),
        (lambda: losses.swapped_triplet(X, LABELS[:8]), r"labels must be \[9\], one per row of"),
        (lambda: losses.swapped_triplet(X[0], LABELS), r"embeddings must be \[any, any\]"),
        (lambda: losses.swapped_triplet(X, LABELS, where=EVERY * 1.0), "where must be boolean"),
        (lambda: losses.swapped_triplet(X, LABELS, axis_name="devices"), "'devices' is not bound"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_swapped_triplets_of_a_tie_do_not_hang_on_a_rounding():
    """All rows equally far: a negative is as far from the anchor as from the positive, but for rounding."""
    labels, scores = np.array([0, 0, 1, 1]), np.float32(np.full((4, 4), -np.sqrt(2)))
    positives = jnp.asarray((labels[:, None] == labels) & ~np.eye(4, dtype=bool))
    negatives, eps = jnp.asarray(labels[:, None] != labels), np.finfo(np.float32).eps

    @jax.jit
    def slopes_and_count(theirs):
        return swapped_slopes(scores, positives, negatives, 0.5, lambda columns: theirs[columns])

    for seed in range(5):
        ulps = np.random.default_rng(seed).integers(-1, 2, size=(4, 4))
        slopes, active = slopes_and_count(scores * np.float32(1 + eps * ulps))
        np.testing.assert_array_equal(active, 2)
        np.testing.assert_array_equal(slopes, np.where(negatives, 1, -2.0 * positives))
