"""Cross-entropy of logits of classes.

logits [batch, ..., classes], labels int [batch, ...] -> loss
"""

import math

import jax.numpy as jnp
import numpy as np

from jaxsim.losses._lift._examples import real_numbers, reduced, with_weight
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import zeroed


@checked
def cross_entropy(
    logits,
    labels,
    *,
    label_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Minus the log-probability of each label, in nats.

        mean over all labels of all rows of  log sum_c exp(s_c) - s_label

    Counts the labels, so that a row of many counts for as many.

    Args:
      logits: s [batch, ..., classes].
      labels: int [batch, ...], from 0. One that is not a class is refused; on a device it gives NaN.
      label_where: bool [batch, ...], False where a label is missing and may be anything.
      where: bool [batch], False for padding.
      weights: [batch], how much the labels of a row count.
      axis_name, reduce_fn: as in `binary_cross_entropy`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, labels that are no integers, an unbound axis.
    Source: multinomial logistic regression.
    Data: labels, graded pairs.
    Kind: per example; memory batch x classes.
    """
    if axis_name is not None:
        checks.bound(axis_name)
    logits, as_given = at_least_float32(real_numbers("logits", logits)), labels
    labels = checks.numbers_of("labels", labels)
    if logits.ndim < 2:
        raise ValueError(f"logits must be [batch, ..., classes], got shape {logits.shape}")
    checks.shaped("labels", labels, logits.shape[:-1], "one per row of logits")
    checks.integers("labels", labels)
    rows = checks.mask("where", where, labels.shape[:1])
    kept = checks.mask("label_where", label_where, labels.shape, "one per label")
    if checks.host(as_given, where, label_where):
        there = np.ones(labels.shape, bool) if label_where is None else np.asarray(label_where)
        if where is not None:
            there = there & np.reshape(where, (-1, *[1] * (labels.ndim - 1)))
        remedy = "label_where=False leaves a label out"
        checks.within("labels", as_given, 0, logits.shape[-1] - 1, where=there, remedy=remedy)
    rows = with_weight(rows, weights)
    kept = kept & rows.reshape(-1, *[1] * (labels.ndim - 1))
    logits, labels = zeroed(logits, kept), jnp.where(kept, labels, 0)
    labels = jnp.where(labels < 0, logits.shape[-1], labels)  # not counted from the end: NaN
    log_p = masked.log_softmax(logits, True)
    likely = jnp.take_along_axis(log_p, labels[..., None], axis=-1, mode="fill")
    each = math.prod(labels.shape[1:])
    likely, kept = likely.reshape(len(rows), each), kept.reshape(len(rows), each)
    return reduced(masked.mean(-likely, kept), kept.sum(axis=1), weights, axis_name, reduce_fn)
