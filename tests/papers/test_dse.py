"""Every number of the method's checks that is about losses: labels and a teacher's logits at once.

The comparison head, pooling and the score matrix come with the encoders.
"""

import jax
import numpy as np
import pytest

from jaxsim import losses


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
