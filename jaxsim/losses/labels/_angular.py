"""Angular loss: the angle at the negative of a triplet, whatever the size of the triangle.

    embeddings [batch, dim], labels [batch] -> loss

No array of triplets is ever built: the positives of the anchors are walked one by one, each with its
anchor against all negatives, O(rows * references * dim) a step.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._over_positives import over_positive_pairs, walked
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import masked
from jaxsim.numerics.types import Array, Numeric, Similarity
from jaxsim.similarity import cosine


@checked
def angular(
    embeddings: Array,
    labels: Array,
    *,
    alpha: Numeric = 40.0,
    similarity: Similarity = cosine,
    where: Array | None = None,
    axis_name: str | None = None,
    block: int | None = None,
) -> jax.Array:
    """Angular loss: each positive pair against all negatives, by the angle at which a negative sees the pair.

        mean over positive pairs (i, p) of  log(1 + sum_{n in negatives_i} exp(f_ipn))
        f_ipn = 4 t (S_in + S_pn) - 2 (1 + t) S_ip,   t = tan(alpha)^2

    f > 0 where the angle at the negative is wider than alpha, on vectors of norm 1. Counts the positive
    pairs, in both directions. Every positive's row of scores is computed once more for each of its anchors:
    as many times the work of a pairwise loss as classes have rows.

    The slope of S_pn is booked with p's own pair (p, i), which has the same value, so that single
    anchors have no weights and no separate values.

    Args:
      embeddings: [batch, dim].
      labels: int [batch].
      alpha: the angle, in degrees, between 0 and 90; may be traced. The paper tries 36 to 55; 40 is
        pytorch-metric-learning.
      similarity: (x [n, dim], y [m, dim]) -> [n, m], symmetric; larger is closer.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.
      block: anchors per block of scores; None chooses it from the sizes.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound, a block below 1.
    Source: Wang et al. 2017 (1708.01682), the loss of a batch, over all positive pairs where the paper's
    batches hold one pair of each class.
    Data: labels.
    Kind: batch statistics; memory block x references, in as many steps as an anchor has positives.
    """
    tangent = jnp.square(jnp.tan(jnp.deg2rad(alpha)))

    def rule(scores, positives, negatives, rows_of):
        fixed = jax.lax.stop_gradient((scores, tangent.astype(scores.dtype)))
        slopes, sums, along = _walked(fixed[0], positives, negatives, fixed[1], rows_of)
        # The value of the walk with its slopes: what is fixed is subtracted from itself. No rule of
        # derivatives (`sums_of`), which could not close over a similarity that is traced.
        sums += jnp.sum(slopes * (scores - fixed[0]), axis=1) + along * (tangent - fixed[1])
        count = positives.sum(axis=1)
        return sums / jnp.maximum(count, 1), count

    return over_positive_pairs(
        rule,
        embeddings,
        labels,
        similarity=similarity,
        where=where,
        axis_name=axis_name,
        block=block,
    )


def _walked(scores, positives, negatives, tangent, rows_of):
    """Of each row the slopes along scores [rows, references], the sum over positives, its slope along t.

    The slopes along a pair's negatives are twice its own: the other half is that of the pair in the other
    direction.
    """

    def visit(column, level, live):
        both = scores + rows_of(jnp.minimum(column, scores.shape[1] - 1))
        others = negatives & live
        top = masked.max(both, others, keepdims=True)
        # First the difference: large products lose its digits.
        logits = 4 * tangent * (both - top)
        widest = 4 * tangent * top - 2 * (1 + tangent) * level
        sharpest = masked.log_sum_exp(logits, others, empty=-jnp.inf) + widest[:, 0]
        total = jax.nn.sigmoid(sharpest)
        share = total[:, None] * masked.softmax(logits, others)
        along = jnp.sum(share * (4 * both - 2 * level), axis=1)
        pull = 2 * (1 + tangent) * total
        return 8 * tangent * share, pull, jax.nn.softplus(sharpest), along

    return walked(visit, scores, positives, numbers=2)
