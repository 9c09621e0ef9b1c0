"""Cosines that regress on what they should be: 1 to the right class and 0 to all others.

embeddings [batch, dim], labels [batch], class_weights [classes, dim] -> loss
"""

import jax.numpy as jnp

from jaxsim.losses._lift._classes import over_classes
from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import masked
from jaxsim.numerics._reductions import mean


@checked
def p2s_grad(
    embeddings,
    labels,
    class_weights,
    *,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """Softmax classification's gradient with the cosines themselves for probabilities: no temperature.

        value_i = 1/2 sum_c (cos(x_i, w_c) - [c = y_i])^2

    Its slope along a cosine is cos(x_i, w_c) - [c = y_i], where the softmax on cosines has p_ic -
    [c = y_i]. Counts all examples.

    Args:
      embeddings: [batch, dim].
      labels: int [batch], places in `class_weights`; beyond them as in `normalized_softmax`.
      class_weights: [classes, dim].
      where, weights, axis_name, block, reduce_fn: as in `normalized_softmax`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `normalized_softmax`.
    Source: Zhang et al. 2019 (1905.02479), equation 11, which gives the gradient alone.
    Data: labels.
    Kind: proxies; memory block x classes.
    """

    def rule(scores, own, where, sizes):
        return masked.sum(jnp.square(scores - own) / 2, where), own.any(axis=1)

    return over_classes(
        rule,
        embeddings,
        labels,
        matrix("class_weights", class_weights, "one row per class"),
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )
