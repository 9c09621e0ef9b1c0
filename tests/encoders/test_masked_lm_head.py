"""The masked language model's head against float64 NumPy, and the model's logits at places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from jaxsim import encoders

RNG = np.random.default_rng(0)
STATES, WORDS = RNG.normal(size=(3, 5)), RNG.normal(size=(7, 5))
WEIGHTS = RNG.normal(size=(3, 7))
HEAD = encoders.MaskedLmHead()


def drawn(module, *inputs):
    """Parameters, all drawn, float64."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    random = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: random.normal(size=leaf.shape), shapes)


def by_hand(params, states, words):
    tree = params["params"]
    x = states @ tree["dense"]["kernel"] + tree["dense"]["bias"]
    x = x * (1 + erf(x / 2**0.5)) / 2
    x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-12)
    return (x * tree["norm"]["scale"] + tree["norm"]["bias"]) @ words.T + tree["bias"]


def test_logits_and_slopes_are_the_equations(float64):
    params = drawn(HEAD, STATES, WORDS)
    expected = by_hand(params, STATES, WORDS)
    both = jax.jit(
        jax.value_and_grad(lambda p, s, w: jnp.sum(HEAD.apply(p, s, w) * WEIGHTS), argnums=(1, 2))
    )
    value, slopes = both(params, STATES, WORDS)
    np.testing.assert_allclose(HEAD.apply(params, STATES, WORDS), expected, rtol=1e-10)
    np.testing.assert_allclose(value, np.sum(expected * WEIGHTS), rtol=1e-10)
    for place, slope in enumerate(slopes):
        for row, column in ((0, 0), (2, 4), (1, 2)):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [STATES.copy(), WORDS.copy()]
                moved[place][row, column] += step
                sides.append(np.sum(by_hand(params, *moved) * WEIGHTS))
            numeric = (sides[0] - sides[1]) / 2e-6
            np.testing.assert_allclose(slope[row, column], numeric, rtol=1e-6)


def test_the_head_refuses_words_of_another_width():
    with pytest.raises(ValueError, match=r"words must be \[any, 5\], as wide as the states"):
        HEAD.init(jax.random.key(0), STATES, WORDS[:, :4])


@pytest.mark.thorough
def test_the_model_is_tied_and_gives_the_same_at_places():
    body = encoders.Transformer(vocabulary=11, dim=8, layers=2, heads=2, hidden=16, max_length=6)
    module = encoders.MaskedLanguageModel(body)
    where = np.arange(6) < np.array([[6], [4]])
    texts = {"tokens": np.where(where, RNG.integers(0, 11, size=(2, 6)), 0), "where": where}
    params = module.init(jax.random.key(0), texts)
    assert set(params["params"]) == {"transformer", "head"}
    assert set(params["params"]["head"]) == {"dense", "norm", "bias"}  # no table
    logits = jax.jit(encoders.as_function(module))
    places = np.array([[5, 0, 2], [3, 3, 1]])
    every, some = logits(params, texts), logits(params, texts, places)
    assert every.shape == (2, 6, 11)
    np.testing.assert_allclose(
        some, np.take_along_axis(every, places[..., None], axis=1), rtol=1e-5, atol=1e-5
    )
    # The encoder over the same transformer reads the same parameters.
    own = {"params": {"transformer": params["params"]["transformer"]}}
    states = encoders.TextEncoder(body, pooling=encoders.cls).apply(own, texts)
    words = own["params"]["transformer"]["tokens"]["embedding"]
    head = {"params": params["params"]["head"]}
    np.testing.assert_allclose(HEAD.apply(head, states, words), every[:, 0], rtol=1e-5, atol=1e-5)
    slopes = jax.grad(lambda p: jnp.sum(jnp.square(logits(p, texts, places))))(params)
    assert np.isfinite(slopes["params"]["transformer"]["tokens"]["embedding"]).all()
