"""Regression by rounds: appended factors are the factor of everything, with fewer and with more items than rows."""

import functools

import jax
import numpy as np
import pytest

from jaxsim.search import _regression as regression, row_regression

RNG = np.random.default_rng(0)
BASIS, VALUES = RNG.normal(size=(6, 30)), RNG.normal(size=30)


def reference(items, ridge, prior):
    v = BASIS[:, items]
    return prior + np.linalg.solve(v @ v.T + ridge * np.eye(6), v @ (VALUES[items] - prior @ v))


@pytest.mark.parametrize("items", [[3], [3, 8, 1, 20], list(range(10))])
@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_it_is_ridge_regression_and_padding_is_nothing(items, prior, float64):
    prior = np.full(6, prior)
    where = np.arange(len(items) + 3) < len(items)
    ids = np.pad(items, (0, 3), constant_values=7)
    values = np.where(where, VALUES[ids], np.inf)
    result = jax.jit(row_regression)(BASIS, ids, values, where, ridge=0.5, prior=prior)
    np.testing.assert_allclose(result, reference(items, 0.5, prior), atol=1e-11)


@pytest.mark.parametrize("most", [6, 9])
def test_rounds_append_to_what_is_known(most, float64):
    prior, ridge = RNG.normal(size=6), 0.3
    factor = regression.empty(most, 6, np.dtype("float64"))
    items = RNG.permutation(30)[:most]
    columns = BASIS[:, items].T
    add = jax.jit(regression.appended)
    solve = jax.jit(regression.weights)
    for begin in range(0, most, 3):
        part = slice(begin, begin + 3)
        before, after = (columns * (np.arange(most) < end)[:, None] for end in (begin, begin + 3))
        before, after = (before, after) if most <= 6 else (None, None)
        factor = add(
            factor,
            columns[part],
            VALUES[items[part]],
            np.ones(3, bool),
            prior,
            ridge,
            before,
            begin,
        )
        result = solve(factor, prior, ridge, after)
        np.testing.assert_allclose(result, reference(items[: begin + 3], ridge, prior), atol=1e-11)


def test_copies_of_an_item_break_nothing():
    basis = np.float32(np.tile(BASIS[:, :1], (1, 4)))
    result = jax.jit(functools.partial(row_regression, ridge=0.0))(
        basis, np.arange(4), np.float32([1, 1, 1, 1]), np.ones(4, bool)
    )
    np.testing.assert_allclose(result @ basis, 1, atol=1e-3)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"where must be \[2\], as scored_ids"):
        row_regression(BASIS, [1, 2], [1.0, 2.0], [True], ridge=0.1)
    with pytest.raises(ValueError, match=r"prior must be \[6\]"):
        row_regression(BASIS, [1, 2], [1.0, 2.0], [True, True], ridge=0.1, prior=np.zeros(2))
    with pytest.raises(ValueError, match="scored_ids must be from 0 to 39, got 40 to 40"):
        row_regression(
            np.ones((6, 40)), np.array([40, 99]), np.ones(2), np.array([True, False]), ridge=1
        )
    with pytest.raises(ValueError, match="scored_ids must be integers, got float"):
        row_regression(np.ones((6, 40)), np.ones(2), np.ones(2), np.ones(2, bool), ridge=1)
    with pytest.raises(ValueError, match="where must be boolean"):
        row_regression(np.ones((6, 40)), np.ones(2, int), np.ones(2), np.ones(2), ridge=1)
