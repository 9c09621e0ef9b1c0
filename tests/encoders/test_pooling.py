"""Poolings by hand, and what a text without tokens gives."""

import jax
import numpy as np
import pytest

from jaxsim import encoders

STATES = np.array([[9.0, 9], [1, 2], [3, 0], [7, 1], [8, 8]], np.float32)[None].repeat(2, axis=0)
WHERE = np.array([[0, 1, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
EXPECTED = {
    encoders.cls: [1, 2],
    encoders.last: [7, 1],
    encoders.mean: [11 / 3, 1],
    encoders.mean_by_root: [11 / 3**0.5, 3 / 3**0.5],
    encoders.largest: [7, 2],
    encoders.weighted_mean: [(1 + 6 + 21) / 6, (2 + 0 + 3) / 6],
}


@pytest.mark.parametrize("pooling", EXPECTED)
def test_poolings_are_what_they_say(pooling):
    found = jax.jit(pooling)(STATES, WHERE)
    np.testing.assert_allclose(found[0], EXPECTED[pooling], rtol=1e-6)
    assert np.isfinite(found[1]).all()
    if pooling not in (encoders.cls, encoders.last):
        np.testing.assert_array_equal(found[1], 0)


def test_several_stand_side_by_side():
    found = encoders.side_by_side(encoders.cls, encoders.largest)(STATES, WHERE)
    np.testing.assert_array_equal(found[0], [1, 2, 7, 2])


def test_attention_is_a_softmax_over_real_tokens():
    query = np.array([[0.5], [-0.25]], np.float32)
    params = {"params": {"query": {"kernel": query}}}

    def pooled(states):
        return encoders.AttentionPooling().apply(params, states, WHERE)

    found = jax.jit(pooled)(STATES)
    real = STATES[0, 1:4].astype(np.float64)
    weights = np.exp(real @ query[:, 0])
    np.testing.assert_allclose(found[0], weights @ real / weights.sum(), rtol=1e-6)
    np.testing.assert_array_equal(found[1], 0)
    gradient = jax.jit(jax.grad(lambda s: pooled(s).sum()))(STATES)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[0, [0, 4]], 0)
