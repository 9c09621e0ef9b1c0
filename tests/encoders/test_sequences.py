"""Bags and convolutions of ids equal their formulas in float64, padding has no influence, and towers are side by side."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import data, encoders

IDS = [[3, 1, 3], [2], [], [4, 0, 1, 2]]
TEXTS = data.padded([np.array(row, np.int32) for row in IDS])


def drawn(module, *inputs):
    """Parameters, all drawn, float64."""
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    return jax.tree.map(lambda leaf: random.normal(size=leaf.shape), shapes)


@pytest.mark.parametrize("pooling", [encoders.summed, encoders.mean])
def test_a_bag_is_a_perceptron_on_counts(float64, pooling):
    module = encoders.BagEncoder(5, 2, width=3, pooling=pooling, dtype=jnp.float64)
    params = drawn(module, TEXTS)
    leaves = params["params"]
    counts = np.stack([np.bincount(row, minlength=5) for row in IDS]).astype(float)
    if pooling is encoders.mean:
        counts /= np.maximum(counts.sum(axis=1, keepdims=True), 1)
    hidden = np.tanh(counts @ leaves["ids"]["embedding"] + leaves["bias"])
    expected = hidden @ leaves["head"]["kernel"] + leaves["head"]["bias"]
    np.testing.assert_allclose(module.apply(params, TEXTS), expected, rtol=1e-6)


def test_a_sequence_net_is_its_formula(float64):
    module = encoders.SequenceNet(5, 2, word_dim=3, width=4, dtype=jnp.float64)
    params = drawn(module, TEXTS)
    leaves = params["params"]
    found = np.asarray(module.apply(params, TEXTS))
    for row, ids in enumerate(IDS):
        rows = [np.zeros(3), *leaves["words"]["embedding"][ids], np.zeros(3)]
        places = [np.concatenate(rows[n : n + 3]) for n in range(len(ids))]
        states = [
            np.tanh(x @ leaves["convolution"]["kernel"] + leaves["convolution"]["bias"])
            for x in places
        ]
        x = np.max(states, axis=0) if ids else np.zeros(4)
        x = np.tanh(x @ leaves["dense"]["kernel"] + leaves["dense"]["bias"])
        expected = x @ leaves["head"]["kernel"] + leaves["head"]["bias"]
        np.testing.assert_allclose(found[row], expected, rtol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [encoders.BagEncoder, encoders.SequenceNet])
def test_padding_has_no_influence(kind):
    module = kind(5, 2)
    params = module.init(jax.random.key(0), TEXTS)
    other = TEXTS["tokens"] + np.where(TEXTS["where"], 0, 3)
    longer = {
        "tokens": np.pad(other, [(0, 0), (0, 2)]),
        "where": np.pad(TEXTS["where"], [(0, 0), (0, 2)]),
    }
    plain, padded = (np.asarray(module.apply(params, texts)) for texts in (TEXTS, longer))
    np.testing.assert_allclose(padded, plain, atol=1e-6)
    assert np.isfinite(plain).all()

    def loss(params):
        return jnp.sum(module.apply(params, TEXTS) ** 2)

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.grad(loss)(params)))


def test_two_towers_are_each_alone():
    first, second = encoders.Mlp(3, (4,)), encoders.BagEncoder(5, 3)
    towers = encoders.TwoTowers(first, second)
    images = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    params = towers.init(jax.random.key(0), images, TEXTS)
    both = encoders.as_function(towers)(params, images, TEXTS)
    for name, tower, inputs, found in zip(
        ("first", "second"), (first, second), (images, TEXTS), both, strict=True
    ):
        alone = tower.apply({"params": params["params"][name]}, inputs)
        np.testing.assert_allclose(found, alone, rtol=1e-6)


def test_what_is_refused():
    with pytest.raises(ValueError, match="buckets must be a whole number of at least 1"):
        encoders.BagEncoder(0, 3).init(jax.random.key(0), TEXTS)
    wrong = {"tokens": TEXTS["tokens"], "where": TEXTS["where"][:, :1]}
    with pytest.raises(ValueError, match="texts' where must be"):
        encoders.SequenceNet(5, 3).init(jax.random.key(0), wrong)
