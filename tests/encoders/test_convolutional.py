"""The small convolutional network, against its definition in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import encoders

IMAGES = np.float32(np.random.default_rng(0).random((3, 7, 6, 2)))
NET = encoders.ConvNet(dim=5, widths=(4, 8), groups=2)


@functools.cache
def params():
    return jax.jit(NET.init)(jax.random.key(0), IMAGES)


def by_hand(weights, images, groups):
    """(embeddings, features) of two blocks by the equations, in float64 loops."""
    x = images.astype(np.float64)
    for number in range(2):
        kernel = np.asarray(weights[f"conv_{number}"]["kernel"], np.float64)
        rows, height, width, _ = x.shape
        wide = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        y = np.zeros((rows, height, width, kernel.shape[-1]))
        for i in range(height):
            for j in range(width):
                y[:, i, j] = np.einsum("rhwc,hwcd->rd", wide[:, i : i + 3, j : j + 3], kernel)
        split = y.reshape(rows, height, width, groups, -1)
        center = split.mean(axis=(1, 2, 4), keepdims=True)
        spread = np.sqrt(split.var(axis=(1, 2, 4), keepdims=True) + 1e-6)
        y = ((split - center) / spread).reshape(y.shape)
        norm = weights[f"norm_{number}"]
        y = np.maximum(y * np.asarray(norm["scale"]) + np.asarray(norm["bias"]), 0)
        x = np.zeros((rows, -(-height // 2), -(-width // 2), y.shape[-1]))
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                x[:, i, j] = y[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(1, 2))
    seen = x.reshape(len(x), -1)
    head = weights["head"]
    return seen @ np.asarray(head["kernel"]) + np.asarray(head["bias"]), seen


def test_the_network_is_its_definition():
    expected, seen = by_hand(params()["params"], IMAGES, groups=2)
    embeddings, features = jax.jit(lambda p, x: NET.apply(p, x, features=True))(params(), IMAGES)
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(features, seen, rtol=1e-4, atol=1e-5)


def test_an_image_does_not_depend_on_its_neighbors():
    apply = jax.jit(NET.apply)
    whole = apply(params(), IMAGES)
    np.testing.assert_allclose(apply(params(), IMAGES[1:2])[0], whole[1], rtol=1e-5, atol=1e-6)
    assert whole.dtype == jnp.float32


def test_places_can_be_averaged():
    net = encoders.ConvNet(dim=5, widths=(8,), pooling=encoders.mean_of_places)
    start = jax.jit(net.init)(jax.random.key(0), IMAGES)
    shapes = jax.eval_shape(lambda x: net.apply(start, x, features=True), IMAGES)
    assert [a.shape for a in shapes] == [(3, 5), (3, 8)]
    other = jax.eval_shape(lambda x: net.apply(start, x), IMAGES[:, :3])
    assert other.shape == (3, 5)  # any size


def test_bfloat16_is_close():
    net = NET.clone(dtype=jnp.bfloat16)
    exact, rounded = (jax.jit(n.apply)(params(), IMAGES) for n in (NET, net))
    assert rounded.dtype == jnp.float32
    np.testing.assert_allclose(rounded, exact, atol=0.05)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"images must be .*rows, height, width, channels"):
        NET.apply(params(), IMAGES[0])
    with pytest.raises(ValueError, match=r"groups must divide widths=\(4, 6\), got 4"):
        encoders.ConvNet(widths=(4, 6), groups=4).init(jax.random.key(0), IMAGES)
