"""Every check of the method: the ranking hinge in both directions, n-grams, ranks in both directions."""

import functools

import jax
import numpy as np
import pytest

from jaxsim import data, evaluation, losses
from jaxsim.numerics import total

SCORES = np.array([[1.0, 0.5], [0.9, 0.8]])  # rows images, columns sentences


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def of_matrix(loss, scores, margin, **own):
    """The loss of a given score matrix: queries and documents with S = U T^T."""

    def value(scores):
        return loss(scores, np.eye(len(scores)), margin=margin, **own)

    return jax.jit(jax.value_and_grad(value))(scores)


def sentences(scores, margin=0.2):
    """Images rank sentences."""
    return of_matrix(losses.one_way_ranking_hinge, scores, margin)


def images(scores, margin=0.2):
    """Sentences rank images."""
    value, slope = sentences(scores.T, margin)
    return value, slope.T


def test_both_directions():
    np.testing.assert_allclose(sentences(SCORES)[0], 0.3, rtol=1e-12)
    np.testing.assert_allclose(images(SCORES)[0], 0.1, rtol=1e-12)
    value, slope = of_matrix(losses.ranking_hinge, SCORES, 0.2)
    np.testing.assert_allclose(value, 0.4, rtol=1e-12)
    np.testing.assert_allclose(slope, [[-1, 0], [2, -1]], atol=1e-12)


@pytest.mark.parametrize("size", [2, 5])
def test_all_scores_equal(size):
    equal, margin = np.full((size, size), 0.7), 0.2
    expected = margin * size * (size - 1)
    np.testing.assert_allclose(sentences(equal)[0], expected)
    np.testing.assert_allclose(images(equal)[0], expected)
    value, _ = of_matrix(losses.hardest_ranking_hinge, equal, margin)
    np.testing.assert_allclose(value, 2 * margin * size)


RANDOM = np.random.default_rng(0).normal(size=(6, 6))


@pytest.mark.parametrize("loss", [losses.ranking_hinge, losses.hardest_ranking_hinge])
def test_exchanging_sides_changes_nothing(loss):
    value, slope = of_matrix(loss, RANDOM, 0.2, query_weight=3.0)
    turned, their_slope = of_matrix(loss, RANDOM.T, 0.2, document_weight=3.0)
    np.testing.assert_allclose(turned, value, rtol=1e-12)
    np.testing.assert_allclose(their_slope.T, slope, atol=1e-12)


def test_shifts_and_scales():
    value, _ = of_matrix(losses.ranking_hinge, RANDOM, 0.2)
    np.testing.assert_allclose(of_matrix(losses.ranking_hinge, RANDOM + 3, 0.2)[0], value)
    np.testing.assert_allclose(of_matrix(losses.ranking_hinge, 5 * RANDOM, 1.0)[0], 5 * value)


def test_a_satisfied_margin_costs_nothing():
    apart = RANDOM + 20 * np.eye(6)
    value, slope = of_matrix(losses.ranking_hinge, apart, 0.2)
    assert value == 0
    assert not slope.any()
    # Exactly at the margin the slope is 0 too.
    value, slope = of_matrix(losses.ranking_hinge, 0.25 * np.eye(3), 0.25)
    assert value == 0
    assert not slope.any()


def test_without_a_margin_it_counts_violated_orders():
    value, _ = of_matrix(losses.ranking_hinge, RANDOM, 0.0)
    own = np.diag(RANDOM)
    rows, columns = np.maximum(RANDOM - own[:, None], 0), np.maximum(RANDOM - own, 0)
    np.testing.assert_allclose(value, rows.sum() + columns.sum(), rtol=1e-12)


def test_slopes_of_a_direction_sum_to_zero_along_it():
    np.testing.assert_allclose(sentences(RANDOM)[1].sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(images(RANDOM)[1].sum(axis=0), 0, atol=1e-12)


def test_gradients_of_embeddings():
    rng = np.random.default_rng(1)
    u, t = rng.normal(size=(2, 6, 3))
    loss = jax.jit(jax.grad(losses.ranking_hinge, argnums=(0, 1)))
    by_u, by_t = loss(u, t)
    _, slope = of_matrix(losses.ranking_hinge, u @ t.T, 1.0)
    np.testing.assert_allclose(by_u, slope @ t, rtol=1e-10)
    np.testing.assert_allclose(by_t, slope.T @ u, rtol=1e-10)


def test_a_duplicate_costs_the_margin_unless_it_is_known():
    rng = np.random.default_rng(2)
    u = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    captions = u.copy()
    u[3] = u[2] + 0.0
    captions[3] = captions[2]
    loss = jax.jit(functools.partial(losses.ranking_hinge, margin=0.3))
    np.testing.assert_allclose(loss(u, captions), 4 * 0.3, rtol=1e-12)
    ids = np.array([0, 1, 2, 2])
    assert loss(u, captions, document_ids=ids, query_ids=ids) < 1e-12


def test_sampled_negatives_are_references():
    rng = np.random.default_rng(3)
    u, t, drawn = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
    with_drawn = jax.jit(losses.one_way_ranking_hinge)(u, t, references=drawn)
    s = np.concatenate([u @ t.T, u @ drawn.T], axis=1)
    costs = np.maximum(1 + s - np.diag(s)[:, None], 0)
    costs[np.arange(4), np.arange(4)] = 0
    np.testing.assert_allclose(with_drawn, costs.sum(), rtol=1e-12)


def test_it_is_a_sum_over_devices():
    def loss(u, t, axis_name=None):
        return losses.ranking_hinge(u, t, axis_name=axis_name, reduce_fn=total)

    rng = np.random.default_rng(4)
    u, t = rng.normal(size=(2, 6, 3))
    split = jax.vmap(functools.partial(loss, axis_name="d"), axis_name="d")
    whole = jax.jit(loss)(u, t)
    np.testing.assert_allclose(
        jax.jit(split)(u.reshape(3, 2, 3), t.reshape(3, 2, 3)), whole, rtol=1e-12
    )


def test_ngrams_of_three_words():
    tokens = np.array([[7, 8, 9]])
    ids, there = data.ngram_ids(tokens, 65536, orders=(1, 2, 3))
    assert there.sum() == len(set(ids[there].tolist())) == 3 + 2 + 1
    _, there = data.ngram_ids(tokens, 65536, orders=(1, 2, 3), skip=1)
    assert there.sum() == 7


def test_ranks_of_identity_and_of_constant_scores():
    own = np.eye(4, dtype=bool)
    for ranks in evaluation.bidirectional_ranks(np.eye(4), own):
        np.testing.assert_array_equal(ranks, 1)
    for ranks in evaluation.bidirectional_ranks(np.full((4, 4), 0.3), own):
        np.testing.assert_array_equal(ranks, 4)
