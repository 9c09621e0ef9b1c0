"""Encoders against a float64 NumPy forward pass, and what padding, cutting and dropout must not change."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import encoders

RANDOM = np.random.default_rng(0)
SIZES = {"vocabulary": 30, "dim": 8, "layers": 2, "heads": 2, "hidden": 12, "max_length": 24}
SMALL = SIZES | {"layers": 1}  # where the number of layers plays no part


def texts(rows, length, shortest=1):
    """Random texts of random lengths, the padding behind."""
    where = np.arange(length) < RANDOM.integers(shortest, length + 1, size=(rows, 1))
    return {
        "tokens": np.where(where, RANDOM.integers(8, 30, size=(rows, length)), 0),
        "where": where,
    }


def padded(text, front, back):
    """The same texts with padding in front and behind, where any token may stand."""
    widths = [(0, 0), (front, back)]
    return {
        "tokens": np.pad(text["tokens"], widths, constant_values=9),
        "where": np.pad(text["where"], widths),
    }


TEXTS = texts(5, 7)


def norm(x, p):
    """LayerNorm over the last axis."""
    centered = x - x.mean(axis=-1, keepdims=True)
    scale = np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-12)
    return centered / scale * p["scale"] + p["bias"]


def dense(x, p):
    """A dense layer."""
    return x @ p["kernel"] + p["bias"]


def gelu(x):
    """x times the normal distribution function, by erf."""
    return x * (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2


def forward(params, tokens, segments, heads, kind):
    """One text without padding, by the equations of BERT (post) or its pre-norm form. [length, dim]"""
    p = jax.tree.map(np.float64, params)
    x = p["tokens"]["embedding"][tokens] + p["segments"]["embedding"][segments]
    x = x + p["positions"]["embedding"][np.arange(len(tokens))]
    if kind == "post":
        x = norm(x, p["norm"])
    for number in range(2):
        layer = p[f"layer_{number}"]
        h = x if kind == "post" else norm(x, layer["attention_norm"])
        q, k, v = (dense(h, layer[n]).reshape(len(x), heads, -1) for n in ("query", "key", "value"))
        mixed = []
        for head in range(heads):
            logits = q[:, head] @ k[:, head].T / np.sqrt(q.shape[-1])
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
            mixed.append(weights / weights.sum(axis=1, keepdims=True) @ v[:, head])
        x = x + dense(np.concatenate(mixed, axis=1), layer["attention_out"])
        if kind == "post":
            x = norm(x, layer["attention_norm"])
        h = x if kind == "post" else norm(x, layer["feed_forward_norm"])
        x = x + dense(gelu(dense(h, layer["feed_forward_in"])), layer["feed_forward_out"])
        if kind == "post":
            x = norm(x, layer["feed_forward_norm"])
    return x if kind == "post" else norm(x, p["norm"])


def drawn(module, *inputs):
    """Random numbers in the place of every parameter, norms and biases too: nothing is compiled."""
    random = np.random.default_rng(1)

    def leaf(path, shape):
        middle = 1 if path[-1].key == "scale" else 0
        return np.float32(middle + 0.4 * random.normal(size=shape.shape))

    return jax.tree_util.tree_map_with_path(
        leaf, jax.eval_shape(module.init, jax.random.key(0), *inputs)
    )


@functools.cache
def built(kind):
    """A transformer with its parameters and its function, jitted once for all tests."""
    module = encoders.Transformer(**SIZES, norm=kind)
    params = drawn(module, TEXTS["tokens"], TEXTS["where"])
    return module, params, jax.jit(module.apply, static_argnames="all_layers")


@pytest.mark.parametrize("kind", ["post", "pre"])
def test_the_transformer_is_its_equations(kind):
    _, params, apply = built(kind)
    states = apply(params, TEXTS["tokens"], TEXTS["where"])
    assert states.dtype == jnp.float32
    for tokens, where, mine in zip(TEXTS["tokens"], TEXTS["where"], states, strict=True):
        expected = forward(params["params"], tokens[where], 0, 2, kind)
        np.testing.assert_allclose(mine[where], expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("kind", ["post", "pre"])
def test_padding_changes_nothing_wherever_it_stands(kind):
    _, params, apply = built(kind)
    plain = np.asarray(apply(params, TEXTS["tokens"], TEXTS["where"]))
    moved = padded(TEXTS, 2, 3)
    states = np.asarray(apply(params, moved["tokens"], moved["where"]))[:, 2:9]
    where = TEXTS["where"]
    np.testing.assert_allclose(states[where], plain[where], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["post", "pre"])
def test_the_last_layer_at_some_places_is_the_last_layer(kind):
    _, params, apply = built(kind)
    places = RANDOM.integers(0, 7, size=(5, 3))
    some = apply(params, TEXTS["tokens"], TEXTS["where"], positions=places)
    whole = np.asarray(apply(params, TEXTS["tokens"], TEXTS["where"]))
    np.testing.assert_allclose(
        some, np.take_along_axis(whole, places[..., None], axis=1), rtol=1e-5, atol=1e-5
    )


def test_all_layers_come_on_request_and_end_with_the_last():
    for kind in ("post", "pre"):
        _, params, apply = built(kind)
        states = apply(params, TEXTS["tokens"], TEXTS["where"], all_layers=True)
        assert len(states) == 3
        last = apply(params, TEXTS["tokens"], TEXTS["where"])
        np.testing.assert_allclose(states[-1], last, rtol=1e-6)


def test_a_row_without_tokens_is_finite_in_value_and_gradient():
    module = encoders.TextEncoder(encoders.Transformer(**SMALL))
    encode = encoders.as_function(module)
    empty = {"tokens": np.zeros((2, 7), int), "where": np.zeros((2, 7), bool)}
    params = drawn(module, empty)
    value, gradient = jax.jit(jax.value_and_grad(lambda p: jnp.abs(encode(p, empty)).sum()))(params)
    assert value == 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.thorough
@pytest.mark.parametrize("pooling", [encoders.mean, encoders.cls])
def test_one_by_one_is_all_together(pooling):
    module = encoders.TextEncoder(encoders.Transformer(**SMALL), pooling=pooling, dim=6)
    encode = jax.jit(encoders.as_function(module))
    params = drawn(module, TEXTS)
    whole = encode(params, TEXTS)
    assert whole.shape == (5, 6)
    for row in range(5):
        one = jax.tree.map(lambda a, row=row: a[row : row + 1], TEXTS)
        for text in (one, padded(one, 0, 9)):
            np.testing.assert_allclose(encode(params, text)[0], whole[row], rtol=1e-4, atol=1e-5)
    length = int(TEXTS["where"][0].sum())
    bare = jax.tree.map(lambda a: a[:1, :length], TEXTS)
    np.testing.assert_allclose(encode(params, bare)[0], whole[0], rtol=1e-4, atol=1e-5)


def test_equal_tokens_match_from_the_start():
    sizes = SIZES | {"dim": 32}
    module = encoders.Transformer(**sizes, initial=32**-0.5, place_initial=0.02, matching=1.5)
    params = jax.jit(module.init)(jax.random.key(0), TEXTS["tokens"], TEXTS["where"])["params"]
    kernels = [params[f"layer_{n}"][side]["kernel"] for n in (0, 1) for side in ("query", "key")]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    np.testing.assert_array_equal(kernels[2], kernels[3])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.1
    np.testing.assert_allclose(kernels[0] @ kernels[1].T, 1.5**2 * np.eye(32), atol=1e-5)
    np.testing.assert_allclose(params["positions"]["embedding"].std(), 0.02, rtol=0.15)
    np.testing.assert_allclose(params["tokens"]["embedding"].std(), 32**-0.5, rtol=0.15)


def test_pooling_by_hand():
    states = np.arange(12.0).reshape(1, 4, 3)
    where = np.array([[False, True, True, False]])
    np.testing.assert_allclose(encoders.cls(states, where), [[3, 4, 5]])
    np.testing.assert_allclose(encoders.mean(states, where), [[4.5, 5.5, 6.5]])


def test_dropout_needs_a_key_and_differs_by_device():
    module = encoders.TextEncoder(encoders.Transformer(**SMALL, dropout=0.5))
    encode = encoders.as_function(module)
    params, key = drawn(module, TEXTS), jax.random.key(1)

    @jax.jit
    def found(texts, key):
        """Without a key, with one, with it on a device of two, and on the other."""

        def on_device(t):
            return encode(params, t, key=key, axis_name="devices")

        twice = jax.tree.map(lambda a: jnp.stack([a, a]), texts)
        each = jax.vmap(on_device, axis_name="devices")(twice)
        return encode(params, texts), encode(params, texts, key=key), *each

    first, again = found(TEXTS, key), found(TEXTS, key)
    np.testing.assert_array_equal(first, again)
    plain, dropped, one, other = (np.asarray(a) for a in first)
    assert np.abs(dropped - plain).max() > 0.01
    assert np.abs(one - other).max() > 0.01


def test_bfloat16_arithmetic_gives_float32_embeddings():
    module = encoders.TextEncoder(encoders.Transformer(**SMALL, dtype=jnp.bfloat16))
    shapes = jax.eval_shape(module.init, jax.random.key(0), TEXTS)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    params = drawn(module, TEXTS)
    half = jax.jit(module.apply)(params, TEXTS)
    full = jax.jit(encoders.TextEncoder(encoders.Transformer(**SMALL)).apply)(params, TEXTS)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, full, rtol=0.1, atol=0.05)


QUERIES = texts(4, 6, shortest=4)
QUERIES["tokens"][:, 0], QUERIES["tokens"][:, 3] = 5, 6
CANDIDATES = texts(4, 8, shortest=3)
CANDIDATES["tokens"][:, 1] = 7


@functools.cache
def crossed(head, kind):
    """A cross-encoder over the transformer of a kind: (its function, jitted once, its parameters)."""
    module = head(built(kind)[0])
    params = drawn(module, QUERIES, CANDIDATES)["params"] | {
        "transformer": built(kind)[1]["params"]
    }
    return jax.jit(encoders.as_function(module)), {"params": params}


def pair(row):
    """One pair as a single sequence without padding: tokens, segments."""
    sides = [t["tokens"][row][t["where"][row]] for t in (QUERIES, CANDIDATES)]
    return np.concatenate(sides), np.repeat([0, 1], [len(s) for s in sides])


@pytest.mark.parametrize("kind", ["post", "pre"])
def test_the_emb_head_is_its_equation(kind):
    params = built(kind)[1]
    score, weights = crossed(encoders.EmbCrossEncoder, kind)
    scores = score(weights, QUERIES, CANDIDATES)
    for row in range(4):
        tokens, segments = pair(row)
        states = forward(params["params"], tokens, segments, 2, kind)
        first, second, third = (int(np.flatnonzero(tokens == m)[0]) for m in (5, 6, 7))
        expected = (states[first] + states[second]) / 2 @ states[third]
        np.testing.assert_allclose(scores[row], expected, rtol=5e-4, atol=5e-5)


def test_the_cls_head_is_its_equation():
    score, weights = crossed(encoders.ClsCrossEncoder, "post")
    params = weights["params"]
    scores = score(weights, QUERIES, CANDIDATES)
    for row in range(4):
        tokens, segments = pair(row)
        state = forward(params["transformer"], tokens, segments, 2, "post")[0]
        pooled = np.tanh(dense(state, jax.tree.map(np.float64, params["pooler"])))
        expected = dense(pooled, jax.tree.map(np.float64, params["score"]))[0]
        np.testing.assert_allclose(scores[row], expected, rtol=5e-4, atol=5e-5)


@pytest.mark.parametrize(
    ("head", "kind"), [(encoders.EmbCrossEncoder, "pre"), (encoders.ClsCrossEncoder, "post")]
)
def test_padding_between_the_texts_changes_no_score(head, kind):
    score, params = crossed(head, kind)
    plain = score(params, QUERIES, CANDIDATES)
    wide = score(params, padded(QUERIES, 0, 3), padded(CANDIDATES, 0, 2))
    np.testing.assert_allclose(wide, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
def test_a_pair_without_markers_is_finite():
    module = encoders.EmbCrossEncoder(encoders.Transformer(**SMALL, norm="pre"))
    plain = {"tokens": np.full((2, 4), 9), "where": np.ones((2, 4), bool)}
    params = drawn(module, plain, plain)
    gradient = jax.jit(jax.grad(lambda p: module.apply(p, plain, plain).sum()))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_lists_are_pairs():
    score, params = crossed(encoders.EmbCrossEncoder, "pre")
    lists = jax.tree.map(lambda a: np.stack([a, a[::-1]], axis=1), CANDIDATES)
    found = encoders.score_lists(score)(params, QUERIES, lists)
    np.testing.assert_allclose(found[:, 0], score(params, QUERIES, CANDIDATES), rtol=1e-5)
    turned = jax.tree.map(lambda a: a[::-1], CANDIDATES)
    np.testing.assert_allclose(found[:, 1], score(params, QUERIES, turned), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: encoders.Transformer(**SIZES).init(
                jax.random.key(0), np.zeros((1, 25), int), np.ones((1, 25), bool)
            ),
            "tokens must be at most max_length=24 long, got 25",
        ),
        (
            lambda: encoders.Transformer(**SIZES | {"heads": 3}).init(
                jax.random.key(0), np.zeros((1, 5), int), np.ones((1, 5), bool)
            ),
            "heads must divide dim=8, got 3",
        ),
        (
            lambda: encoders.Transformer(**SIZES, norm="none").init(
                jax.random.key(0), np.zeros((1, 5), int), np.ones((1, 5), bool)
            ),
            "norm must be one of 'post', 'pre', got 'none'",
        ),
        (
            lambda: encoders.join(QUERIES, TEXTS),
            r"candidates' tokens must be \[4, any\], one row per query, got shape \(5, 7\)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
