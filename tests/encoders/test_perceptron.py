"""The multilayer perceptron, against its definition in NumPy."""

import jax
import numpy as np
import pytest

from jaxsim import encoders

INPUTS = np.float32(np.random.default_rng(0).normal(size=(3, 2, 4)))


def test_the_network_is_its_definition_over_any_leading_axes():
    net = encoders.Mlp(dim=5, widths=(6, 3))
    params = net.init(jax.random.key(0), INPUTS)
    embeddings, seen = jax.jit(lambda p, x: net.apply(p, x, features=True))(params, INPUTS)
    layers = {
        name: [np.asarray(layer[part], np.float64) for part in ("kernel", "bias")]
        for name, layer in params["params"].items()
    }
    x = INPUTS.astype(np.float64)
    for name in ("dense_0", "dense_1"):
        x = np.maximum(x @ layers[name][0] + layers[name][1], 0)
    np.testing.assert_allclose(seen, x, rtol=1e-5, atol=1e-6)
    expected = x @ layers["head"][0] + layers["head"][1]
    np.testing.assert_allclose(embeddings, expected, rtol=1e-5, atol=1e-6)
    assert set(layers) == {"dense_0", "dense_1", "head"}


def test_without_hidden_layers_it_is_a_linear_map():
    net = encoders.Mlp(dim=2, widths=())
    params = net.init(jax.random.key(0), INPUTS)
    assert set(params["params"]) == {"head"}
    assert net.apply(params, INPUTS).shape == (3, 2, 2)


def test_a_width_that_is_no_whole_number_is_named():
    with pytest.raises(ValueError, match="widths must be"):
        encoders.Mlp(dim=2, widths=(0,)).init(jax.random.key(0), INPUTS)
