"""Cross-entropy of logits of classes.

logits [batch, ..., classes], labels int [batch, ...] -> loss
"""

import math

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.numerics import masked
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, RuleResult


@over_examples(
    axes="batch, ..., classes", places={"labels": "logits"}, masks={"label_where": "labels"}
)
def cross_entropy(
    logits: Array, labels: Array, label_where: Array | None = None, where: Array | None = None
) -> RuleResult:
    """Cross-entropy: minus the log-probability of each label, in nats.

        mean over all labels of all rows of  log sum_c exp(s_c) - s_label

    Counts the labels, so that a row of many counts for as many. A row's weight is that of all its labels.

    Args:
      logits: s [batch, ..., classes].
      labels: int [batch, ...], from 0. One that is not a class is refused; on a device it gives NaN.
      label_where: bool [batch, ...], False where a label is missing and may be anything.

    Source: multinomial logistic regression.
    Data: labels, graded pairs.
    Memory: batch x classes.
    """
    mask = jnp.broadcast_to(where.reshape(-1, *[1] * (labels.ndim - 1)), labels.shape)
    mask = mask if label_where is None else mask & label_where
    logits = zeroed(logits, mask)
    # Shifted first: near the largest of logits of 1e4 nothing is left of the logarithm otherwise.
    largest = jax.lax.stop_gradient(logits.max(axis=-1))
    largest = jnp.where(jnp.isfinite(largest), largest, 0)
    every = jnp.exp(logits - largest[..., None]).sum(axis=-1)
    costs = jnp.log(every) - (_of_label(logits, jnp.where(mask, labels, 0)) - largest)
    each = math.prod(labels.shape[1:])
    costs, mask = costs.reshape(len(labels), each), mask.reshape(len(labels), each)
    return masked.mean(costs, mask), mask.sum(axis=1)


@jax.custom_jvp
def _of_label(logits, labels):
    """The logit of each label; its gradient is a choice, where adding at computed places takes longer."""
    return jnp.take_along_axis(logits, labels[..., None], axis=-1, mode="clip")[..., 0]


@_of_label.defjvp
def _of_label_jvp(primals, tangents):
    logits, labels = primals
    picked = jnp.arange(logits.shape[-1]) == labels[..., None]
    return _of_label(logits, labels), jnp.where(picked, tangents[0], 0).sum(axis=-1)
