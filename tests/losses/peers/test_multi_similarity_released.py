"""Where the authors' multi-similarity loss takes the anchor out by its value, and what that changes.

Their code drops every positive whose cosine is 1 - 1e-5 or more, the anchor among them, and divides by all
rows. pytorch-metric-learning goes by places, as we do: test_metric_learning_pairs.py.
"""

import jax
import numpy as np
import pytest

from jaxsim import losses

LABELS = np.array([0, 1, 2, 0, 2, 1, 0, 1, 2])
COMPILED = jax.jit(losses.multi_similarity)


def released(x, labels, alpha=2.0, beta=50.0, base=0.5, margin=0.1):
    """Loops over the anchors; a positive counts by its value, not by its place."""
    total = 0.0
    for i in range(len(x)):
        scores = x @ x[i]
        own = scores[(labels == labels[i]) & (scores < 1 - 1e-5)]
        other = scores[labels != labels[i]]
        near, far = other[other + margin > own.min()], own[own - margin < other.max()]
        if near.size and far.size:
            total += np.log1p(np.exp(-alpha * (far - base)).sum()) / alpha
            total += np.log1p(np.exp(beta * (near - base)).sum()) / beta
    return total / len(x)


def unit_rows(seed=0):
    x = np.random.default_rng(seed).normal(size=(9, 4))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_they_agree_on_rows_that_differ(float64):
    x = unit_rows()
    np.testing.assert_allclose(COMPILED(x, LABELS), released(x, LABELS), rtol=1e-12)


def test_they_differ_on_copies(float64):
    """A copy of its own class is a positive here, and none there, once a negative is as near."""
    x = unit_rows()
    x[[6, 1]] = x[0]
    assert abs(COMPILED(x, LABELS) - released(x, LABELS)) > 1e-3


def test_they_differ_on_rows_that_are_not_of_norm_one(float64):
    """There the anchor is its own positive as soon as its row is shorter; here rows are scaled."""
    x = 0.9 * unit_rows()
    assert abs(COMPILED(x, LABELS) - released(x, LABELS)) > 1e-3


def test_an_anchor_without_a_positive_is_an_error_there(float64):
    x, labels = unit_rows(), np.array([0, 1, 2, 0, 2, 1, 0, 1, 3])
    with pytest.raises(ValueError, match="zero-size"):
        released(x, labels)
    assert np.isfinite(COMPILED(x, labels))
