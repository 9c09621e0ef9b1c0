"""The teacher that aligns words: symmetric, best for equal sentences, and nothing of it needs data."""

import numpy as np
import pytest

from experiments.workbench.networks import alignment
from experiments.workbench.sets import graded

TEXTS = [
    "a dog runs in the park",
    "a dog is running in the park",
    "the cat sleeps on a sofa",
    "a cat is sleeping on the sofa",
    "two men play chess",
    "no men play chess",
] * 3


@pytest.fixture(scope="module")
def vectors():
    return alignment.word_vectors(TEXTS, dim=5, words=50)


def test_features_know_no_order(vectors):
    there = alignment.features(vectors, TEXTS[:5], TEXTS[1:6])
    back = alignment.features(vectors, TEXTS[1:6], TEXTS[:5])
    np.testing.assert_allclose(there, back, atol=1e-6)


def test_equal_sentences_cover_each_other(vectors):
    same = alignment.features(vectors, TEXTS[:3], TEXTS[:3])
    np.testing.assert_allclose(same[:, :6], 1, atol=1e-6)
    other = alignment.features(vectors, TEXTS[:1], TEXTS[2:3])
    assert (other[:, :4] < same[:1, :4]).all()
    # A word that nobody counted is equal to itself alone.
    odd = alignment.features(vectors, ["zyx"], ["zyx"])
    assert odd[0, 0] == pytest.approx(1)
    assert alignment.features(vectors, ["zyx"], ["wvu"])[0, 0] == 0


def test_a_sentence_without_words_is_like_nothing(vectors):
    assert np.isfinite(alignment.features(vectors, ["", "!"], ["a dog", ""])).all()


def test_the_vectors_are_of_counts_in_float64():
    """Two words whose contexts are the same have the same vector; PPMI by hand."""
    texts = ["x a", "y a", "x b", "y b", "z c"]
    found = alignment.word_vectors(texts, dim=4, words=10, window=1)
    x, y, z = (found.vectors[found.places[word]] for word in "xyz")
    assert x @ y == pytest.approx(1, abs=1e-5)
    assert abs(x @ z) < 1e-5
    expected = np.log(6 / 3)
    assert found.weight("a") == pytest.approx(expected)
    assert found.weight("unknown") == pytest.approx(np.log(6))


def test_the_nearest_others():
    rows = np.eye(4, dtype=np.float32)
    rows[1] = rows[0] * 0.8 + rows[1] * 0.6
    found = alignment.nearest(rows, np.array([0, 1]), rank=np.array([1, 1]))
    np.testing.assert_array_equal(found, [1, 0])


def test_pairs_that_are_known_are_left_out_in_either_order():
    known = graded.Pairs(["a", "c"], ["b", "d"], np.zeros(2))
    asked = graded.Pairs(["b", "a", "c"], ["a", "d", "d"], np.array([1.0, 0.5, 0.0]))
    assert graded.without(asked, known)._asdict() == {
        "first": ["a"],
        "second": ["d"],
        "scores": pytest.approx([0.5]),
    }


def test_the_teacher_learns_grades(vectors):
    pairs = [(a, b) for a in TEXTS[:6] for b in TEXTS[:6]] * 8
    first, second = map(list, zip(*pairs, strict=True))
    rows = alignment.features(vectors, first, second)
    scores = rows[:, 0]
    teacher = alignment.fitted(vectors, rows, scores, seed=0)
    assert np.corrcoef(teacher(first, second), scores)[0, 1] > 0.9
