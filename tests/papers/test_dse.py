"""Every number of the method's checks: labels and a teacher's logits at once, the head, pooling, the score matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import encoders, losses


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def value_and_gradient(loss, student, teacher, labels, alpha):
    """A loss and its gradient by the student."""
    call = jax.jit(jax.value_and_grad(lambda o: loss(o, teacher, labels, alpha=alpha)))
    return call(np.asarray(student))


@pytest.mark.parametrize(
    ("alpha", "expected", "slope"),
    [
        (0.0, 0.3047555609, [-0.12584689, 0.08964714, -0.03973431]),
        (0.5, 1.5273777805, [-0.22959011, 0.71149024, 0.64679951]),
        (1.0, 2.75, [-1 / 3, 4 / 3, 4 / 3]),
    ],
)
def test_binary(alpha, expected, slope):
    teacher, labels = np.array([1.0, -3.0, 0.0]), np.array([1, 0, 1])
    value, gradient = value_and_gradient(
        losses.dse_binary, [0.5, -1.0, 2.0], teacher, labels, alpha
    )
    np.testing.assert_allclose(value, expected, atol=1e-10)
    np.testing.assert_allclose(gradient, slope, atol=1e-8)


LOGITS = np.array([[1.0, 0.0, -1.0], [0.0, 2.0, 1.0]])
T = np.array([[2.0, 0.0, -2.0], [1.0, 1.0, 1.0]])
LABELS = np.array([0, 2])


@pytest.mark.parametrize(
    ("alpha", "expected", "slope"),
    [
        (0.0, 0.9076059644, None),
        (
            0.5,
            1.4538029822,
            [[-0.58368976, 0.06118212, 0.52250764], [-0.47749236, 0.66631024, -0.18881788]],
        ),
        (1.0, 2.0, [[-1, 0, 1], [-1, 1, 0]]),
    ],
)
def test_multiclass(alpha, expected, slope):
    value, gradient = value_and_gradient(losses.dse_multiclass, LOGITS, T, LABELS, alpha)
    np.testing.assert_allclose(value, expected, atol=1e-10)
    if slope is not None:
        np.testing.assert_allclose(gradient, slope, atol=1e-8)


def test_the_loss_is_affine_in_alpha():
    none, half, all_ = (losses.dse_multiclass(LOGITS, T, LABELS, alpha=a) for a in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(half, (none + all_) / 2, rtol=1e-14)


def test_centered_logits_know_no_offset():
    shift = np.array([[3.0], [-5.0]])
    base = losses.dse_multiclass(losses.parts.centered(LOGITS), losses.parts.centered(T), LABELS)
    moved = losses.dse_multiclass(
        losses.parts.centered(LOGITS + shift), losses.parts.centered(T - shift), LABELS
    )
    np.testing.assert_allclose(moved, base, rtol=1e-14)
    assert abs(losses.dse_multiclass(LOGITS + shift, T, LABELS) - base) > 1
    # The label's own term does not see the offset, so that centering leaves it as it is.
    np.testing.assert_allclose(
        losses.dse_multiclass(losses.parts.centered(LOGITS), T, LABELS, alpha=0.0),
        0.9076059644,
        atol=1e-10,
    )


def test_regression():
    o, t, y = np.array([2.5, 4.0]), np.array([3.0, 1.0]), np.array([5.0, 2.0])
    value, gradient = value_and_gradient(losses.dse_regression, o, t, y, 0.5)
    np.testing.assert_allclose(value, 4.875, rtol=1e-14)
    np.testing.assert_allclose(gradient, [-1.5, 2.5], rtol=1e-14)
    averaged = np.mean((o - [4.0, 1.5]) ** 2) + np.mean(0.25 * (y - t) ** 2)
    np.testing.assert_allclose(value, averaged, rtol=1e-14)


def test_the_teachers_logit_of_two_is_their_difference():
    np.testing.assert_array_equal(
        losses.parts.binary_logit(np.array([[1.0, 4.0], [2.0, -1.0]])), [3, -3]
    )
    with pytest.raises(ValueError, match=r"logits must be \[..., 2\], got shape \(4, 3\)"):
        losses.parts.binary_logit(np.zeros((4, 3)))


def test_an_alpha_that_is_no_share():
    with pytest.raises(ValueError, match=r"alpha must be between 0 and 1, got 1\.5"):
        losses.dse_regression(np.zeros(2), np.zeros(2), np.zeros(2), alpha=1.5)


U, V = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([[3.0, -1.0], [0.0, 2.0]])
W1 = np.array([[1, 0, 0, 1, 0.5, 0, 0, -1], [0, -1, 1, 0, 0, 1, 1, 0]], float)
HEAD = encoders.PairHead((2,))
PARAMS = {
    "params": {
        "dense_0": {"kernel": W1.T, "bias": np.array([0.5, 0.0])},
        "dense_1": {"kernel": np.array([[2.0], [-1.0]]), "bias": np.array([0.25])},
    }
}


def test_the_features_of_a_pair():
    phi = encoders.compare_features(U, V)
    np.testing.assert_array_equal(phi, [[1, 2, 3, -1, 3, -2, 2, 3], [0, -1, 0, 2, 0, -2, 0, 3]])
    dot = {"params": {"head": {"kernel": np.ones((1, 1)), "bias": np.zeros(1)}}}
    np.testing.assert_array_equal(encoders.DotHead().apply(dot, U, V)[:, 0], [1, -2])


def test_the_head_of_a_pair_and_its_gradients():
    hidden = np.maximum(np.asarray(encoders.compare_features(U, V)) @ W1.T + [0.5, 0], 0)
    np.testing.assert_allclose(hidden, [[0, 1], [0, 0]], atol=1e-15)
    np.testing.assert_allclose(HEAD.apply(PARAMS, U, V)[:, 0], [-0.75, 0.25], rtol=1e-14)
    slopes = jax.grad(lambda u, v: jnp.sum(HEAD.apply(PARAMS, u, v)), argnums=(0, 1))(U, V)
    np.testing.assert_allclose(slopes[0], [[1, 2], [0, 0]], atol=1e-14)
    np.testing.assert_allclose(slopes[1], [[-2, -2], [0, 0]], atol=1e-14)


def drawn(head, dim):
    """Parameters, all drawn, float64."""
    one = jnp.zeros((1, dim))
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(head.init, jax.random.key(0), one, one)
    return jax.tree.map(lambda leaf: random.normal(size=leaf.shape), shapes)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "head",
    [encoders.PairHead((6, 3), 2), encoders.PairHead((6,), symmetric=True), encoders.DotHead()],
)
def test_a_score_matrix_is_every_pair_at_any_block_size(head):
    params = drawn(head, 5)
    x, y = np.random.default_rng(1).normal(size=(2, 7, 5))
    pairs = [np.repeat(x, 7, axis=0), np.tile(y, (7, 1))]
    expected = np.asarray(head.apply(params, *pairs)).reshape(7, 7, -1)
    for size in (None, 1, 3, 7, 50):
        matrix = encoders.score_matrix(head, params, x, y, block_size=size)
        np.testing.assert_allclose(matrix, expected, rtol=1e-12, atol=1e-12)
    same = np.array_equal(head.apply(params, x, y), head.apply(params, y, x))
    assert same == (not isinstance(head, encoders.PairHead) or head.symmetric)


@pytest.mark.thorough
def test_equal_vectors():
    phi = np.asarray(encoders.compare_features(U, U))
    np.testing.assert_array_equal(phi[:, 4:], np.concatenate([U**2, 0 * U], axis=1))
    assert np.isfinite(jax.grad(lambda u: jnp.sum(HEAD.apply(PARAMS, u, u)))(U)).all()


def test_pooling_of_layers():
    layers = [
        np.array([[[1, 1], [2, 0], [4, -2], [9, 9]]]),
        np.array([[[0, 5], [1, 3], [3, 1], [7, 7]]]),
    ]
    where = np.array([[True, True, True, False]])
    layers = [layer.astype(float) for layer in layers]
    without = encoders.pool_layers(
        layers, where, count=2, pooling=encoders.without_first(encoders.mean)
    )
    np.testing.assert_allclose(without, [[3, -1, 2, 2]], rtol=1e-6)
    whole = encoders.pool_layers(layers, where, count=2)
    np.testing.assert_allclose(whole, [[7 / 3, -1 / 3, 4 / 3, 3]], rtol=1e-6)
    padded = [np.where(where[..., None], layer, np.nan) for layer in layers]
    np.testing.assert_array_equal(encoders.pool_layers(padded, where, count=2), whole)
