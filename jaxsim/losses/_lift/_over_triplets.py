"""Sums over all triplets of a block of anchors, without ever holding them.

The positives of the anchors are walked one by one (_over_positives.py), so that the backward pass is a
product and memory that of the scores.
"""

import functools

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._over_positives import sums_of, walked
from jaxsim.numerics import masked

# A penalty: (scores, level, negatives, margin) -> what each negative of a row costs next to a positive
# at the score `level` [rows, 1], and the slope of that cost along the negative's score. NaN counts as
# active, so that it is not lost.


def hinge(scores, level, negatives, margin):
    """[s_n - s_p + margin]+ of every negative."""
    excess = scores - level + margin
    active = negatives & ~(excess <= 0)
    return jnp.where(active, excess, 0), active.astype(scores.dtype)


def semi_hard(scores, level, negatives, margin):
    """The hinge of negatives farther than the positive."""
    return hinge(scores, level, negatives & ~(scores >= level), margin)


def hard(scores, level, negatives, margin):
    """The hinge of negatives no farther than the positive."""
    return hinge(scores, level, negatives & ~(scores < level), margin)


def softplus(scores, level, negatives, margin):
    """log(1 + exp(s_n - s_p + margin)) of every negative."""
    excess = scores - level + margin
    cost, slope = jax.nn.softplus(excess), jax.nn.sigmoid(excess)
    return jnp.where(negatives, cost, 0), jnp.where(negatives, slope, 0)


def next_beyond(scores, level, negatives, margin):
    """The hinge of the nearest negative beyond the positive, else of the farthest; ties share it."""
    beyond = negatives & (scores < level)
    nearest = masked.max(scores, beyond, keepdims=True)
    farthest = masked.min(scores, negatives, keepdims=True)
    chosen = negatives & (scores == jnp.where(beyond.any(1, keepdims=True), nearest, farthest))
    share = 1 / jnp.maximum(chosen.sum(axis=1, keepdims=True, dtype=scores.dtype), 1)
    cost, slope = hinge(scores, level, chosen, margin)
    return share * cost, share * slope


def over_triplets(penalty, scores, positives, negatives, margin):
    """What all (positive, negative) pairs of each row cost.

    Args:
      penalty: one of the above.
      scores: [rows, references].
      positives, negatives: bool, of the same shape.
      margin: a number, may be traced.

    Returns: (sums [rows], their slopes along the margin [rows], which for a hinge is how many of the
    costs are > 0); the sums are differentiable along scores and margin, once in reverse mode.
    """
    visit = functools.partial(_cost_of_positive, penalty)
    number = jnp.asarray(margin, scores.dtype)
    sums, along = sums_of(visit, scores, positives, negatives, number)
    return sums, jax.lax.stop_gradient(along)


def _cost_of_positive(penalty, scores, negatives, margin, column, level, live):
    """What all negatives of every row cost next to one of its positives."""
    # Infinite in exhausted rows, where nothing comes near it.
    cost, slope = penalty(scores, jnp.where(live, level, jnp.inf), negatives, margin)
    total = jnp.sum(slope, axis=1)
    return slope, total, jnp.sum(cost, axis=1), total


def swapped_slopes(scores, positives, negatives, margin, rows_of):
    """How often each pair is a side of an active triplet whose negative may trade places.

    A triplet (i, p, n) costs [max(s_in, s_pn) - s_ip + margin]+, which p's own triplet (p, i, n) costs
    too. So a row may take both where its own s_in is the larger and neither where s_pn is: summed over
    all rows it comes to the same, and no slope leaves the row.

    Args:
      scores: [rows, references], of a symmetric similarity, anchors among the references.
      positives, negatives: bool, of the same shape.
      margin: a number.
      rows_of: references int [rows] -> their scores [rows, references].

    Returns: (slopes [rows, references], active triplets [rows]), without gradient.
    """
    rounding = 16 * jnp.finfo(scores.dtype).eps

    def visit(column, level, live):
        theirs = rows_of(jnp.minimum(column, scores.shape[1] - 1))
        costs = live & negatives & ~(jnp.maximum(scores, theirs) - level + margin <= 0)
        # A score comes from two products: rounding must not decide a tie, differently on either side.
        gaps = scores - theirs
        even = jnp.abs(gaps) <= rounding * (jnp.abs(scores) + jnp.abs(theirs))
        slope = jnp.where(costs, 1 + jnp.where(even, 0, jnp.sign(gaps)), 0)
        count = jnp.sum(costs, axis=1, dtype=scores.dtype)
        return slope, count, count

    return walked(visit, scores, positives)
