"""Poly weights: cross-entropy and one minus the probability at once.

It works on the values of a loss that are minus log-probabilities, as a reduction of it:

    losses.info_nce(queries, documents, reduce_fn=losses.poly1_mean)
    losses.list_softmax(scores, reduce_fn=functools.partial(losses.poly1_mean, epsilon=2.0))
"""

import jax.numpy as jnp

from jaxsim.losses.settings import checked
from jaxsim.numerics.reductions import mean


@checked
def poly1_mean(values, weights, axis_name=None, *, epsilon=1.0):
    """A `reduce_fn`: the mean of value + epsilon (1 - p), where value = -log p.

    The first term of cross-entropy's series in 1 - p, weighed anew: with epsilon > 0 examples that are
    nearly solved pull harder.

    Args:
      values: minus log-probabilities, [rows].
      weights: [rows].
      axis_name: the named axis over which the rows are split, or None.
      epsilon: > -1; 0 is the plain mean.

    Returns: a scalar, the same on every device.
    Source: PolyLoss (Leng et al. 2022, 2204.12511), Poly-1.
    Data: pairs, lists, labels.
    Kind: part; memory batch.
    Peers: rax poly1_softmax_loss (`list_softmax` with it, one positive); optax poly_loss_cross_entropy
      (`cross_entropy` with it; epsilon, theirs 2).
    """
    return mean(values - epsilon * jnp.expm1(-values), weights, axis_name)
