"""Classes from keywords, and Hamming balls, against loops in float64."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import search, similarity

RANDOM = np.random.default_rng(0)
KEYWORDS = np.array([[1.0, 0.0], [0.6, 0.8]])
DOCUMENTS = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])


def chosen(scores, threshold, offset, smallest, largest):
    """The places that the rule takes, one class."""
    ranking = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    limit = max(scores) - offset if threshold is None else threshold
    above = [i for i in ranking if scores[i] > limit]
    taken = above if len(above) >= smallest else ranking[:smallest]
    return sorted(taken[: len(scores) if largest is None else largest])


def test_centroids_are_means_of_each_class():
    x, classes = RANDOM.normal(size=(9, 4)), np.array([2, 0, 2, 2, 0, 3, 3, 0, 2])
    centroids = jax.jit(functools.partial(search.keyword_centroids, count=4))(x, classes)
    for label in (0, 2, 3):
        np.testing.assert_allclose(centroids[label], x[classes == label].mean(axis=0), atol=1e-6)
    assert not np.asarray(centroids[1]).any(), "no keyword"
    with pytest.raises(ValueError, match="classes must be from 0 to 1"):
        search.keyword_centroids(KEYWORDS, np.array([0, 2]), 2)


def test_the_methods_own_example(float64):
    centroid = search.keyword_centroids(KEYWORDS, np.zeros(2, int), 1)
    np.testing.assert_allclose(centroid, [[0.8, 0.4]], rtol=1e-15)
    scores = similarity.cosine(centroid, DOCUMENTS)
    expected = [[0.89442719, 0.98386991, 0.4472136, -0.89442719]]
    np.testing.assert_allclose(scores, expected, atol=5e-9)
    assert search.select_candidates(scores).tolist() == [[False, True, False, False]]
    two = search.select_candidates(scores, smallest=2)
    np.testing.assert_allclose(search.label_vectors(DOCUMENTS, two), [[0.9, 0.3]], rtol=1e-15)


@pytest.mark.parametrize("threshold", [None, -0.5, 0.3, 5.0])
@pytest.mark.parametrize(("offset", "smallest", "largest"), [(0, 1, None), (0.4, 3, 5), (1, 2, 2)])
def test_candidates_are_what_the_rule_takes(threshold, offset, smallest, largest):
    scores = np.round(RANDOM.normal(size=(6, 17)), 1)  # ties
    settings = {"offset": offset, "smallest": smallest, "largest": largest}
    select = functools.partial(search.select_candidates, threshold=threshold, **settings)
    result = np.asarray(jax.jit(select)(scores))
    for row, mask in zip(np.float32(scores), result, strict=True):
        limit = None if threshold is None else np.float32(threshold)
        expected = chosen(row, limit, np.float32(offset), smallest, largest)
        assert np.flatnonzero(mask).tolist() == expected


def test_candidates_grow_with_offset_and_number_and_leave_out_what_is_masked():
    scores = RANDOM.normal(size=(3, 30))
    for name, values in (("offset", (0.0, 0.2, 1.0, 9.0)), ("smallest", (1, 4, 30))):
        sets = [np.asarray(search.select_candidates(scores, **{name: value})) for value in values]
        assert all((small <= large).all() for small, large in itertools.pairwise(sets))
        assert sets[-1].all()
    spoiled = scores.copy()
    spoiled[:, 3] = np.nan
    where = np.arange(30) != 5
    kept = np.asarray(search.select_candidates(spoiled, smallest=30, where=where))
    assert not kept[:, [3, 5]].any()
    assert kept.sum() == 3 * 28
    with pytest.raises(ValueError, match="largest must be at least smallest, 4, got 3"):
        search.select_candidates(scores, smallest=4, largest=3)


def test_classes_are_of_the_nearest_label_and_do_not_know_scale_or_rotation():
    x, scores = RANDOM.normal(size=(40, 5)), RANDOM.normal(size=(3, 40))
    labels = search.label_vectors(x, search.select_candidates(scores, smallest=6))
    found, cosines = search.classify(x, labels)
    u, v = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, np.asarray(labels)))
    np.testing.assert_allclose(cosines, u @ v.T, atol=1e-6)
    assert found.tolist() == (u @ v.T).argmax(axis=1).tolist()
    turn = np.linalg.qr(RANDOM.normal(size=(5, 5)))[0]
    for moved in (3 * x, x @ turn):
        again = search.label_vectors(moved, search.select_candidates(scores, smallest=6))
        assert search.classify(moved, again)[0].tolist() == found.tolist()
    every = search.select_candidates(scores, threshold=-np.inf)
    np.testing.assert_allclose(
        search.label_vectors(x, every), np.tile(x.mean(0), (3, 1)), atol=1e-6
    )
    assert search.classify(np.full((1, 5), np.nan), labels)[0].tolist() == [-1]


def loops_of_lof(x, k):
    """LOF from its definition."""
    distances = np.linalg.norm(x[:, None] - x[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :k]
    reach = np.take_along_axis(distances, nearest, 1)[:, -1]
    density = []
    for i, others in enumerate(nearest):
        density.append(1 / np.mean([max(reach[j], distances[i, j]) for j in others]))
    density = np.array(density)
    return density[nearest].mean(axis=1) / density


def test_outliers_are_flagged_unless_all_are_neighbors():
    near = 0.01 * np.random.default_rng(0).normal(size=(40, 3))
    x = np.concatenate([near, [[5.0, 5.0, 5.0]]])
    factors = search.local_outlier_factor(x)
    np.testing.assert_allclose(factors, loops_of_lof(x, 20), rtol=1e-6)
    assert factors[-1] > 1.5 > factors[:-1].max()
    assert search.local_outlier_factor(x, neighbors=40)[-1] < 1.5
    candidates = np.stack([np.ones(41, bool), np.arange(41) == 40])
    cleaned = search.without_outliers(x, candidates)
    assert cleaned[0].tolist() == [True] * 40 + [False]
    assert cleaned[1].tolist() == candidates[1].tolist(), "a single candidate stays"


@pytest.mark.parametrize("radius", [0, 2, 9])
def test_a_ball_is_filtered_by_code_and_ranked_by_vector(radius):
    bits, others = RANDOM.random((6, 11)) < 0.3, RANDOM.random((50, 11)) < 0.3
    x, y = RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(50, 4))
    codes = similarity.pack(bits), similarity.pack(others)
    scores, ids = search.within_radius(x, codes[0], y, codes[1], 50, radius=radius)
    u, v = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y))
    exact = u @ v.T
    for row in range(6):
        inside = [i for i in range(50) if (bits[row] != others[i]).sum() <= radius]
        ranked = sorted(inside, key=lambda i: -exact[row, i])
        assert ids[row, : len(ranked)].tolist() == ranked
        assert (ids[row, len(ranked) :] == -1).all()
        np.testing.assert_allclose(scores[row, : len(ranked)], exact[row, ranked], atol=1e-6)
    assert jnp.isneginf(scores[ids < 0]).all()
