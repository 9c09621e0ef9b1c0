"""Features predicted from embeddings, and preferences from rewards, against scikit-learn and loops."""

import itertools

import jax
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from jaxsim import evaluation

RANDOM = np.random.default_rng(0)
Z, PHI, TEST, WANTED = (RANDOM.normal(size=shape) for shape in ((40, 5), (40, 3), (9, 5), (9, 3)))
REWARDS = np.array([0.3, -1.0, 2.0, 2.0, 0.5, np.nan])
TRUTH = np.array([0.1, 0.1, 5.0, 4.0, -1.0, 0.0])
PAIRS = np.array(list(itertools.combinations(range(5), 2)))


def test_the_error_is_that_of_scikit_learn():
    predicted = LinearRegression().fit(Z, PHI).predict(TEST)
    errors, counts = evaluation.feature_prediction_error(Z, PHI, TEST, WANTED, reduce_fn=None)
    np.testing.assert_allclose(errors, ((predicted - WANTED) ** 2).mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(counts, np.ones(9))
    error = evaluation.feature_prediction_error(Z, PHI, TEST, WANTED)
    np.testing.assert_allclose(error, ((predicted - WANTED) ** 2).mean(), rtol=1e-5)


def test_the_penalty_is_on_the_weights_of_standardized_embeddings():
    center, spread = Z.mean(axis=0), Z.std(axis=0)
    penalized = Ridge(alpha=0.2 * len(Z)).fit((Z - center) / spread, PHI)
    predicted = penalized.predict((TEST - center) / spread)
    error = evaluation.feature_prediction_error(Z, PHI, TEST, WANTED, ridge=0.2)
    np.testing.assert_allclose(error, ((predicted - WANTED) ** 2).mean(), rtol=1e-5)


def test_accuracy_counts_the_pairs_whose_truth_differs():
    right, there = [], []
    for first, second in PAIRS:
        wanted = TRUTH[first] - TRUTH[second]
        there.append(wanted != 0)
        right.append(wanted * (REWARDS[first] - REWARDS[second]) > 0)
    values, counts = evaluation.preference_accuracy(REWARDS, TRUTH, PAIRS, reduce_fn=None)
    np.testing.assert_array_equal(counts, there)
    np.testing.assert_array_equal(np.asarray(values)[there], np.array(right)[there])
    assert not right[PAIRS.tolist().index([2, 3])]  # equal rewards, different truth: a mistake
    accuracy = jax.jit(evaluation.preference_accuracy)(REWARDS, TRUTH, PAIRS)
    np.testing.assert_allclose(accuracy, np.mean(np.array(right)[there]), rtol=1e-6)


@pytest.mark.thorough
def test_what_is_masked_has_no_influence_and_nan_has():
    pairs = np.concatenate([PAIRS, [[0, 5]]])
    where = np.arange(len(pairs)) < len(PAIRS)
    assert np.isnan(evaluation.preference_accuracy(REWARDS, TRUTH, pairs))
    masked = evaluation.preference_accuracy(REWARDS, TRUTH, pairs, where=where)
    assert masked == evaluation.preference_accuracy(REWARDS, TRUTH, PAIRS)
    nothing = evaluation.preference_accuracy(REWARDS, TRUTH, pairs, where=np.zeros_like(where))
    assert nothing == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": PHI[:3]}, r"features must be \[40, any\], one row per embedding, got"),
        ({"test_embeddings": TEST[:, :2]}, r"test_embeddings must be \[any, 5\], as wide as"),
        ({"test_features": WANTED[:, :2]}, r"test_features must be \[9, 3\], one row per test"),
        ({"embeddings": np.where(Z > 0, np.nan, Z)}, "embeddings must be finite: row 0"),
        ({"test_features": WANTED * np.inf}, "test_features must be finite"),
        ({"embeddings": Z[:0], "features": PHI[:0]}, "embeddings must not be empty"),
        ({"ridge": -1.0}, "ridge must be >= 0"),
    ],
)
def test_features_that_do_not_fit_are_named(change, message):
    arguments = {"embeddings": Z, "features": PHI, "test_embeddings": TEST, "test_features": WANTED}
    with pytest.raises(ValueError, match=message):
        evaluation.feature_prediction_error(**arguments | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": TRUTH[:2]}, r"truth must be \[6\], one per learned reward"),
        ({"pairs": PAIRS + 3}, "pairs must be from 0 to 5, got 3 to 7"),
        ({"pairs": PAIRS / 2}, "pairs must be integers"),
        ({"pairs": PAIRS.T}, r"pairs must be \[any, 2\], two places each"),
        ({"where": np.ones(3, bool)}, r"where must be \[10\], one per pair"),
    ],
)
def test_pairs_that_do_not_fit_are_named(change, message):
    arguments = {"rewards": REWARDS, "truth": TRUTH, "pairs": PAIRS}
    with pytest.raises(ValueError, match=message):
        evaluation.preference_accuracy(**arguments | change)
