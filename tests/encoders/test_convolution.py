"""One convolution: small maps by a matrix product, the others by XLA's own, the gradient of large ones by few images: the same numbers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.encoders import _convolution
from jaxsim.encoders._convolution import Convolution


@pytest.mark.thorough
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 9), (4, 4), (8, 7)])
@pytest.mark.parametrize(("side", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)])
def test_it_is_the_convolution_of_linen(size, side, stride, float64):
    """Flax Linen's: equal weights from equal keys, equal values and gradients."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *size, 3))
    ours = Convolution(5, side, stride, biased=True, dtype=jnp.float64)
    theirs = nn.Conv(
        5,
        (side, side),
        (stride, stride),
        padding=[(side // 2, side // 2)] * 2,
        dtype=jnp.float64,
        param_dtype=jnp.float32,
    )
    params = ours.init(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, params, theirs.init(jax.random.key(0), x))
    params = jax.tree.map(lambda a: rng.normal(size=a.shape), params)
    expected, backward = jax.vjp(theirs.apply, params, x)
    found, ours_backward = jax.vjp(ours.apply, params, x)
    slope = rng.normal(size=expected.shape)
    for mine, other in zip(
        jax.tree.leaves((found, ours_backward(slope))),
        jax.tree.leaves((expected, backward(slope))),
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
def test_derivatives_of_large_maps_are_those_of_one_convolution(stride, float64, monkeypatch):
    """Values, gradients, tangents, second derivatives, and under vmap; five images go by two, two and one."""
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(_convolution, "SMALL", 3)
    monkeypatch.setattr(_convolution, "PLACES", 2 * (8 // stride) ** 2)
    rng = np.random.default_rng(0)
    x, kernel, move_x, move_kernel = (
        rng.normal(size=shape) for shape in 2 * [(5, 8, 8, 2), (3, 3, 2, 4)]
    )

    def everything(convolved):
        def value(x, kernel):
            return jnp.sin(convolved(x, kernel, stride)).sum()

        slopes = jax.grad(value, argnums=(0, 1))
        moved = jax.jvp(slopes, (x, kernel), (move_x, move_kernel))
        twice = jax.grad(lambda k: jnp.sum(jnp.sin(slopes(x, k)[1])))(kernel)
        of_each = jax.vmap(lambda one: jax.grad(value, argnums=1)(one[None], kernel))(x)
        return value(x, kernel), moved, twice, of_each

    found, expected = everything(_convolution.convolved), everything(_convolution._by_xla)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_rows_spread_over_devices_are_not_gathered(monkeypatch):
    monkeypatch.setattr(_convolution, "SMALL", 3)
    x, kernel = np.zeros((8, 8, 8, 2), np.float32), np.zeros((3, 3, 2, 4), np.float32)
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("rows",))
    spread = jax.device_put(x, jax.NamedSharding(mesh, jax.P("rows")))
    slope = jax.jit(jax.grad(lambda k, x: jnp.sin(_convolution.convolved(x, k, 1)).sum()))
    assert "all-gather" not in slope.lower(kernel, spread).compile().as_text()
