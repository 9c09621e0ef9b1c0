"""Global orthogonal regularization, to be added to a loss on pairs or triplets.

embeddings [batch, dim] -> loss
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import sharing
from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._lifters import equal_labels, over_labels
from jaxsim.numerics import masked
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, Numeric


@over_labels
def _moments(scores, positives, where):
    negatives = where & ~positives
    count = negatives.sum(axis=1)
    return [(masked.mean(a, negatives), count) for a in (scores, jnp.square(scores))]


@sharing(_moments, only=("similarity", "where", "weights", "axis_name", "block"))
def global_orthogonal(
    embeddings: Array,
    labels: Array | None = None,
    *,
    mean_weight: Numeric = 1.0,
    second_moment_weight: Numeric = 1.0,
    **shared: Any,
) -> jax.Array:
    """Global orthogonal regularizer: pushes non-matching pairs towards the similarities of random vectors.

        mean_weight m_1^2 + second_moment_weight [m_2 - 1 / dim]+

    m_1 and m_2 are the means of s_ij and of s_ij^2 over the pairs that do not match, of the whole batch.
    Of two columns, queries and documents say, add it for each.

    Args:
      embeddings: [batch, dim].
      labels: int [batch], equal for rows that match; None: no row matches another.
      mean_weight, second_moment_weight: of the terms, >= 0; may be traced.

    Source: Zhang et al. 2017 (1708.06320), the global orthogonal regularization.
    Data: unlabeled, labels.
    Kind: regularizer; memory block x references.
    """
    embeddings = matrix("embeddings", embeddings, "one row per example")
    unlabeled = labels is None
    labels = jnp.zeros(embeddings.shape[:1], jnp.int32) if unlabeled else labels
    same = none_alike if unlabeled else equal_labels
    parts = _moments(embeddings, labels, same=same, **shared, reduce_fn=None)
    first, second = (mean(*part, shared["axis_name"]) for part in parts)
    excess = jnp.maximum(second - 1 / embeddings.shape[1], 0)
    return mean_weight * jnp.square(first) + second_moment_weight * excess


def none_alike(mine, theirs):
    """No row matches another."""
    return jnp.zeros((len(mine), len(theirs)), bool)
