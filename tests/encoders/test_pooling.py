"""Poolings by hand, and what a text without tokens gives."""

import functools

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


LAYERS = [
    np.array(layer, np.float32)[None].repeat(2, axis=0)
    for layer in (
        [[5, 5], [5, 5], [5, 5], [5, 5]],
        [[1, 1], [2, 0], [4, -2], [9, 9]],
        [[0, 5], [1, 3], [3, 1], [7, 7]],
    )
]
REAL = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool)


def test_several_layers_are_pooled_side_by_side():
    of_two = functools.partial(encoders.pool_layers, count=2)
    found = jax.jit(functools.partial(of_two, pooling=encoders.without_first(encoders.mean)))(
        LAYERS, REAL
    )
    np.testing.assert_allclose(found, [[3, -1, 2, 2], [0, 0, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(of_two(LAYERS, REAL)[0], [7 / 3, -1 / 3, 4 / 3, 3], rtol=1e-6)
    found = of_two(LAYERS, REAL, pooling=encoders.largest)
    np.testing.assert_allclose(found[0], [4, 1, 3, 5])
    padded = [np.where(REAL[..., None], layer, np.nan) for layer in LAYERS]
    np.testing.assert_array_equal(of_two(padded, REAL), of_two(LAYERS, REAL))


def test_the_mean_of_several_layers_is_pooled():
    found = encoders.pool_mean_of_layers(LAYERS, REAL, count=2)
    np.testing.assert_allclose(found[0], [(7 + 4) / 6, (-1 + 9) / 6], rtol=1e-6)
    found = encoders.pool_mean_of_layers(LAYERS, REAL, count=2, pooling=encoders.largest)
    np.testing.assert_allclose(found[0], [3.5, 3])
    with pytest.raises(ValueError, match="count must be at most 3, the number of layers"):
        encoders.pool_layers(LAYERS, REAL)


def test_a_text_without_its_first_token():
    pooling = encoders.without_first(encoders.mean)
    found = jax.jit(pooling)(STATES, WHERE)
    np.testing.assert_allclose(found, [[5, 0.5], [0, 0]], rtol=1e-6)


@pytest.mark.thorough
def test_a_text_encoder_pools_its_last_layers():
    body = encoders.Transformer(
        vocabulary=30, dim=8, layers=3, heads=2, hidden=16, max_length=8, dropout=0.0
    )
    texts = {"tokens": np.arange(10).reshape(2, 5), "where": np.ones((2, 5), bool)}
    one = encoders.TextEncoder(body)
    params = jax.jit(one.init)(jax.random.key(0), texts)
    cuts = encoders.as_function(one, all_layers=True)(params, texts)
    several = encoders.TextEncoder(body, top_layers=2)
    found = jax.jit(several.apply)(params, texts)
    np.testing.assert_allclose(found, np.concatenate(cuts[-2:], axis=1), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="all_layers needs top_layers=1, got 2"):
        several.apply(params, texts, all_layers=True)


MARKED = {"tokens": np.array([[2, 5, 4, 3, 0], [2, 4, 3, 4, 4]])}
MARKED["where"] = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], bool)


def test_marked_pooling_takes_the_marker_alone():
    texts = encoders.with_marker(MARKED, marker=4)
    np.testing.assert_array_equal(texts["pooled"].argmax(axis=1), [2, 1])  # padding is no marker
    np.testing.assert_array_equal(encoders.marked(STATES, texts["pooled"]), STATES[[0, 1], [2, 1]])
    moved = np.where(texts["pooled"][..., None], STATES, np.nan)
    np.testing.assert_array_equal(
        jax.jit(encoders.marked)(moved, texts["pooled"]), [[3, 0], [1, 2]]
    )


def test_marked_pooling_wants_exactly_one_marker():
    for tokens, count in (([2, 4, 4, 3, 0], 2), ([2, 5, 5, 3, 0], 0)):
        texts = {"tokens": np.array([MARKED["tokens"][1], tokens]), "where": MARKED["where"][::-1]}
        words = f"texts must have exactly one token of marker 4 per row, got {count} in row 1"
        with pytest.raises(ValueError, match=words):
            encoders.with_marker(texts, marker=4)
        pooled = texts["tokens"] == 4
        pooled[0] = [0, 1, 0, 0, 0]
        with pytest.raises(ValueError, match=f"that is marked per row, got {count} in row 1"):
            encoders.marked(STATES, pooled)
        found = jax.jit(encoders.marked)(STATES, pooled)  # on a device: NaN, not another state
        np.testing.assert_array_equal(found[0], [1, 2])
        assert np.isnan(found[1]).all()
