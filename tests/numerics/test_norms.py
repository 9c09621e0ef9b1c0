"""Norms are right, and have a gradient, at zero and at the ends of the range."""

import jax
import numpy as np
import pytest

from jaxsim.numerics import safe_norm, unit

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


@pytest.mark.parametrize("scale", [1, 1e-30, 1e30])
def test_norm_and_unit_hold_at_every_scale(scale):
    x = X * np.float32(scale)
    exact = np.linalg.norm(x.astype(float), axis=-1)
    np.testing.assert_allclose(safe_norm(x), exact, rtol=1e-6)
    np.testing.assert_allclose(unit(x), x.astype(float) / exact[:, None], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda x: safe_norm(x).sum())(x), unit(x), rtol=1e-6)


def test_a_zero_row_has_value_and_gradient_zero():
    x = np.zeros((2, 3), np.float32)
    for function in (safe_norm, unit):
        assert not function(x).any()
        assert not jax.grad(lambda x, f=function: f(x).sum())(x).any()


def test_axis_and_keepdims():
    np.testing.assert_allclose(safe_norm(X, axis=0, keepdims=True).shape, (1, 3))
    np.testing.assert_allclose(safe_norm(X, axis=0), np.linalg.norm(X, axis=0), rtol=1e-6)


def test_narrow_types_are_computed_in_float32():
    assert unit(X.astype("bfloat16")).dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_shows(bad):
    x = np.array([[bad, 1.0], [3.0, 4.0]], np.float32)
    assert np.isnan(unit(x)[0, 0])
    np.testing.assert_allclose(unit(x)[1], [0.6, 0.8], rtol=1e-6)
    norms = np.asarray(safe_norm(x))
    assert not np.isfinite(norms[0])
    np.testing.assert_allclose(norms[1], 5, rtol=1e-6)
    assert not np.isfinite(jax.grad(lambda x: safe_norm(x).sum())(x)[0]).all()
