"""Walks over the positives of a block of anchors: each positive against its anchor's whole row.

One positive of every row a step, O(rows * references) each, in as many steps as the anchor with the most
positives has. Slopes are gathered on the way, so that nothing is stored for a backward pass.
"""

import functools

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import lift_and_reduce
from jaxsim.losses._lift._labeled import labeled
from jaxsim.losses._lift._lifters import equal_labels
from jaxsim.numerics._devices import gather
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def sums_of(visit, scores, positives, masks, number):
    """Sums over each row's positives, differentiable along the scores and along a number.

    Args:
      visit: (scores, masks, number, column, level, live) -> (slope, pull, value [rows], its slope along the
        number [rows]): the last three arguments and the first two results are as `walked` has them.
      scores: [rows, references].
      positives: bool [rows, references].
      masks: what `visit` takes further, without gradient: bool [rows, references], or a tuple of such.
      number: a scalar of the type of the scores, such as a margin.

    Returns: (the sums [rows], their slopes along the number [rows], which carry no gradient).
    """
    visit = functools.partial(visit, scores, masks, number)
    return walked(visit, scores, positives, numbers=2)[1:]


@sums_of.defjvp
def _sums_of_jvp(visit, primals, tangents):
    scores, positives, masks, number = primals
    visit = functools.partial(visit, scores, masks, number)
    slopes, sums, along = walked(visit, scores, positives, numbers=2)
    tangent = jnp.sum(slopes * tangents[0], axis=1) + along * tangents[3]
    return (sums, along), (tangent, jnp.zeros_like(along))


def walked(visit, scores, positives, numbers=1):
    """Sums over each row's positives, and their slopes along the scores.

    Args:
      visit: (column int [rows], level [rows, 1], live bool [rows, 1]) -> (slope [rows, references], pull
        [rows], and `numbers` arrays [rows]), of one positive of each row: its place, its score, and
        False for exhausted rows, for which every output must be 0. The slope is along the
        other scores, the pull along the positive's own, downwards.
      scores: [rows, references].
      positives: bool [rows, references].
      numbers: how many sums there are.

    Returns: (slopes [rows, references], and the sums [rows]).
    """
    size = scores.shape[1]
    # From the arguments, not fresh zeros: shard_map checks that a carry varies over the same devices.
    none = 0 * jnp.sum(positives, axis=1, dtype=scores.dtype)
    start = jnp.zeros_like(scores), *[none] * numbers
    if size == 0:
        return start

    def step(state):
        column, slopes, *sums = state
        live = (column < size)[:, None]
        level = jnp.take_along_axis(scores, column[:, None], axis=1, mode="clip")
        slope, pull, *terms = visit(column, level, live)
        here = jnp.arange(size) == column[:, None]
        slopes += slope - jnp.where(here, pull[:, None], 0)
        sums = (a + b for a, b in zip(sums, terms, strict=True))
        return _following_column(positives, column), slopes, *sums

    first = _following_column(positives, jnp.full(positives.shape[0], -1))
    return jax.lax.while_loop(lambda state: (state[0] < size).any(), step, (first, *start))[1:]


def _following_column(positives, column):
    """The column of each row's next positive; past the last one, the number of columns."""
    columns = jnp.arange(positives.shape[1])
    later = positives & (columns > column[:, None])
    return jnp.min(jnp.where(later, columns, positives.shape[1]), axis=1)


def over_positive_pairs(rule, embeddings, labels, *, similarity, where, axis_name, block):
    """The mean over positive pairs of a rule that compares both ends with all negatives.

    Args:
      rule: (scores, positives, negatives, rows_of) -> (values [rows], counts [rows]), `rows_of` being
        int [rows] -> the scores of these references with all, [rows, references], without gradient.
      similarity: symmetric.
      embeddings, labels, where, axis_name, block: as in `over_labels`.
    """
    anchors = labeled(embeddings, labels, where, axis_name, lambda x: (x,))
    if len(anchors.where) == 0:
        return jnp.zeros((), at_least_float32(anchors.embeddings).dtype)

    def with_rows(scores, positives, where, references, keys):
        def rows_of(columns):
            return jax.lax.stop_gradient(similarity(references[columns], references))

        return rule(scores, positives, where & ~positives, rows_of)

    return lift_and_reduce(
        with_rows,
        anchors,
        gather(anchors, axis_name),
        similarity=similarity,
        same=equal_labels,
        builders=(lambda mine, theirs: theirs,),
        block=block,
        weights=None,
        reduce_fn=mean,
        axis_name=axis_name,
    )
