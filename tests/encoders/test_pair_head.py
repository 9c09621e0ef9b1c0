"""Heads of pairs, against float64 in plain NumPy: scores, all pairs in blocks, gradients, symmetry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import encoders

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 6)), RNG.normal(size=(7, 6))


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def drawn(head, dim=6):
    """Parameters, all drawn, float64."""
    shapes = jax.eval_shape(head.init, jax.random.key(0), jnp.zeros((1, dim)), jnp.zeros((1, dim)))
    random = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: random.normal(size=leaf.shape), shapes)


def by_hand(head, params, u, v):
    """The scores of one pair, layer by layer."""
    layers = params["params"]
    x = np.concatenate([u, v, u * v, np.abs(u - v)])
    for number in range(len(layers)):
        kernel, bias = layers[f"dense_{number}"]["kernel"], layers[f"dense_{number}"]["bias"]
        if number == 0 and head.symmetric:
            kernel = np.concatenate([kernel[: len(u)], kernel])
        x = x @ kernel + bias
        x = x if number == len(layers) - 1 else np.maximum(x, 0)
    return x


HEADS = [
    encoders.PairHead((4,)),
    encoders.PairHead((5, 4), 3),
    encoders.PairHead((), 2),
    encoders.PairHead((4,), 2, symmetric=True),
]


@pytest.mark.parametrize("head", HEADS)
def test_scores_are_the_perceptrons_and_a_matrix_is_every_pair(head):
    params = drawn(head)
    expected = np.array([[by_hand(head, params, u, v) for v in Y] for u in X])
    own = jax.jit(head.apply)(params, X, Y[:5])
    np.testing.assert_allclose(own, expected[np.arange(5), np.arange(5)], rtol=1e-12)
    for size in (None, 1, 2, 3, 5, 100):
        matrix = encoders.score_matrix(head, params, X, Y, block_size=size)
        np.testing.assert_allclose(matrix, expected, rtol=1e-12, atol=1e-13)
    score = encoders.as_function(head)
    np.testing.assert_allclose(score(params, X, Y[:5]), own, rtol=1e-14)


def test_gradients_of_the_split_layer_are_those_of_the_whole():
    head = HEADS[1]
    params = drawn(head)
    weights = RNG.normal(size=(5, 7, 3))

    def whole(params, x, y):
        pairs = encoders.compare_features(*jnp.broadcast_arrays(x[:, None], y[None]))
        layers = params["params"]
        for number in range(3):
            layer = layers[f"dense_{number}"]
            pairs = (jax.nn.relu(pairs) if number else pairs) @ layer["kernel"] + layer["bias"]
        return jnp.sum(pairs * weights)

    def split(params, x, y):
        return jnp.sum(encoders.score_matrix(head, params, x, y, block_size=2) * weights)

    found, expected = (
        jax.jit(jax.grad(f, argnums=(0, 1, 2)))(params, X, Y) for f in (split, whole)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12), found, expected
    )
    for side, values in ((1, X), (2, Y)):
        step = 1e-6 * RNG.normal(size=values.shape)
        moved = [[params, X, Y], [params, X, Y]]
        moved[0][side], moved[1][side] = values + step, values - step
        slope = (split(*moved[0]) - split(*moved[1])) / 2
        np.testing.assert_allclose(slope, np.sum(found[side] * step), rtol=1e-6)


def test_a_symmetric_head_does_not_see_the_order():
    for head, exact in ((HEADS[3], True), (HEADS[0], False), (encoders.DotHead(2), True)):
        params = drawn(head)
        there, back = head.apply(params, X, Y[:5]), head.apply(params, Y[:5], X)
        assert np.array_equal(there, back) == exact
        matrix = encoders.score_matrix(head, params, X, Y)
        turned = encoders.score_matrix(head, params, Y, X)
        # Products of other shapes are summed in another order.
        assert np.allclose(matrix, turned.swapaxes(0, 1), rtol=1e-12, atol=1e-13) == exact


def test_the_dot_head():
    head = encoders.DotHead(2)
    params = drawn(head)
    kernel, bias = params["params"]["head"]["kernel"], params["params"]["head"]["bias"]
    expected = (X @ Y.T)[..., None] * kernel[0] + bias
    for size in (None, 2):
        matrix = encoders.score_matrix(head, params, X, Y, block_size=size)
        np.testing.assert_allclose(matrix, expected, rtol=1e-12)
    own = head.apply(params, X, Y[:5])
    np.testing.assert_allclose(own, expected[np.arange(5), np.arange(5)], rtol=1e-12)


def test_equal_vectors_have_slope_zero_through_their_distance():
    gradient = jax.grad(lambda u: jnp.sum(encoders.compare_features(u, X)[:, 18:]))(X)
    np.testing.assert_array_equal(gradient, 0)
    head, params = HEADS[0], drawn(HEADS[0])
    assert np.isfinite(jax.grad(lambda u: jnp.sum(head.apply(params, u, u)))(X)).all()


def test_dropout_is_once_for_each_text():
    head = encoders.PairHead((), dropout=0.5)
    params = drawn(head)
    key = {"dropout": jax.random.key(3)}
    dropped = head.apply(params, X, X, deterministic=False, all_pairs=True, rngs=key)
    assert not np.allclose(dropped, head.apply(params, X, X, all_pairs=True))
    whole = head.apply(params, X, X, deterministic=False, all_pairs=True, block_size=2, rngs=key)
    np.testing.assert_allclose(whole, dropped, rtol=1e-12)


def test_lower_precision_comes_out_as_float32():
    head = HEADS[0]
    params = jax.tree.map(lambda a: np.asarray(a, np.float32), drawn(head))
    found = head.apply(params, jnp.bfloat16(X), jnp.bfloat16(Y[:5]))
    assert found.dtype == jnp.float32


def test_what_does_not_fit_is_named():
    head, params = HEADS[0], drawn(HEADS[0])
    with pytest.raises(ValueError, match=r"second must be \[5, 6\], as first, got shape \(7, 6\)"):
        head.apply(params, X, Y)
    with pytest.raises(ValueError, match=r"second must be \[any, 6\]"):
        encoders.score_matrix(head, params, X, Y[:, :4])
    with pytest.raises(ValueError, match="block_size must be a whole number of at least 1, got 0"):
        encoders.score_matrix(head, params, X, Y, block_size=0)
    with pytest.raises(ValueError, match="second must have one row at least, got 0"):
        encoders.score_matrix(head, params, X, Y[:0])
    with pytest.raises(ValueError, match="hidden must be a whole number"):
        encoders.PairHead((0,)).init(jax.random.key(0), X, X)
