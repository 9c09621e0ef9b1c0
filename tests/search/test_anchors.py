"""Anchor items: distinct, reproducible, and QR takes the farthest first."""

import jax
import numpy as np
import pytest

from jaxsim import search

SCORES = np.random.default_rng(0).normal(size=(6, 40))


def test_uniform_is_sorted_distinct_and_decided_by_its_key():
    first = search.uniform(jax.random.key(0), 40, 10)
    np.testing.assert_array_equal(first, search.uniform(jax.random.key(0), 40, 10))
    assert (np.diff(first) > 0).all()
    assert (first != search.uniform(jax.random.key(1), 40, 10)).any()


def greedy(scores, k):
    """Pivoted QR by its definition: the column with the largest residual, then projected out."""
    residual, chosen = scores.copy(), []
    for _ in range(k):
        best = int(np.argmax((residual**2).sum(axis=0)))
        chosen.append(best)
        direction = residual[:, best] / np.linalg.norm(residual[:, best])
        residual -= np.outer(direction, direction @ residual)
    return chosen


def test_pivoted_qr_takes_the_largest_residual_each_time():
    assert search.pivoted_qr(SCORES, 6, center=None).tolist() == greedy(SCORES, 6)
    centred = SCORES - SCORES.mean()
    assert search.pivoted_qr(SCORES, 6).tolist() == greedy(centred, 6)


def test_pivoted_qr_goes_on_beyond_the_rank():
    chosen = search.pivoted_qr(SCORES, 40)
    assert sorted(chosen) == list(range(40))


def test_too_many_are_refused():
    with pytest.raises(ValueError, match="k must be at most 40, the number of items, got 41"):
        search.pivoted_qr(SCORES, 41)
    with pytest.raises(ValueError, match="k must be at most 40"):
        search.uniform(jax.random.key(0), 40, 41)
