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
    found = BOTH(spoiled, np.float32(X + NOISE), where)
    expected = [f(X[where], (X + NOISE)[where])[0] for f in (stats.pearsonr, stats.spearmanr)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_constant_side_has_no_correlation():
    np.testing.assert_array_equal(BOTH(np.float32(X), np.ones(12, np.float32), ALL), [0, 0])
    np.testing.assert_array_equal(BOTH(np.float32(X), np.float32(X), ~ALL), [0, 0])


def test_shapes_are_named():
    with pytest.raises(ValueError, match="given"):
        evaluation.pearson(np.ones(3), np.ones(4))
