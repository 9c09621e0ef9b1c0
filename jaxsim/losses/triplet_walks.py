"""Sums over all triplets of a block of anchors, without ever holding them.

The positives of the anchors are walked one by one, each against its anchor's whole row: O(rows *
references) a step, in as many steps as the anchor with the most positives has. Slopes are gathered on
the way, so that the backward pass is a product and memory that of the scores.
"""

import functools

import jax
import jax.numpy as jnp

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
    return _sums(penalty, scores, positives, negatives, jnp.asarray(margin, scores.dtype))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _sums(penalty, scores, positives, negatives, margin):
    return _walked(penalty, scores, positives, negatives, margin)[:2]


@_sums.defjvp
def _sums_jvp(penalty, primals, tangents):
    sums, along_margin, slopes = _walked(penalty, *primals)
    tangent = jnp.sum(slopes * tangents[0], axis=1) + along_margin * tangents[3]
    return (sums, along_margin), (tangent, jnp.zeros_like(along_margin))


def _walked(penalty, scores, positives, negatives, margin):
    """Sums [rows], their slopes along the margin [rows] and along the scores [rows, references]."""

    def step(state):
        column, sums, along_margin, slopes = state
        level = _level(scores, column)
        cost, slope = penalty(scores, level, negatives, margin)
        total = jnp.sum(slope, axis=1)
        here = jnp.arange(scores.shape[1]) == column[:, None]
        return (
            following_column(positives, column),
            sums + jnp.sum(cost, axis=1),
            along_margin + total,
            slopes + slope - jnp.where(here, total[:, None], 0),
        )

    # From the arguments, not fresh zeros: shard_map checks that a carry varies over devices alike.
    none = 0 * jnp.sum(positives, axis=1, dtype=scores.dtype)
    start = first_column(positives), none, none, jnp.zeros_like(scores)
    return jax.lax.while_loop(lambda state: (state[0] < scores.shape[1]).any(), step, start)[1:]


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

    def step(state):
        column, slopes, active = state
        theirs = rows_of(jnp.minimum(column, scores.shape[1] - 1))
        level = _level(scores, column)
        costs = negatives & ~(jnp.maximum(scores, theirs) - level + margin <= 0)
        own = jnp.where(costs, 1 + jnp.sign(scores - theirs), 0)
        count = jnp.sum(costs, axis=1, dtype=scores.dtype)
        here = jnp.arange(scores.shape[1]) == column[:, None]
        slopes = slopes + own - jnp.where(here, count[:, None], 0)
        return following_column(positives, column), slopes, active + count

    none = 0 * jnp.sum(positives, axis=1, dtype=scores.dtype)
    start = first_column(positives), jnp.zeros_like(scores), none
    return jax.lax.while_loop(lambda state: (state[0] < scores.shape[1]).any(), step, start)[1:]


def first_column(positives):
    """The column of each row's first positive: int [rows]; the number of columns where it has none."""
    return following_column(positives, jnp.full(positives.shape[0], -1))


def following_column(positives, column):
    """The column of each row's next positive; past the last one, the number of columns."""
    columns = jnp.arange(positives.shape[1])
    return jnp.min(
        jnp.where(positives & (columns > column[:, None]), columns, positives.shape[1]),
        axis=1,
        initial=positives.shape[1],
    )


def _level(scores, column):
    """The positive's score [rows, 1]; infinite in rows that are through, where nothing comes near it."""
    found = jnp.take_along_axis(scores, column[:, None], axis=1, mode="clip")
    return jnp.where(column[:, None] < scores.shape[1], found, jnp.inf)
