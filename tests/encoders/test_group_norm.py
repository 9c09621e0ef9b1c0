"""Group norm: against its definition in NumPy and Flax's module, gradients included."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxsim.encoders._group_norm import GroupNorm


def test_it_is_its_definition(float64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4, 5, 6)) + rng.normal(size=(3, 1, 1, 6))
    scale, bias = rng.normal(size=(2, 6))
    split = x.reshape(3, 20, 2, 3)
    split = split - split.mean(axis=(1, 3), keepdims=True)
    split = split / np.sqrt((split**2).mean(axis=(1, 3), keepdims=True) + 1e-3)
    found = GroupNorm(2, epsilon=1e-3).apply({"params": {"scale": scale, "bias": bias}}, x)
    np.testing.assert_allclose(found, split.reshape(x.shape) * scale + bias, rtol=1e-10)


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (3, 7, 6), (2, 6)])
def test_it_is_the_norm_of_linen(shape, float64):
    """Equal parameters, values and gradients."""
    rng = np.random.default_rng(0)
    x, slope = rng.normal(size=(2, *shape))
    ours, theirs = GroupNorm(3), nn.GroupNorm(3)
    params = ours.init(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, params, theirs.init(jax.random.key(0), x))
    params = jax.tree.map(lambda a: rng.normal(size=a.shape), params)
    results = []
    for norm in (ours, theirs):
        value, backward = jax.vjp(norm.apply, params, x)
        results.append(jax.tree.leaves((value, backward(slope))))
    for mine, other in zip(*results, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-8, atol=1e-8)


def test_an_image_with_nan_is_nan_and_no_other():
    x = np.ones((2, 2, 2, 4), np.float32)
    x[0, 0, 0, 0] = np.nan
    found, _ = GroupNorm(2).init_with_output(jax.random.key(0), x)
    assert np.isnan(found[0, ..., :2]).all()
    assert np.isfinite(found[1]).all()
    with pytest.raises(ValueError, match="groups must divide the 4 channels, got 3"):
        GroupNorm(3).init(jax.random.key(0), x)
