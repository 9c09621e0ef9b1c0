"""Anchor items: distinct, reproducible, and QR takes the farthest first."""

import jax
import numpy as np
import pytest
from tiers import parameters

from jaxsim import search

SCORES = np.random.default_rng(0).normal(size=(6, 40))


def test_uniform_is_sorted_distinct_and_decided_by_its_key():
    first = search.anchors.uniform(jax.random.key(0), 40, 10)
    np.testing.assert_array_equal(first, search.anchors.uniform(jax.random.key(0), 40, 10))
    assert (np.diff(first) > 0).all()
    assert (first != search.anchors.uniform(jax.random.key(1), 40, 10)).any()


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
    assert search.anchors.pivoted_qr(SCORES, 6, center=None).tolist() == greedy(SCORES, 6)
    centered = SCORES - SCORES.mean()
    assert search.anchors.pivoted_qr(SCORES, 6).tolist() == greedy(centered, 6)


def test_pivoted_qr_goes_on_beyond_the_rank():
    chosen = search.anchors.pivoted_qr(SCORES, 40)
    assert sorted(chosen) == list(range(40))


WAYS = {
    "leverage": lambda scores, k: search.anchors.leverage(jax.random.key(0), scores, k),
    "deim": search.anchors.deim,
    "kmeans": lambda scores, k: search.anchors.kmeans_items(jax.random.key(0), scores, k),
}


@pytest.mark.thorough
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("k", parameters([1, 5, 17, 40], quick=[5, 40]))
def test_every_way_gives_distinct_items(way, k):
    chosen = WAYS[way](SCORES, k)
    assert chosen.dtype == np.int32
    assert len(set(chosen.tolist())) == k
    assert chosen.min() >= 0
    assert chosen.max() < 40


def test_deim_interpolates_one_singular_vector_after_another():
    _, _, right = np.linalg.svd(SCORES, full_matrices=False)
    chosen = []
    for j in range(5):  # the residual of the next vector, zero at what was chosen
        basis = right[:j].T
        rest = right[j] - basis @ np.linalg.pinv(basis[chosen]) @ right[j][chosen]
        chosen.append(int(np.abs(rest).argmax()))
    assert search.anchors.deim(SCORES, 5, center=None).tolist() == chosen


def test_leverage_draws_what_the_leading_vectors_stand_on():
    scores = 0.01 * SCORES
    scores[:, [3, 17, 29]] += 5 * np.random.default_rng(1).normal(size=(6, 3))
    for seed in range(5):
        chosen = search.anchors.leverage(jax.random.key(seed), scores, 3, rank=3, center=None)
        assert chosen.tolist() == [3, 17, 29]


@pytest.mark.thorough
def test_clusters_are_each_represented():
    middle = 10 * np.random.default_rng(1).normal(size=(6, 4))
    scores = np.repeat(middle, 10, axis=1) + 0.1 * SCORES
    chosen = search.anchors.kmeans_items(jax.random.key(2), scores, 12, center=None)
    assert set((chosen // 10).tolist()) == {0, 1, 2, 3}


@pytest.mark.thorough
def test_too_many_are_refused():
    with pytest.raises(ValueError, match="k must be at most 40, the number of items, got 41"):
        search.anchors.pivoted_qr(SCORES, 41)
    with pytest.raises(ValueError, match="k must be at most 40"):
        search.anchors.uniform(jax.random.key(0), 40, 41)
    with pytest.raises(ValueError, match="key must be a key"):
        search.anchors.uniform(0, 40, 3)
    # Scores that are all equal say nothing: any items will do.
    equal = np.ones((5, 9))
    for chosen in (
        search.anchors.pivoted_qr(equal, 4),
        search.anchors.deim(equal, 4),
        search.anchors.leverage(jax.random.key(0), equal, 4),
        search.anchors.kmeans_items(jax.random.key(0), equal, 4),
    ):
        assert len(set(chosen.tolist())) == 4
