"""Global orthogonal regularization, to be added to a loss on pairs or triplets.

embeddings [batch, dim] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._lifters import equal_labels, over_labels
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import masked
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, Numeric, Similarity
from jaxsim.similarity import cosine


@checked
def global_orthogonal(
    embeddings: Array,
    labels: Array | None = None,
    *,
    mean_weight: Numeric = 1.0,
    second_moment_weight: Numeric = 1.0,
    similarity: Similarity = cosine,
    where: Array | None = None,
    weights: Array | None = None,
    axis_name: str | None = None,
    block: int | None = None,
) -> jax.Array:
    """Global orthogonal regularizer: pushes non-matching pairs towards the similarities of random vectors.

        mean_weight m_1^2 + second_moment_weight [m_2 - 1 / dim]+

    m_1 and m_2 are the means of s_ij and of s_ij^2 over the pairs that do not match, of the whole batch.
    Of two columns, queries and documents say, add it for each.

    Args:
      embeddings: [batch, dim].
      labels: int [batch], equal for rows that match; None: no row matches another.
      mean_weight, second_moment_weight: of the terms, >= 0; may be traced.
      similarity, where, weights, axis_name, block: as in `contrastive`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where no pair is left.
    Raises: ValueError as `contrastive`.
    Source: Zhang et al. 2017 (1708.06320), the global orthogonal regularization.
    Data: unlabeled, labels.
    Kind: regularizer; memory block x references.
    """
    embeddings = matrix("embeddings", embeddings, "one row per example")
    unlabeled = labels is None
    labels = jnp.zeros(embeddings.shape[:1], jnp.int32) if unlabeled else labels
    parts = _moments(
        embeddings,
        labels,
        same=none_alike if unlabeled else equal_labels,
        similarity=similarity,
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=None,
    )
    first, second = (mean(*part, axis_name) for part in parts)
    excess = jnp.maximum(second - 1 / embeddings.shape[1], 0)
    return mean_weight * jnp.square(first) + second_moment_weight * excess


@over_labels
def _moments(scores, positives, where):
    negatives = where & ~positives
    count = negatives.sum(axis=1)
    return [(masked.mean(a, negatives), count) for a in (scores, jnp.square(scores))]


def none_alike(mine, theirs):
    """No row matches another."""
    return jnp.zeros((len(mine), len(theirs)), bool)
