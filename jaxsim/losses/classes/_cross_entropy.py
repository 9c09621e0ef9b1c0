"""Cross-entropies: a yes or no, a class, every word of a text.

logits [batch], labels [batch] -> loss
logits [batch, ..., classes], labels int [batch, ...] -> loss
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.losses._lift._examples import of_rows, real_numbers, reduced, with_weight
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import zeroed


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


def pair_features(first, second):
    """What Sentence-BERT shows its classifier of two vectors: u, v and |u - v|, [..., 3 dim].

    Where the two are equal |u - v| has slope 0.

    Data: graded pairs.
    Kind: part; memory batch x dim.
    """
    apart = first - second
    apart = jnp.where(apart == 0, 0, jnp.abs(apart))  # slope 0 there, not 1
    return jnp.concatenate([first, second, apart], axis=-1)


@checked
def pair_classification(
    first,
    second,
    labels,
    kernel,
    bias=None,
    *,
    features=pair_features,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """The class of a pair, entailment say, told by a linear classifier of both vectors, in nats.

        value_i = cross-entropy of label i at  features(u_i, v_i) kernel + bias

    The classifier is trained along and thrown away; the vectors are what stays.

    Args:
      first, second: u, v [pairs, dim].
      labels: int [pairs].
      kernel: [features, classes], 3 dim features unless told. A parameter, not split over devices.
      bias: [classes], or None.
      features: (u, v) -> [pairs, features].
      where: bool [pairs], False for padding. What stands there has no influence, NaN included.
      weights, axis_name, reduce_fn: as in `binary_cross_entropy`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `cross_entropy`, and for a kernel that does not fit.
    Source: Sentence-BERT (Reimers and Gurevych 2019, 1908.10084), its classification objective.
    Data: graded pairs.
    Kind: per example; memory batch x classes.
    """
    first, second, _ = of_rows(
        where, axis_name, "pairs, dim", weights=weights, first=first, second=second
    )
    shown, kernel = features(first, second), real_numbers("kernel", kernel)
    checks.shaped("kernel", kernel, (shown.shape[-1], None), "a row for each feature")
    logits = jnp.matmul(shown, at_least_float32(kernel), precision="highest")
    if bias is not None:
        bias = real_numbers("bias", bias)
        checks.shaped("bias", bias, kernel.shape[1:], "one per class")
        logits = logits + bias
    return cross_entropy(
        logits, labels, where=where, weights=weights, axis_name=axis_name, reduce_fn=reduce_fn
    )


@checked
def denoising(
    logits,
    tokens,
    *,
    token_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """A text told word for word by a decoder that saw the vector of what noise left of it, in nats.

        mean over all tokens but the first of all rows of  -log p(token_t | tokens before t, vector)

    Counts the tokens that are told. The noise is `data.deleted`: the encoder sees what it leaves, the
    decoder the vector and the whole text.

    Args:
      logits: [batch, length - 1, vocabulary], the decoder's where it was given tokens[:, :-1]: at place t
        those of token t + 1.
      tokens: int [batch, length], the whole text, with its special tokens.
      token_where: bool [batch, length], False beyond the end of a text.
      where: bool [batch], False for padding.
      weights, axis_name, reduce_fn: as in `cross_entropy`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `cross_entropy`.
    Source: TSDAE (Wang et al. 2021, 2104.06979), section 3.
    Data: unlabeled.
    Kind: per example; memory batch x length x vocabulary.
    """
    logits = real_numbers("logits", logits)
    checks.shaped("logits", logits, (None, None, None), "one row of words per token")
    checks.integers("tokens", checks.numbers_of("tokens", tokens))
    tokens = np.asarray(tokens) if checks.host(tokens) else tokens
    checks.shaped("tokens", tokens, (len(logits), logits.shape[1] + 1), "one more than logits")
    label_where = None
    if token_where is not None:
        checks.mask("token_where", token_where, tokens.shape, "one per token")
        token_where = np.asarray(token_where) if checks.host(token_where) else token_where
        label_where = token_where[:, 1:]
    return cross_entropy(
        logits,
        tokens[:, 1:],
        label_where=label_where,
        where=where,
        weights=weights,
        axis_name=axis_name,
        reduce_fn=reduce_fn,
    )
