"""Binary cross-entropy of logits.

logits [batch], labels [batch] -> loss
"""

import jax

from jaxsim.losses._lift._examples import of_rows, reduced
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics._reductions import mean


@checked
def binary_cross_entropy(
    logits,
    labels,
    *,
    positive_weight=1.0,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Minus the log-probability of a yes or a no, in nats.

        value_i = -positive_weight y_i log sigmoid(s_i) - (1 - y_i) log sigmoid(-s_i)

    Args:
      logits: s [batch]; of lists flatten both, with the mask as `where`.
      labels: y [batch], 0 or 1, or between.
      positive_weight: how much a yes counts against a no; negatives over positives evens them out.
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
      weights: [batch].
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: logistic regression; as a reranker's loss Nogueira and Cho 2019 (1901.04085).
    Data: graded pairs, labels.
    Kind: per example; memory batch.
    """
    logits, labels, where = of_rows(
        where,
        axis_name,
        "batch",
        weights=weights,
        limits={"labels": (0, 1)},
        logits=logits,
        labels=labels,
    )
    yes, no = positive_weight * labels, 1 - labels
    values = yes * jax.nn.softplus(-logits) + no * jax.nn.softplus(logits)
    return reduced(values, where, weights, axis_name, reduce_fn)
