"""Vision transformers, against their definition in NumPy."""

import functools
from math import erf

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from float64_layers import dense, normed

from jaxsim import encoders

IMAGES = np.random.default_rng(0).random((3, 8, 12, 2))
SIZES = {"image": (8, 12), "patch": 4, "dim": 8, "layers": 2, "heads": 2, "hidden": 12}
NETS = {
    "class token": encoders.VisionTransformer(**SIZES, classes=5),
    "mean": encoders.VisionTransformer(**SIZES, classes=5, pooling="mean"),
    "mean without a class token": encoders.VisionTransformer(
        **SIZES, pooling="mean", class_token=False
    ),
}


@functools.cache
def variables(name):
    """Random ones, biases and norms too."""
    start = jax.eval_shape(NETS[name].init, jax.random.key(0), IMAGES)
    rng = np.random.default_rng(3)
    return jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape) * 0.5), start)


def by_hand(net, params, images):
    """(output, states of the embeddings and every layer) in float64."""
    kernel = np.float64(params["patches"]["kernel"]).reshape(-1, net.dim)
    rows, states = [], []
    for image in images:
        tokens = [np.float64(params["class_token"])] if net.class_token else []
        for i in range(0, 8, 4):
            for j in range(0, 12, 4):
                patch = image[i : i + 4, j : j + 4].reshape(-1)
                tokens.append(patch @ kernel + np.float64(params["patches"]["bias"]))
        rows.append(np.array(tokens) + np.float64(params["positions"]))
    x = np.array(rows)
    states.append(x)
    for number in range(net.layers):
        weights = params[f"layer_{number}"]
        y = normed(x, weights["attention_norm"])
        query, key, value = (dense(y, weights[name]) for name in ("query", "key", "value"))
        mixed = np.zeros_like(query)
        for head in (slice(0, 4), slice(4, 8)):
            logits = query[..., head] @ np.swapaxes(key[..., head], 1, 2) / 2
            share = np.exp(logits - logits.max(axis=-1, keepdims=True))
            mixed[..., head] = share / share.sum(axis=-1, keepdims=True) @ value[..., head]
        x = x + dense(mixed, weights["attention_out"])
        y = dense(normed(x, weights["feed_forward_norm"]), weights["feed_forward_in"])
        y = y * (1 + np.vectorize(erf)(y / np.sqrt(2))) / 2
        x = x + dense(y, weights["feed_forward_out"])
        states.append(x)
    x = x[:, 0] if net.pooling == "cls" else x[:, int(net.class_token) :].mean(axis=1)
    seen = normed(x, params["norm"])
    return (dense(seen, params["head"]) if net.classes else seen), seen, states


@pytest.mark.parametrize("name", NETS)
def test_every_layer_is_its_definition(name):
    net = NETS[name]
    out, seen, states = by_hand(net, variables(name)["params"], IMAGES)
    apply = jax.jit(functools.partial(net.apply, features=True, maps=True))
    found, features, maps = apply(variables(name), np.float32(IMAGES))
    for mine, expected in zip((found, features, *maps), (out, seen, *states), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_gradient_of_the_pixels_is_the_slope_of_the_definition():
    net, params = NETS["class token"], variables("class token")
    weights = np.random.default_rng(1).normal(size=(3, 5))
    slopes = jax.jit(jax.grad(lambda x: (net.apply(params, x) * weights).sum()))(np.float32(IMAGES))
    way = np.random.default_rng(2).normal(size=IMAGES.shape)
    ahead, behind = (
        (by_hand(net, params["params"], IMAGES + step * way)[0] * weights).sum()
        for step in (1e-6, -1e-6)
    )
    np.testing.assert_allclose(np.vdot(slopes, way), (ahead - behind) / 2e-6, rtol=1e-4)


@pytest.mark.thorough
def test_it_works_as_a_plain_function():
    net = NETS["mean"].clone(dropout=0.5)
    encode = encoders.as_function(net)
    plain = encode(variables("mean"), IMAGES)
    dropped = encode(variables("mean"), IMAGES, key=jax.random.key(0))
    assert np.abs(np.asarray(plain - dropped)).max() > 0.01
    rounded = net.clone(dtype=jnp.bfloat16).apply(variables("mean"), IMAGES)
    assert rounded.dtype == jnp.float32
    np.testing.assert_allclose(rounded, plain, atol=0.1)


def test_sizes_are_those_of_vit_b16():
    images = np.zeros((1, 224, 224, 3), np.float32)
    start = jax.eval_shape(encoders.vit_b16(classes=1000).init, jax.random.key(0), images)
    assert sum(a.size for a in jax.tree.leaves(start)) == 86_567_656


def test_bad_arguments_are_named_by_a_vision_transformer():
    for settings, message in (
        ({"patch": 5}, r"patch must divide image=\(8, 12\), got 5"),
        ({"pooling": "max"}, "pooling must be one of 'cls', 'mean', 'map', got 'max'"),
        ({"class_token": False}, 'class_token must be True with pooling="cls", got False'),
        ({"classes": 0}, "classes must be a whole number of at least 1, got 0"),
        ({"image": (8, 8)}, r"images must be .*positions are for, got shape \(3, 8, 12, 2\)"),
    ):
        net = encoders.VisionTransformer(**SIZES | settings)
        with pytest.raises(ValueError, match=message):
            net.init(jax.random.key(0), IMAGES)
