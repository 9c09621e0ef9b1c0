"""Skip-gram over pieces of text against the loss of its pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import losses

RANDOM = np.random.default_rng(0)
INPUTS, OUTPUTS, NEGATIVES = (RANDOM.normal(size=(3, count, 4)) for count in (5, 7, 2))
SEEN = RANDOM.random((3, 5, 7)) < 0.4


def of_pairs(inputs, outputs, negatives):
    """`sgns` of every pair with all negatives of its piece, summed by piece."""
    piece, place, other = np.nonzero(SEEN)
    values, _ = losses.sgns(
        inputs[piece, place], outputs[piece, other], negatives[piece], reduce_fn=None
    )
    return jax.ops.segment_sum(values, piece, num_segments=3).mean()


@pytest.mark.thorough
def test_with_as_many_draws_as_negatives_it_is_sgns_of_the_pairs():
    def loss(*rows):
        return losses.sgns_windows(*rows, pair_where=SEEN, draws=2)

    rows = INPUTS, OUTPUTS, NEGATIVES
    with jax.enable_x64(True):
        for mine, theirs in zip(
            jax.tree.leaves(jax.value_and_grad(loss, argnums=(0, 1, 2))(*rows)),
            jax.tree.leaves(jax.value_and_grad(of_pairs, argnums=(0, 1, 2))(*map(jnp.array, rows))),
            strict=True,
        ):
            np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.thorough
def test_negatives_of_the_batch_are_those_of_every_piece():
    shared = NEGATIVES[0]
    for_each = np.broadcast_to(shared, (3, *shared.shape))

    def loss(negatives):
        return losses.sgns_windows(INPUTS, OUTPUTS, negatives, pair_where=SEEN)

    np.testing.assert_allclose(loss(shared), loss(for_each), rtol=1e-6)
    np.testing.assert_allclose(
        jax.grad(loss)(shared), jax.grad(loss)(for_each).sum(axis=0), rtol=1e-5
    )


def test_what_no_pair_names_may_be_anything():
    seen = SEEN.copy()
    seen[:, 1] = seen[:, :, 6] = False
    inputs, outputs = INPUTS.copy(), OUTPUTS.copy()
    expected = losses.sgns_windows(inputs, outputs, NEGATIVES, pair_where=seen)
    inputs[:, 1], outputs[:, 6] = np.nan, np.inf
    value, gradients = jax.value_and_grad(losses.sgns_windows, argnums=(0, 1, 2))(
        inputs, outputs, NEGATIVES, pair_where=seen
    )
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_rows_and_pairs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="outputs must be"):
        losses.sgns_windows(INPUTS, OUTPUTS[..., :3], NEGATIVES)
    with pytest.raises(ValueError, match="negatives must be"):
        losses.sgns_windows(INPUTS, OUTPUTS, NEGATIVES[..., :3])
    with pytest.raises(ValueError, match="pair_where must be"):
        losses.sgns_windows(INPUTS, OUTPUTS, NEGATIVES, pair_where=SEEN[:, :, :6])
    with pytest.raises(ValueError, match="draws"):
        losses.sgns_windows(INPUTS, OUTPUTS, NEGATIVES, draws=-1)
