"""Pearson and Spearman against SciPy, ties and padding included."""

import jax
import numpy as np
import pytest
from scipy import stats

from jaxsim import evaluation

BOTH = jax.jit(
    lambda x, y, where: (
        evaluation.pearson(x, y, where=where),
        evaluation.spearman(x, y, where=where),
    )
)
RANDOM = np.random.default_rng(0)
X, NOISE = RANDOM.normal(size=12), RANDOM.normal(size=12)
ALL = np.ones(12, bool)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X, X + NOISE),
        (np.round(X), np.round(X + NOISE)),
        (-X, X),
        (1e30 * X, 1e-30 * (X + NOISE)),
        (5 + 1e-3 * X, NOISE),
    ],
)
def test_against_scipy(x, y):
    x, y = np.float32(x), np.float32(y)
    pearson, spearman = BOTH(x, y, ALL)
    np.testing.assert_allclose(
        pearson, stats.pearsonr(x.astype(float), y.astype(float))[0], atol=2e-5
    )
    np.testing.assert_allclose(spearman, stats.spearmanr(x, y)[0], atol=1e-6)


def test_float64(float64):
    pearson = evaluation.pearson(X, X + NOISE)
    np.testing.assert_allclose(pearson, stats.pearsonr(X, X + NOISE)[0], rtol=1e-13)


def test_padding_may_hold_anything():
    where = ALL & (np.arange(12) % 3 > 0)
    spoiled = np.float32(np.where(where, X, np.nan))
    result = BOTH(spoiled, np.float32(X + NOISE), where)
    expected = [f(X[where], (X + NOISE)[where])[0] for f in (stats.pearsonr, stats.spearmanr)]
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nan_that_counts_makes_them_nan(bad):
    spoiled = X.copy()
    spoiled[5] = bad
    pearson, spearman = BOTH(np.float32(spoiled), np.float32(X), ALL)
    assert np.isnan(pearson)
    # An infinite score has a rank.
    assert np.isnan(spearman) if np.isnan(bad) else spearman == stats.spearmanr(spoiled, X)[0]


def test_an_infinite_score_does_not_tie_with_padding():
    where, x = np.arange(12) < 8, np.where(np.arange(12) == 3, np.inf, X)
    _, spearman = BOTH(np.float32(x), np.float32(X + NOISE), where)
    expected = stats.spearmanr(x[where], (X + NOISE)[where])[0]
    np.testing.assert_allclose(spearman, expected, atol=1e-6)


TIMES = 1_700_000_000_000 + np.arange(12) ** 2  # milliseconds


@pytest.mark.parametrize("x", [TIMES, TIMES.astype(float), TIMES.astype(np.uint64), X * 1e200])
def test_scores_that_float32_cannot_hold_keep_their_order_and_their_differences(x):
    np.testing.assert_allclose(
        evaluation.spearman(x, X + NOISE), stats.spearmanr(x, X + NOISE)[0], atol=1e-6
    )
    expected = stats.pearsonr(np.float64(x - min(x)) / 1e200 if x is not TIMES else x, X + NOISE)[0]
    np.testing.assert_allclose(evaluation.pearson(x, X + NOISE), expected, atol=1e-5)


def test_a_constant_side_has_no_correlation():
    np.testing.assert_array_equal(BOTH(np.float32(X), np.ones(12, np.float32), ALL), [0, 0])
    np.testing.assert_array_equal(BOTH(np.float32(X), np.float32(X), ~ALL), [0, 0])


def test_shapes_are_named():
    with pytest.raises(ValueError, match="gold"):
        evaluation.pearson(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="predicted must be real numbers, got <U1"):
        evaluation.spearman(["a", "b"], [1, 2])
