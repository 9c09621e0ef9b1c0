"""Exact search against NumPy, in every blocking, with ties and filters."""

import numpy as np
import pytest

from jaxsim import search, similarity

RNG = np.random.default_rng(0)
QUERIES = RNG.integers(-2, 3, size=(11, 3)).astype(np.float32)  # ties everywhere
ITEMS = RNG.integers(-2, 3, size=(50, 3)).astype(np.float32)


def reference(scores, k):
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


@pytest.mark.parametrize("block", [None, 1, 7, 50])
@pytest.mark.parametrize("query_block", [1, 4, 256])
def test_dot_with_ties_to_the_lowest_id(block, query_block):
    found = search.exact(QUERIES, ITEMS, k=9, block=block, query_block=query_block)
    for mine, expected in zip(found, reference(QUERIES @ ITEMS.T, 9), strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_any_similarity():
    scores, ids = search.exact(
        QUERIES, ITEMS, k=5, similarity=similarity.negative_squared_euclidean, block=8
    )
    distances = ((QUERIES[:, None] - ITEMS) ** 2).sum(axis=-1)
    np.testing.assert_allclose(scores, reference(-distances, 5)[0], atol=1e-5)
    np.testing.assert_allclose(
        np.take_along_axis(distances, np.asarray(ids), axis=1), -np.asarray(scores), atol=1e-5
    )


def test_filtered_items_are_not_found():
    where = np.arange(50) < 4
    scores, ids = search.exact(QUERIES, ITEMS, k=6, where=where, block=16)
    np.testing.assert_array_equal(ids[:, :4], reference(QUERIES @ ITEMS[:4].T, 4)[1])
    assert (np.asarray(ids[:, 4:]) == -1).all()
    assert np.isneginf(scores[:, 4:]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: search.exact(QUERIES, ITEMS, k=51), "k must be at most 50, the number of items"),
        (lambda: search.exact(QUERIES, ITEMS[:0], k=1), "items must not be empty, got 0 rows"),
        (lambda: search.exact(QUERIES, ITEMS, k=1, where=[True]), r"where must be \[50\]"),
        (lambda: search.exact(QUERIES, ITEMS[:, :2], k=1), r"x and y must be"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
