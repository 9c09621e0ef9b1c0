"""k-means comes to a fixed point that scikit-learn does not better; NMI is scikit-learn's."""

import jax
import numpy as np
import pytest

from jaxsim import data, evaluation

RANDOM = np.random.default_rng(0)


def test_nmi_is_that_of_scikit_learn():
    from sklearn.metrics import normalized_mutual_info_score

    labels, clusters = RANDOM.integers(3, 8, 200), RANDOM.integers(0, 11, 200) * 5
    clusters[:80] = labels[:80]
    expected = normalized_mutual_info_score(labels, clusters)
    np.testing.assert_allclose(evaluation.nmi(labels, clusters), expected, rtol=1e-12)
    assert evaluation.nmi(labels, -labels) == pytest.approx(1)
    assert evaluation.nmi(labels, 0 * labels) == 0
    assert evaluation.nmi(0 * labels, 0 * labels) == 1


def test_v_measure_and_ari_are_those_of_scikit_learn():
    from sklearn.metrics import adjusted_rand_score, v_measure_score

    labels = RANDOM.integers(3, 8, 200)
    for clusters in (RANDOM.integers(0, 11, 200), labels % 3, 0 * labels, labels, np.arange(200)):
        for first, second in ((labels, clusters), (clusters, labels), (clusters, clusters)):
            expected = adjusted_rand_score(first, second)
            found = evaluation.adjusted_rand_index(first, second)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
            expected = v_measure_score(first, second)
            np.testing.assert_allclose(evaluation.v_measure(first, second), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("labels", "clusters", "expected"),
    [
        ((0, 0, 1, 1), (0, 0, 1, 2), 0.5714285714285714),
        ((0, 0, 1, 1), (0, 1, 0, 1), -0.5),
        ((0, 1, 2, 1), (5, 3, 4, 3), 1),
        ((0, 0, 0, 0), (0, 1, 2, 3), 0),
        ((0, 0, 1, 1), (0, 0, 0, 0), 0),
        ((0,), (3,), 1),
    ],
)
def test_ari_by_hand(labels, clusters, expected):
    assert evaluation.adjusted_rand_index(labels, clusters) == pytest.approx(expected, rel=1e-15)


def test_k_means_of_digits_is_as_good_as_scikit_learns():
    from sklearn.cluster import KMeans

    x = data.digits().images.reshape(-1, 64)
    result = evaluation.kmeans(x, 10, key=jax.random.key(0))
    peer = KMeans(10, n_init=3, random_state=0).fit(x)
    np.testing.assert_allclose(result.inertia, peer.inertia_, rtol=0.01)
    # A fixed point: every row is with its nearest center, every center is the mean of its rows.
    centers = np.stack([x[result.labels == c].mean(axis=0) for c in range(10)])
    np.testing.assert_allclose(result.centers, centers, atol=1e-4)
    distances = ((x[:, None] - centers) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == result.labels).mean() > 0.999


def test_clusters_that_are_apart_are_found_and_names_do_not_matter():
    labels = RANDOM.integers(0, 6, 120)
    x = np.eye(6)[labels] + 0.01 * RANDOM.normal(size=(120, 6))
    assert evaluation.class_nmi(x, labels, key=jax.random.key(0)) == 1


def test_fewer_distinct_rows_than_clusters():
    result = evaluation.kmeans(np.ones((7, 2)), 3, key=jax.random.key(0))
    assert result.inertia == 0
    assert np.isfinite(result.centers).all()
    with pytest.raises(ValueError, match="k must be at most 7, the number of rows, got 8"):
        evaluation.kmeans(np.ones((7, 2)), 8, key=jax.random.key(0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e20])
def test_a_row_without_a_place_is_refused(bad):
    x = np.ones((7, 2), np.float32)
    x[4, 1] = bad
    message = (
        "embeddings must (be finite: row 4 is not|have squares that fit float32: row 4 has 1e)"
    )
    with pytest.raises(ValueError, match=message):
        evaluation.kmeans(x, 2, key=jax.random.key(0))
    if bad != 1e20:  # class_nmi takes directions
        with pytest.raises(ValueError, match="embeddings must be finite: row 4 is not"):
            evaluation.class_nmi(x, [0, 0, 0, 1, 1, 1, 1], key=jax.random.key(0))


def test_labels_of_nmi_may_be_strings_or_hashes_and_never_nan():
    labels = np.array([0, 0, 1, 1, 2])
    assert evaluation.nmi(labels, np.array(list("aabbc"))) == pytest.approx(1)
    assert evaluation.nmi(labels, labels * 2**40) == pytest.approx(1)
    with pytest.raises(ValueError, match="clusters must be numbers or strings, got NaN"):
        evaluation.nmi(labels, np.array([0.0, 0, 1, 1, np.nan]))
    with pytest.raises(ValueError, match=r"key must be a key, such as jax.random.key\(0\), got 0"):
        evaluation.kmeans(np.ones((7, 2)), 2, key=0)


def test_inside_a_compiled_function_a_nan_row_makes_the_inertia_nan():
    x = np.random.default_rng(1).normal(size=(7, 2)).astype(np.float32)
    x[4, 1] = np.nan
    result = jax.jit(lambda x, key: evaluation.kmeans(x, 2, key=key, restarts=2, steps=3))(
        x, jax.random.key(0)
    )
    assert np.isnan(result.inertia)
