"""The small convolutional network, against its definition in NumPy."""

import functools

import jax
import jax.export
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


@pytest.mark.thorough
def test_places_can_be_averaged():
    net = encoders.ConvNet(dim=5, widths=(8,), pooling=encoders.mean_of_places)
    start = jax.jit(net.init)(jax.random.key(0), IMAGES)
    shapes = jax.eval_shape(lambda x: net.apply(start, x, features=True), IMAGES)
    assert [a.shape for a in shapes] == [(3, 5), (3, 8)]
    other = jax.eval_shape(lambda x: net.apply(start, x), IMAGES[:, :3])
    assert other.shape == (3, 5)  # any size


def test_generalized_mean_and_its_gradient(float64):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 4, 2, 5)) + 0.5
    slope = rng.normal(size=(3, 5))
    params = {"params": {"exponent": np.array(2.7)}}

    def loss(params, x):
        return jnp.sum(slope * encoders.GeM(eps=0.1).apply(params, x))

    seen = np.maximum(x, 0.1)
    powers = seen**2.7
    pooled = powers.mean(axis=(1, 2)) ** (1 / 2.7)
    found = encoders.GeM(eps=0.1).apply(params, x)
    np.testing.assert_allclose(found, pooled, rtol=1e-12)
    by_params, by_x = jax.jit(jax.grad(loss, argnums=(0, 1)))(params, x)
    expected = seen**1.7 / 8 * (slope * pooled**-1.7)[:, None, None] * (x > 0.1)
    np.testing.assert_allclose(by_x, expected, rtol=1e-10, atol=1e-14)
    logs = (powers * np.log(seen)).sum(axis=(1, 2)) / powers.sum(axis=(1, 2)) - np.log(pooled)
    exponent = (slope * pooled * logs / 2.7).sum()
    np.testing.assert_allclose(by_params["params"]["exponent"], exponent, rtol=1e-10)


def test_generalized_mean_between_the_mean_and_the_largest(float64):
    x = np.random.default_rng(1).uniform(0.1, 1, (2, 3, 3, 4))
    for exponent, expected, close in (
        (1.0, x.mean(axis=(1, 2)), 1e-12),
        (1e5, x.max(axis=(1, 2)), 1e-4),
    ):
        pooling = encoders.GeM(start=exponent)
        found = pooling.apply(pooling.init(jax.random.key(0), x), x)
        np.testing.assert_allclose(found, expected, rtol=close)


@pytest.mark.thorough
def test_generalized_mean_of_extremes_is_finite():
    """Zeros after a ReLU, a large exponent, half precision and large values; NaN is NaN."""
    pooling = encoders.GeM(start=50.0)
    x = jnp.array([[0, 0], [0, 1e4]], jnp.bfloat16)[None, :, :, None]
    for states in (x, jnp.zeros_like(x)):
        params = pooling.init(jax.random.key(0), states)
        value, slopes = jax.value_and_grad(lambda p, x: pooling.apply(p, x).sum(), (0, 1))(
            params, states
        )
        assert value.dtype == jnp.float32
        assert all(np.isfinite(np.float32(a)).all() for a in jax.tree.leaves((value, slopes)))
    assert np.isnan(pooling.apply(params, x.at[0, 0, 0].set(jnp.nan))).all()
    with pytest.raises(ValueError, match="start must be > 0, got 0"):
        encoders.GeM(start=0).init(jax.random.key(0), x)
    with pytest.raises(ValueError, match=r"states must be .*rows, height, width, dim"):
        pooling.apply(params, x[0])


@pytest.mark.thorough
def test_a_learned_pooling_and_the_maps_of_blocks():
    net = NET.clone(pooling=encoders.GeM())
    start = net.init(jax.random.key(0), IMAGES)
    assert start["params"]["pooling"]["exponent"] == 3
    out, seen, maps = jax.jit(lambda p: net.apply(p, IMAGES, features=True, maps=True))(start)
    assert [a.shape for a in (out, seen, *maps)] == [(3, 5), (3, 8), (3, 4, 3, 4), (3, 2, 2, 8)]
    pooled = net.pooling.apply({"params": start["params"]["pooling"]}, maps[-1])
    np.testing.assert_allclose(pooled, seen, rtol=1e-5)
    np.testing.assert_array_equal(net.apply(start, IMAGES, maps=True)[0], net.apply(start, IMAGES))


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


@pytest.mark.thorough
def test_without_a_head_it_gives_what_the_pooling_does():
    _, seen = NET.apply(params(), IMAGES, features=True)
    bare = encoders.ConvNet(dim=None, widths=(4, 8), groups=2)
    layers = {name: part for name, part in params()["params"].items() if name != "head"}
    np.testing.assert_allclose(bare.apply({"params": layers}, IMAGES), seen, rtol=1e-6)
    assert "head" not in jax.eval_shape(bare.init, jax.random.key(0), IMAGES)["params"]


def test_the_network_is_exported_for_any_number_of_images():
    (rows,) = jax.export.symbolic_shape("rows")
    images = jax.ShapeDtypeStruct((rows, *IMAGES.shape[1:]), jnp.float32)
    weights = params()
    exported = jax.export.export(jax.jit(lambda x: NET.apply(weights, x)))(images)
    np.testing.assert_allclose(exported.call(IMAGES), NET.apply(weights, IMAGES), rtol=1e-5)
