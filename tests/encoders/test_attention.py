"""Our attention on CPU is JAX's: value and gradient, grouped heads, masks, bias, narrow types."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.encoders.attention import plain_attention

RANDOM = np.random.default_rng(0)
QUERY = np.float32(RANDOM.normal(size=(2, 5, 4, 6)))
KEY, VALUE = np.float32(RANDOM.normal(size=(2, 2, 7, 2, 6)))
MASK = RANDOM.random((2, 1, 5, 7)) < 0.6
MASK[0, 0, 1] = False  # who sees nothing
BIAS = np.float32(RANDOM.normal(size=(2, 4, 5, 7)))


def both(query, key, value):
    """(ours, jax.nn.dot_product_attention) on the same inputs."""
    theirs = jax.nn.dot_product_attention(
        query, key, value, bias=BIAS.astype(query.dtype), mask=MASK
    )
    return plain_attention(query, key, value, bias=BIAS.astype(query.dtype), mask=MASK), theirs


@pytest.mark.parametrize("size", [1.0, 1e3])
def test_value_and_gradient_are_those_of_jax(size):
    weights = np.float32(RANDOM.normal(size=QUERY.shape))

    def sums(which, *arrays):
        return (both(*arrays)[which] * weights).sum()

    inputs = (size * QUERY, KEY, VALUE)
    mine, theirs = jax.jit(both)(*inputs)
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    gradients = [
        jax.jit(jax.grad(sums, (1, 2, 3)), static_argnums=0)(which, *inputs) for which in (0, 1)
    ]
    for own, other in zip(*gradients, strict=True):
        assert np.isfinite(own).all()
        if size == 1:  # logits of thousands are only known to 1e-4 in float32
            np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)


def test_narrow_types_are_summed_in_float32():
    arrays = [jnp.asarray(a, jnp.bfloat16) for a in (QUERY, KEY, VALUE)]
    mine, _ = jax.jit(both)(*arrays)
    assert mine.dtype == jnp.bfloat16
    exact, _ = jax.jit(both)(*(np.asarray(a, np.float32) for a in arrays))
    np.testing.assert_allclose(np.float32(mine), exact, atol=0.03)
