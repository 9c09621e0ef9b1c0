"""Every number of the method's checks: centroids, candidates, label vectors, outliers, chunks."""

import itertools

import numpy as np
import pytest

from jaxsim import data, search, similarity


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


RANDOM = np.random.default_rng(0)
DOCUMENTS = RANDOM.normal(size=(30, 5))
CENTROIDS = RANDOM.normal(size=(3, 5))


def predicted(documents, centroids, **settings):
    scores = similarity.cosine(centroids, documents)
    labels = search.label_vectors(documents, search.select_candidates(scores, **settings))
    return search.classify(documents, labels)


def test_the_example():
    documents = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    centroid = search.keyword_centroids(np.array([[1.0, 0.0], [0.6, 0.8]]), np.zeros(2, int), 1)
    np.testing.assert_allclose(centroid, [[0.8, 0.4]], rtol=1e-15)
    scores = similarity.cosine(centroid, documents)
    wanted = [[0.89442719, 0.98386991, 0.4472136, -0.89442719]]
    np.testing.assert_allclose(scores, wanted, atol=5e-9)
    assert np.flatnonzero(search.select_candidates(scores)[0]).tolist() == [1]
    two = search.select_candidates(scores, smallest=2)
    np.testing.assert_allclose(search.label_vectors(documents, two), [[0.9, 0.3]], rtol=1e-15)


@pytest.mark.thorough
def test_without_a_threshold_every_class_is_the_mean_and_all_tie():
    classes, scores = predicted(DOCUMENTS, CENTROIDS, threshold=-1.0)
    np.testing.assert_allclose(scores - scores[:, :1], 0, atol=1e-14)
    assert set(np.asarray(classes)) <= {0, 1, 2}


@pytest.mark.thorough
def test_neither_scale_nor_rotation_changes_a_prediction():
    turn = np.linalg.qr(RANDOM.normal(size=(5, 5)))[0]
    classes, scores = predicted(DOCUMENTS, CENTROIDS, smallest=5)
    for move in (lambda x: 7 * x, lambda x: x @ turn):
        again = predicted(move(DOCUMENTS), move(CENTROIDS), smallest=5)
        assert again[0].tolist() == classes.tolist()
        np.testing.assert_allclose(again[1], scores, rtol=1e-11)


def test_all_documents_at_least_is_no_threshold_and_candidates_grow():
    scores = similarity.cosine(CENTROIDS, DOCUMENTS)
    every = search.select_candidates(scores, smallest=30)
    np.testing.assert_array_equal(every, search.select_candidates(scores, threshold=-np.inf))
    for name, values in (("offset", (0.0, 0.1, 0.5, 2.1)), ("smallest", (1, 5, 20, 30))):
        sets = [np.asarray(search.select_candidates(scores, **{name: v})) for v in values]
        for small, large in itertools.pairwise(sets):
            assert (small <= large).all()
            assert small.sum() < large.sum()


def test_a_far_point_is_an_outlier_unless_all_are_its_neighbors():
    from sklearn.neighbors import LocalOutlierFactor

    x = np.concatenate([0.1 * RANDOM.normal(size=(40, 2)), [[4.0, 4.0]]])
    factors = search.local_outlier_factor(x, neighbors=20)
    peer = LocalOutlierFactor(n_neighbors=20).fit(x)
    np.testing.assert_allclose(factors, -peer.negative_outlier_factor_, rtol=1e-8)
    assert not search.without_outliers(x, np.ones((1, 41), bool))[0, -1]
    every = search.local_outlier_factor(x, neighbors=40)
    assert every[-1] < 1.5
    assert search.without_outliers(x, np.ones((1, 41), bool), neighbors=40).all()


def test_chunks():
    sentences = ["One two three.", "Four five six seven eight.", "Nine ten."]
    assert data.chunk_sentences(sentences, 8) == [sentences[0], " ".join(sentences[1:])]
    assert data.chunk_sentences(sentences, 100) == [" ".join(sentences)]
