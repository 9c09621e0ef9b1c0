"""Preferences: which of two things somebody liked better.

rewards of the first [batch], rewards of the second [batch] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import of_rows, reduced
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics._reductions import mean


@checked
def bradley_terry(
    first, second, labels=None, *, where=None, weights=None, axis_name=None, reduce_fn=mean
):
    """Minus the log-probability of the answers, if the chance to be liked goes with exp(reward), in nats.

        value_i = -(1 - y_i) log sigmoid(a_i - b_i) - y_i log sigmoid(b_i - a_i)

    Args:
      first, second: rewards a, b [batch].
      labels: y [batch]: 0 where the first was liked better, 1 the second, 0.5 neither. None: the first.
        Others are refused; on a device they give NaN.
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
      weights: [batch].
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Bradley and Terry 1952; as a loss on rewards Christiano et al. 2017 (1706.03741), equation 1.
    Data: preferences.
    Kind: per example; memory batch.
    """
    if labels is None:
        labels = jnp.zeros(jnp.shape(first))
    first, second, labels, where = of_rows(
        where,
        axis_name,
        "batch",
        weights=weights,
        limits={"labels": (0, 1)},
        first=first,
        second=second,
        labels=labels,
    )
    ahead = first - second
    values = (1 - labels) * jax.nn.softplus(-ahead) + labels * jax.nn.softplus(ahead)
    return reduced(values, where, weights, axis_name, reduce_fn)
