"""Walks over the positives of a block of anchors: each positive against its anchor's whole row.

One positive of every row a step, O(rows * references) each, in as many steps as the anchor with the most
positives has. Slopes are gathered on the way, so that nothing is stored for a backward pass.
"""

import jax
import jax.numpy as jnp


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
        slope, pull, *more = visit(column, level, live)
        here = jnp.arange(size) == column[:, None]
        slopes += slope - jnp.where(here, pull[:, None], 0)
        sums = (a + b for a, b in zip(sums, more, strict=True))
        return _following_column(positives, column), slopes, *sums

    first = _following_column(positives, jnp.full(positives.shape[0], -1))
    return jax.lax.while_loop(lambda state: (state[0] < size).any(), step, (first, *start))[1:]


def _following_column(positives, column):
    """The column of each row's next positive; past the last one, the number of columns."""
    columns = jnp.arange(positives.shape[1])
    later = positives & (columns > column[:, None])
    return jnp.min(jnp.where(later, columns, positives.shape[1]), axis=1)
