"""Score normalization and stretching, against their equations in float64."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import search

RNG = np.random.default_rng(0)
SCORES, BACKGROUND = np.float32(RNG.normal(size=(3, 4))), np.float32(RNG.normal(size=(3, 9)))


def test_what_is_nearest_in_the_background_is_subtracted():
    nearest = -np.sort(-BACKGROUND.astype(float), axis=1)[:, :2]
    expected = SCORES - 1.5 * nearest.mean(axis=1, keepdims=True)
    value = search.score_normalize(SCORES, BACKGROUND, k=2, factor=1.5)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    alone = search.score_normalize(SCORES, BACKGROUND, k=2, factor=1.5, reduce=jnp.min)
    np.testing.assert_allclose(alone, SCORES - 1.5 * nearest[:, 1:], rtol=1e-5, atol=1e-6)


def test_factor_zero_is_the_identity_and_a_constant_shifts_its_row():
    same = search.score_normalize(SCORES, BACKGROUND, k=2, factor=0.0)
    np.testing.assert_array_equal(same, SCORES)
    raised = BACKGROUND + np.float32([[1], [0], [0]])
    moved = search.score_normalize(SCORES, raised, k=3) - search.score_normalize(
        SCORES, BACKGROUND, k=3
    )
    np.testing.assert_allclose(moved, [[-2] * 4, [0] * 4, [0] * 4], atol=1e-6)


def test_stretched_queries_give_the_normalized_order_by_distance():
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in RNG.normal(size=(3, 6, 5))]
    queries, references, background = unit
    stretched = np.asarray(search.stretch(queries, background, k=2, factor=2.5), float)
    size = 2.5 * -np.sort(-(queries @ background.T), axis=1)[:, :2].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(stretched, size * queries, rtol=1e-5, atol=1e-6)
    distances = ((stretched[:, None] - references[None]) ** 2).sum(axis=-1)
    expected = 2 * size * (queries @ references.T) - size**2 - 1
    np.testing.assert_allclose(-distances, expected, rtol=1e-4, atol=1e-5)


def test_too_small_a_background_is_named():
    with pytest.raises(ValueError, match="k must be"):
        search.score_normalize(SCORES, BACKGROUND, k=10)
    with pytest.raises(ValueError, match="background must"):
        search.stretch(np.ones((2, 3)), np.ones((2, 4)))
