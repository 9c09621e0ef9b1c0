"""Every number of the method's checks that is about losses: vectors taken over from a teacher.

Encoders' heads, ridge maps and quantized codes come with their own rooms.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import losses
from jaxsim.numerics import unit

LOSSES = {
    "squared": losses.embedding_distillation,
    "l2": losses.embedding_distillation_l2,
    "mse": losses.embedding_distillation_mse,
    "cosine": losses.embedding_distillation_cosine,
}
Y = np.array([[3.0, 4.0, 0.0], [1.0, 2.0, 2.0]])
T = np.array([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]])
SQUARED = np.array([[-0.128, 0.096, 0], [0.103703704, 0.007407407, -0.059259259]])
L2 = np.array([[-0.071554175, 0.053665631, 0], [0.142002145, 0.01014301, -0.081144083]])
BY_HAND = {
    "squared": (0.4666666667, SQUARED),
    "l2": (0.6297877813, L2),
    "mse": (0.1555555556, SQUARED / 3),
    "cosine": (0.2333333333, SQUARED / 2),
}


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def normalized(loss):
    """The loss of the student's vectors scaled to norm 1, and its gradient."""
    return jax.jit(jax.value_and_grad(lambda y, t: loss(unit(y), t)))


@pytest.mark.parametrize("name", LOSSES)
def test_by_hand(name):
    value, gradient = normalized(LOSSES[name])(Y, T)
    expected, slope = BY_HAND[name]
    np.testing.assert_allclose(value, expected, atol=1e-10)
    np.testing.assert_allclose(gradient, slope, atol=1e-9)
    # Through the norm: orthogonal to y, and as much smaller as y is larger.
    np.testing.assert_allclose(np.sum(Y * gradient, axis=1), 0, atol=1e-15)
    larger = normalized(LOSSES[name])(7 * Y, T)
    np.testing.assert_allclose(larger[0], value, rtol=1e-14)
    np.testing.assert_allclose(7 * larger[1], gradient, rtol=1e-12, atol=1e-16)


def test_a_mean_pooled_head():
    hidden = np.array([[[1.0, 0], [3, 2], [9, 9]], [[2, -1], [5, 5], [5, 5]]])
    mask = np.array([[1.0, 1, 0], [1, 0, 0]])
    w = np.array([[1.0, 0], [0, 1], [1, 1]])
    t = np.array([[0.0, 0, 1], [1, 0, 0]])

    def loss(w, hidden):
        pooled = jnp.einsum("bl,bld->bd", mask, hidden) / mask.sum(axis=1, keepdims=True)
        return losses.embedding_distillation(unit(pooled @ w.T), t)

    value, gradient = jax.jit(jax.value_and_grad(loss))(w, hidden)
    np.testing.assert_allclose(value, 0.3817196933, atol=1e-10)
    expected = [[-0.043084462, 0.250623296], [-0.157624995, 0.19335303], [0.08126464, -0.231533207]]
    np.testing.assert_allclose(gradient, expected, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_at_the_teacher_loss_and_gradient_vanish(name):
    t = np.asarray(unit(np.random.default_rng(0).normal(size=(3, 4))))
    value, gradient = jax.jit(jax.value_and_grad(LOSSES[name]))(t, t)
    np.testing.assert_allclose(value, 0, atol=1e-15)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)
    one_right = np.concatenate([t[:1], 2 * t[1:]])
    gradient = jax.jit(jax.grad(LOSSES[name]))(one_right, t)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[0], 0, atol=1e-15)


def test_pull_through_the_norm():
    theta, norm = 1.0, 2.5
    y = norm * np.array([[np.cos(theta), np.sin(theta)]])
    t = np.array([[1.0, 0.0]])
    _, l2 = normalized(losses.embedding_distillation_l2)(y, t)
    _, squared = normalized(losses.embedding_distillation)(y, t)
    np.testing.assert_allclose(np.linalg.norm(l2) * norm, 0.8775825619, atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(squared) * norm, 2 * np.sin(theta), rtol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_rotating_student_and_teacher_changes_nothing(name):
    rng = np.random.default_rng(1)
    s, t = rng.normal(size=(2, 5, 4))
    rotation, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    loss = jax.jit(LOSSES[name])
    np.testing.assert_allclose(loss(s @ rotation, t @ rotation), loss(s, t), rtol=1e-12)


@pytest.mark.thorough
def test_the_loss_bounds_scores_and_prefixes():
    rng = np.random.default_rng(2)
    s, t, d = np.asarray(unit(rng.normal(size=(3, 1000, 8))))
    loss = jax.jit(functools.partial(losses.embedding_distillation_l2, reduce_fn=None))
    error, _ = loss(s, t)
    assert (np.abs(np.sum((s - t) * d, axis=1)) <= error + 1e-15).all()
    for k in range(1, 8):
        kept = np.arange(8) < k  # zeros in the place of what is cut: the same distance, one shape
        prefix, _ = loss(s * kept, t * kept)
        assert (prefix <= error + 1e-15).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_is_the_count_weighted_mean_of_its_parts(name):
    s, t = np.random.default_rng(3).normal(size=(2, 7, 4))
    call = jax.jit(jax.value_and_grad(lambda s, where: LOSSES[name](s, t, where=where)))
    whole, first, second, none = (
        call(s, some)
        for some in (np.ones(7, bool), np.arange(7) < 3, np.arange(7) >= 3, np.zeros(7, bool))
    )
    np.testing.assert_allclose(whole[0], (3 * first[0] + 4 * second[0]) / 7, rtol=1e-12)
    assert none[0] == 0
    assert not none[1].any()


@pytest.mark.parametrize("name", LOSSES)
def test_no_gradient_flows_to_the_teacher(name):
    s, t = np.random.default_rng(4).normal(size=(2, 3, 4))
    assert not jax.jit(jax.grad(LOSSES[name], argnums=1))(s, t).any()


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_that_do_not_fit(name):
    with pytest.raises(ValueError, match=r"student must be \[batch, dim\], got shape \(3,\)"):
        LOSSES[name](np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match=r"teacher must be \[3, 4\].*got shape \(3, 5\)"):
        LOSSES[name](np.zeros((3, 4)), np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"weights must be \[3\].*got shape \(2,\)"):
        LOSSES[name](np.zeros((3, 4)), np.zeros((3, 4)), weights=np.ones(2))
