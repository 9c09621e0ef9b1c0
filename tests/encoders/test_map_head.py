"""What CLIP, SigLIP and DINOv2 add to a transformer, against their definitions in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from float64_layers import dense, normed

from jaxsim import encoders
from jaxsim.encoders._vision_transformer import resampled

RANDOM = np.random.default_rng(0)
HEAD = encoders.MapHead(heads=2, hidden=6)
STATES = RANDOM.normal(size=(3, 5, 4))
WHERE = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 1, 0]], bool)


def randomized(module, *inputs):
    """Random parameters, biases and norms too."""
    start = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape) * 0.7), start)


def erf(x):
    return np.vectorize(math.erf)(x)


def by_hand(params, states, where):
    """One query of each row attends to the states that count, head by head."""
    vectors = []
    for row, real in zip(states, where, strict=True):
        query = dense(np.float64(params["query_token"]), params["query"])
        keys, values = (dense(row[real], params[name]) for name in ("key", "value"))
        mixed = np.zeros(4)
        for head in (slice(0, 2), slice(2, 4)):
            logits = keys[:, head] @ query[head] / np.sqrt(2)
            share = np.exp(logits - logits.max())
            mixed[head] = share / share.sum() @ values[:, head]
        x = dense(mixed, params["attention_out"])
        inner = dense(normed(x, params["norm"]), params["feed_forward_in"])
        inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
        vectors.append(x + dense(inner, params["feed_forward_out"]))
    return np.array(vectors)


@pytest.mark.thorough
def test_a_learned_query_pools_what_counts():
    variables = randomized(HEAD, np.float32(STATES), WHERE)
    apply = jax.jit(HEAD.apply)
    found = apply(variables, np.float32(STATES), WHERE)
    expected = by_hand(variables["params"], STATES, WHERE)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    spoiled = np.where(WHERE[..., None], STATES, np.nan).astype(np.float32)
    np.testing.assert_allclose(apply(variables, spoiled, WHERE), found, atol=1e-5)
    whole = HEAD.apply(variables, np.float32(STATES))
    np.testing.assert_allclose(
        whole, by_hand(variables["params"], STATES, np.ones((3, 5), bool)), atol=2e-5
    )
    with pytest.raises(ValueError, match="heads must divide dim=4, got 3"):
        encoders.MapHead(heads=3, hidden=6).init(jax.random.key(0), np.float32(STATES))


def test_quick_gelu_is_its_formula():
    x = np.linspace(-6, 6, 41)
    np.testing.assert_allclose(
        encoders.quick_gelu(jnp.float32(x)), x / (1 + np.exp(-1.702 * x)), atol=1e-6
    )
    assert encoders.quick_gelu(jnp.bfloat16(1)).dtype == jnp.bfloat16


@pytest.mark.thorough
def test_layer_scale_multiplies_what_each_part_adds():
    sizes = {"vocabulary": 5, "dim": 4, "layers": 1, "heads": 2, "hidden": 6, "segments": 0}
    plain = encoders.Transformer(**sizes, norm="pre")
    scaled = plain.clone(style=encoders.Style(layer_scale=0.1))
    tokens, where = np.array([[1, 4, 2]]), np.ones((1, 3), bool)
    params = randomized(scaled, tokens, where)["params"]
    layer = dict(params["layer_0"])
    factors = [layer.pop(name) for name in ("attention_scale", "feed_forward_scale")]
    assert [factor.shape for factor in factors] == [(4,), (4,)]
    # The factors inside the last matrix and bias of each part are the same model without them.
    for name, factor in zip(("attention_out", "feed_forward_out"), factors, strict=True):
        layer[name] = {leaf: array * factor for leaf, array in layer[name].items()}
    found = scaled.apply({"params": params}, tokens, where)
    expected = plain.apply({"params": params | {"layer_0": layer}}, tokens, where)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    start = scaled.init(jax.random.key(0), tokens, where)["params"]["layer_0"]
    np.testing.assert_array_equal(start["attention_scale"], np.full(4, np.float32(0.1)))


def cubic(distance):
    """Keys' kernel of cubic convolution with a = -0.75."""
    x, a = abs(distance), -0.75
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def interpolated(maps, y, x):
    """The value at a place of a map whose pixels have their centers at 0.5, 1.5 and so on; edges repeat."""
    total = 0
    for i in range(-3, maps.shape[0] + 3):
        for j in range(-3, maps.shape[1] + 3):
            pixel = maps[np.clip(i, 0, maps.shape[0] - 1), np.clip(j, 0, maps.shape[1] - 1)]
            total = total + cubic(y - i - 0.5) * cubic(x - j - 0.5) * pixel
    return total


def test_positions_of_another_grid_are_interpolated():
    positions = RANDOM.normal(size=(12, 2))
    same = resampled(positions, (3, 4), (3, 4))
    np.testing.assert_allclose(same, positions, atol=1e-6)
    maps = positions.reshape(3, 4, 2)
    for size in ((5, 2), (2, 9)):
        found = np.asarray(resampled(positions, (3, 4), size)).reshape(*size, 2)
        for i in range(size[0]):
            for j in range(size[1]):
                expected = interpolated(maps, (i + 0.5) * 3 / size[0], (j + 0.5) * 4 / size[1])
                np.testing.assert_allclose(found[i, j], expected, atol=1e-5)
    net = encoders.VisionTransformer(
        image=(8, 12), patch=4, dim=4, layers=1, heads=2, hidden=6, table=(3, 4)
    )
    images = np.zeros((1, 8, 12, 3), np.float32)
    shapes = jax.eval_shape(net.init, jax.random.key(0), images)["params"]
    assert shapes["positions"].shape == (13, 4)


def test_the_token_of_a_text_is_found():
    tokens = np.array([[5, 9, 2, 9], [1, 3, 3, 7], [2, 2, 2, 2]])
    where = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]], bool)
    np.testing.assert_array_equal(encoders.highest_place(tokens, where), [1, 1, 0])
    np.testing.assert_array_equal(encoders.place_of(2)(tokens, where), [2, 0, 0])
    np.testing.assert_array_equal(encoders.place_of(7)(tokens, where), [0, 0, 0])
    with pytest.raises(ValueError, match="token must be a whole number"):
        encoders.place_of(1.5)


def test_a_projection_and_classes_exclude_each_other():
    sizes = {"image": (4, 4), "patch": 4, "dim": 4, "layers": 1, "heads": 2, "hidden": 6}
    images = np.zeros((1, 4, 4, 3), np.float32)
    for settings, message in (
        ({"projection": 3, "classes": 2}, "projection and classes must not both be given"),
        ({"projection": 0}, "projection must be a whole number"),
    ):
        with pytest.raises(ValueError, match=message):
            encoders.VisionTransformer(**sizes, **settings).init(jax.random.key(0), images)
