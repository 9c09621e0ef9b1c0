"""SPLADE's encoder: weights of words against float64 NumPy, in blocks of tokens and whole, slopes included."""

import jax
import numpy as np
import pytest

from jaxsim import encoders

WHERE = np.arange(7) < np.array([[7], [4], [0]])
TEXTS = {"tokens": np.random.default_rng(0).integers(0, 30, size=WHERE.shape), "where": WHERE}
SIZES = {"vocabulary": 30, "max_length": 8, "dim": 8, "layers": 1, "heads": 2, "hidden": 12}


def made(**settings):
    return encoders.SpladeEncoder(encoders.Transformer(**SIZES), **settings)


@pytest.fixture(scope="module")
def params():
    shapes, form = jax.tree.flatten(jax.eval_shape(made().init, jax.random.key(0), TEXTS))
    random = np.random.default_rng(1)
    return jax.tree.unflatten(
        form, [np.float32(0.4 * random.normal(size=leaf.shape)) for leaf in shapes]
    )


def reference(params, pooling, activation):
    """In float64, text by text and word by word."""
    module = encoders.MaskedLanguageModel(encoders.Transformer(**SIZES))
    logits = np.float64(jax.jit(module.apply)(params, TEXTS))
    result = np.zeros((len(WHERE), SIZES["vocabulary"]))
    for row, column in np.ndindex(result.shape):
        values = [max(v, 0.0) for v in logits[row, WHERE[row], column]]
        weights = [activation(value) for value in values]
        result[row, column] = pooling(weights) if weights else 0.0
    return result


@pytest.mark.parametrize("block", [3, 16])
@pytest.mark.parametrize(
    ("ours", "theirs"), [(encoders.largest, max), (encoders.summed, sum)], ids=["max", "sum"]
)
def test_words_are_weighted_as_the_papers_have_it(params, ours, theirs, block):
    module = made(pooling=ours, block=block)
    found = jax.jit(module.apply)(params, TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference(params, theirs, np.log1p), atol=2e-6)
    assert (found[0] == 0).any()
    assert not found[2].any()


@pytest.mark.thorough
def test_twice_saturated_weights(params):
    found = made(activation=encoders.log_log_saturation).apply(params, TEXTS)
    expected = reference(params, max, lambda x: np.log1p(np.log1p(x)))
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.thorough
def test_slopes_in_blocks_are_those_of_the_whole(params):
    weights = jax.random.normal(jax.random.key(2), (len(WHERE), SIZES["vocabulary"]))

    def value(params, block, pooling):
        vectors = made(block=block, pooling=pooling).apply(params, TEXTS)
        return (weights * vectors).sum()

    slope = jax.jit(jax.grad(value), static_argnums=(1, 2))
    for pooling in (encoders.largest, encoders.summed):
        whole, cut = slope(params, 16, pooling), slope(params, 2, pooling)
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(whole)) > 0.1
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), whole, cut)


def test_what_is_masked_has_no_influence(params):
    other = {**TEXTS, "tokens": np.where(WHERE, TEXTS["tokens"], 29)}
    run = jax.jit(made(block=3).apply)
    np.testing.assert_array_equal(run(params, TEXTS), run(params, other))
    pooled = {**TEXTS, "pooled": WHERE & (np.arange(7) > 1)}
    assert (run(params, pooled) <= run(params, TEXTS)).all()


def test_the_largest_numbers_are_kept_and_of_equal_ones_the_first():
    vectors = np.float32([[1, 3, 3, 0, 3], [0, 0, 0, 5, 0]])
    np.testing.assert_array_equal(
        encoders.keep_largest(vectors, 2), [[0, 3, 3, 0, 0], [0, 0, 0, 5, 0]]
    )
    np.testing.assert_array_equal(encoders.keep_largest(vectors, 9), vectors)


def test_refusals():
    with pytest.raises(ValueError, match="pooling must be largest or summed, got mean"):
        made(pooling=encoders.mean).init(jax.random.key(0), TEXTS)
    with pytest.raises(ValueError, match="k must be"):
        encoders.keep_largest(np.ones((1, 2)), 0)
