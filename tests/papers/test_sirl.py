"""The checks of SIRL's symmetric triplets."""

import jax
import numpy as np
import pytest

from jaxsim import losses


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def triplet(first, second, odd, margin=1.0):
    """(value, gradients by the three) of one symmetric triplet."""

    def loss(first, second, odd):
        return losses.symmetric_triplet(first[None], second[None], odd[None], margin=margin)

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(first, second, odd)


A, B, N = np.array([0.0, 0.0]), np.array([1.0, 0.0]), np.array([0.0, 2.0])


def test_numbers():
    assert triplet(A, B, N)[0] == 0
    np.testing.assert_allclose(triplet(A, B, N, margin=5.0)[0], 3)  # 2 + 1


def test_the_pair_may_be_exchanged_and_all_three_moved():
    value, gradients = triplet(A, B, N, margin=5.0)
    turned, theirs = triplet(B, A, N, margin=5.0)
    np.testing.assert_allclose(turned, value)
    np.testing.assert_allclose(theirs, [gradients[1], gradients[0], gradients[2]])
    np.testing.assert_allclose(sum(gradients), 0, atol=1e-14)


def test_slopes_of_active_hinges():
    # dA = 2 (N - P), dP = 2 (P - A), dN = 2 (A - N) of one triplet, and its mirror.
    _, (first, second, odd) = triplet(A, B, N, margin=5.0)
    np.testing.assert_allclose(first, 2 * (N - B) + 2 * (A - B))
    np.testing.assert_allclose(second, 2 * (B - A) + 2 * (N - A))
    np.testing.assert_allclose(odd, 2 * (A - N) + 2 * (B - N))


def test_equal_embeddings_cost_both_margins_and_have_no_slope():
    value, gradients = triplet(A, A, A, margin=1.5)
    np.testing.assert_allclose(value, 3)
    assert not np.any(gradients)


def test_bad_shapes_are_named():
    with pytest.raises(
        ValueError, match=r"odd must be \[1, 2\], the shape of first, got shape \(2,\)"
    ):
        losses.symmetric_triplet(A[None], B[None], N)
