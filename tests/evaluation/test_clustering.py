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
    assert evaluation.nmi(labels, -labels) == 1
    assert evaluation.nmi(labels, 0 * labels) == 0
    assert evaluation.nmi(0 * labels, 0 * labels) == 1


def test_k_means_of_digits_is_as_good_as_scikit_learns():
    from sklearn.cluster import KMeans

    x = data.digits().images.reshape(-1, 64)
    found = evaluation.kmeans(x, 10, key=jax.random.key(0))
    peer = KMeans(10, n_init=3, random_state=0).fit(x)
    np.testing.assert_allclose(found.inertia, peer.inertia_, rtol=0.01)
    # A fixed point: every row is with its nearest centre, every centre is the mean of its rows.
    centres = np.stack([x[found.labels == c].mean(axis=0) for c in range(10)])
    np.testing.assert_allclose(found.centres, centres, atol=1e-4)
    apart = ((x[:, None] - centres) ** 2).sum(axis=2)
    assert (apart.argmin(axis=1) == found.labels).mean() > 0.999


def test_clusters_that_are_apart_are_found_and_names_do_not_matter():
    labels = RANDOM.integers(0, 6, 120)
    x = np.eye(6)[labels] + 0.01 * RANDOM.normal(size=(120, 6))
    assert evaluation.class_nmi(x, labels, key=jax.random.key(0)) == 1


def test_fewer_distinct_rows_than_clusters():
    found = evaluation.kmeans(np.ones((7, 2)), 3, key=jax.random.key(0))
    assert found.inertia == 0
    assert np.isfinite(found.centres).all()
    with pytest.raises(ValueError, match="k must be at most 7, the number of rows, got 8"):
        evaluation.kmeans(np.ones((7, 2)), 8, key=jax.random.key(0))
