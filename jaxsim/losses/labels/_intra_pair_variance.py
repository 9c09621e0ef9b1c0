"""Intra-pair variance loss.

embeddings [batch, dim], labels [batch] -> loss
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import EVERY, sharing
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import masked
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, Numeric


@over_labels
def _pair_means(scores, positives, where):
    negatives = where & ~positives
    return [
        (masked.mean(scores, positives), positives.sum(axis=1)),
        (masked.mean(scores, negatives), negatives.sum(axis=1)),
    ]


@over_labels
def _deviations(scores, positives, where, *, low, high):
    negatives = where & ~positives
    below = jnp.square(jnp.maximum(low - scores, 0))
    above = jnp.square(jnp.maximum(scores - high, 0))
    return [
        (masked.mean(below, positives), positives.sum(axis=1)),
        (masked.mean(above, negatives), negatives.sum(axis=1)),
    ]


@sharing(_pair_means, only=EVERY)
def intra_pair_variance(
    embeddings: Array,
    labels: Array,
    *,
    positive_slack: Numeric = 0.01,
    negative_slack: Numeric = 0.01,
    **shared: Any,
) -> jax.Array:
    """Intra-pair variance: how far positives fall below their mean cosine, and negatives rise above theirs.

        mean over positive pairs of [(1 - positive_slack) m_P - S_ij]+^2
        + mean over negative pairs of [S_ij - (1 + negative_slack) m_N]+^2

    m_P and m_N are the means of S over the positive and the negative pairs of the whole batch, and
    carry gradient. Where a mean is negative its slack moves the threshold the other way. Meant to be
    added to another loss (`tuplet_margin` in the paper).

    Args:
      embeddings: [batch, dim].
      labels: int [batch].
      positive_slack: the share of m_P that a positive may lie below it.
      negative_slack: the share of m_N that a negative may lie above it.

    Source: Yu and Tao 2019, the intra-pair variance loss next to their tuplet margin loss.
    Data: labels.
    Memory: block x references, walked twice.
    """
    reduce_fn = shared.pop("reduce_fn")
    parts = _pair_means(embeddings, labels, **shared, reduce_fn=None)
    mean_positive, mean_negative = (mean(*part, shared["axis_name"]) for part in parts)
    return _deviations(
        embeddings,
        labels,
        low=(1 - positive_slack) * mean_positive,
        high=(1 + negative_slack) * mean_negative,
        **shared,
        reduce_fn=reduce_fn,
    )
