"""The neighbors' vote against loops, the linear probe against scikit-learn's logistic regression."""

import numpy as np
import pytest

from jaxsim import data, evaluation

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(30, 3))
LABELS = RANDOM.integers(0, 4, 30)


@pytest.mark.parametrize("temperature", [0.1, np.inf])
def test_neighbors_vote_for_a_class(temperature):
    u = X / np.linalg.norm(X, axis=1, keepdims=True)
    scores, right = u @ u.T, []
    for i in range(30):
        others = sorted((j for j in range(30) if j != i), key=lambda j: -scores[i, j])[:5]
        votes = np.zeros(4)
        for j in others:
            votes[LABELS[j]] += np.exp(scores[i, j] / temperature)
        # Equal votes are a mistake.
        right.append(votes[LABELS[i]] > np.delete(votes, LABELS[i]).max())
    assert 0 < np.mean(right) < 1
    for block in (None, 7):
        result = evaluation.knn_accuracy(
            X, LABELS, k=5, temperature=temperature, block=block, reduce_fn=None
        )[0]
        np.testing.assert_array_equal(result, right)


def test_a_constant_embedding_is_never_right():
    assert evaluation.knn_accuracy(np.ones_like(X), LABELS, k=3) == 0


def test_the_training_set_votes_for_the_test_set():
    x, y = np.eye(4)[LABELS], LABELS
    assert evaluation.knn_accuracy(x[:9], y[:9], references=x[9:], reference_labels=y[9:], k=1) == 1


@pytest.fixture(scope="module")
def digits():
    return [
        (part.images.reshape(-1, 64), part.labels) for part in map(data.digits, ("train", "test"))
    ]


def test_the_probe_is_logistic_regression(digits):
    from sklearn.linear_model import LogisticRegression

    (x, y), (test, wanted) = digits
    x, y = x[::2], y[::2]
    center, spread = x.mean(axis=0), np.where(x.std(axis=0) > 1e-12, x.std(axis=0), 1)
    peer = LogisticRegression(C=1 / (0.01 * len(x)), max_iter=2000, tol=1e-7)
    peer.fit((x - center) / spread, y)
    expected = peer.predict((test - center) / spread) == wanted
    result, counts = evaluation.linear_probe(x, y, test, wanted, ridge=0.01, reduce_fn=None)
    np.testing.assert_array_equal(result, expected)
    assert counts.all()
    assert 0.9 < result.mean() < 1


def test_a_class_that_training_lacks_is_never_right():
    x = np.float32([[0.0], [0], [1], [1], [2]])
    y = np.array([0, 0, 5, 5, 7])
    assert evaluation.linear_probe(x[:4], y[:4], x, y) == np.float32(0.8)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"test_features must be \[any, 3\], as wide as features"):
        evaluation.linear_probe(X, LABELS, X[:, :2], LABELS)
    with pytest.raises(ValueError, match="features must be finite"):
        evaluation.linear_probe(X * np.inf, LABELS, X, LABELS)
    with pytest.raises(ValueError, match="temperature must be > 0, got 0"):
        evaluation.knn_accuracy(X, LABELS, temperature=0)


def test_macro_f1_is_that_of_scikit_learn():
    from sklearn.metrics import f1_score

    labels, predictions = RANDOM.integers(0, 5, 90), RANDOM.integers(2, 8, 90)
    expected = f1_score(labels, predictions, average="macro", zero_division=0)
    np.testing.assert_allclose(evaluation.macro_f1(labels, predictions), expected, rtol=1e-12)
    names = np.array(list("abcdefgh"))
    named = evaluation.macro_f1(names[labels], names[predictions])
    np.testing.assert_allclose(named, expected, rtol=1e-12)
    assert evaluation.macro_f1(labels, labels) == 1
    with pytest.raises(ValueError, match="labels must not be empty"):
        evaluation.macro_f1([], [])
