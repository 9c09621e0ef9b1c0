"""Masked reductions agree with NumPy on what is kept, and are finite on rows that keep nothing."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from jaxsim.numerics import masked

SCORES = np.random.default_rng(0).normal(size=(5, 7)) * 3
WHERE = np.random.default_rng(1).random((5, 7)) < 0.5
WHERE[2] = False  # a row that keeps nothing
WHERE[3] = np.arange(7) == 4  # and one that keeps one

REFERENCES = {
    "log_sum_exp": lambda s: np.log(np.exp(s).sum()),
    "log_one_plus_sum_exp": lambda s: np.log(1 + np.exp(s).sum()),
    "max": np.max,
    "min": np.min,
    "sum": np.sum,
    "mean": np.mean,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_reductions_are_numpys_over_what_is_kept(name, float64):
    expected = [
        REFERENCES[name](s[w]) if w.any() else 0 for s, w in zip(SCORES, WHERE, strict=True)
    ]
    np.testing.assert_allclose(getattr(masked, name)(SCORES, WHERE), expected, rtol=1e-13)
    across = getattr(masked, name)(SCORES.T, WHERE.T, axis=0)
    np.testing.assert_allclose(across, expected, rtol=1e-13)


class Variants(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True)
    @parameterized.named_parameters((name, name) for name in REFERENCES)
    def test_reductions_compiled_or_not_and_on_a_device(self, name):
        expected = [
            REFERENCES[name](s[w]) if w.any() else 0 for s, w in zip(SCORES, WHERE, strict=True)
        ]
        result = self.variant(getattr(masked, name))(np.float32(SCORES), WHERE)
        np.testing.assert_allclose(result, expected, rtol=2e-6)


@pytest.mark.parametrize("name", [*REFERENCES, "softmax", "log_softmax"])
@pytest.mark.parametrize("left_out", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_left_out_reaches_neither_value_nor_gradient(name, left_out):
    reduce = getattr(masked, name)
    spoiled = np.where(WHERE, SCORES, left_out).astype(np.float32)
    gradient = jax.grad(lambda s: reduce(s, WHERE).sum())(spoiled)
    assert np.isfinite(reduce(spoiled, WHERE)).all()
    assert np.isfinite(gradient).all()
    assert not gradient[~WHERE].any()
    np.testing.assert_array_equal(reduce(spoiled, WHERE), reduce(SCORES.astype(np.float32), WHERE))


def test_softmax_sums_to_one_where_something_is_kept():
    weights = masked.softmax(SCORES, WHERE)
    np.testing.assert_allclose(weights.sum(axis=1), WHERE.any(axis=1), rtol=1e-6)
    assert not weights[~WHERE].any()


def test_log_softmax_keeps_its_digits_among_large_scores():
    large = np.float32([[1e6, 1e6 - 0.5, 0]])
    result = masked.log_softmax(large, np.array([[True, True, False]]))
    first = -np.log1p(np.exp(-0.5))
    np.testing.assert_allclose(result, [[first, first - 0.5, 0]], rtol=1e-6)


def test_empty_is_what_is_asked_for():
    nothing = np.zeros((1, 3), bool)
    assert masked.max(np.ones((1, 3)), nothing, empty=-jnp.inf)[0] == -np.inf
    assert masked.min(np.ones((1, 3)), nothing, empty=jnp.inf)[0] == np.inf


def test_large_scores_do_not_overflow():
    large = np.float32([[1e4, 1e4 - 1]])
    value = masked.log_sum_exp(large, np.ones((1, 2), bool))
    np.testing.assert_allclose(value, 1e4 + np.log1p(np.exp(-1)), rtol=1e-6)
