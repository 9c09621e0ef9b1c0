"""Near-duplicates: groups of rows connected by similarities of at least a threshold, in bounded memory."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import block_entries, checks, unit
from jaxsim.numerics.types import ArrayTree, Similarity
from jaxsim.search._brute_force import one_side
from jaxsim.search._thresholds import cosine_of_units, reaches
from jaxsim.similarity import cosine

ROWS = 1024  # rows compared at once
ENTRIES = 2**20  # pairs compared at once; on accelerators at least
COLUMNS = 1024  # rows whose pairs with a block are looked at one by one


def near_duplicates(
    vectors: ArrayTree, threshold: float, *, similarity: Similarity = cosine
) -> np.ndarray:
    """Near-duplicate detection: groups of rows connected by similarities of at least `threshold`.

    Every pair is compared once, block by block, except pairs that are in one group already. What equals the
    threshold up to rounding reaches it: copies of a row are one group at every threshold that their
    similarity has, 1 for cosines. Memory is O(n), however many rows are equal.

    Args:
      vectors: [n, dim], or a pytree that `similarity` takes.
      threshold: as `same_threshold` finds it.
      similarity: symmetric.

    Returns: int32 [n], the lowest id of each row's group; a row without a duplicate has its own id.
    Raises: ValueError for vectors that are not finite.
    """
    checks.number("threshold", threshold)
    vectors, count = one_side(vectors, similarity)
    threshold, vectors = float(threshold), jax.tree.map(jnp.asarray, vectors)
    if similarity is cosine:  # once, and not in every block
        vectors, similarity = _units(vectors), cosine_of_units
    rows = min(ROWS, count)
    width = min(max(block_entries(ENTRIES) // rows, 1), count)
    groups, order = np.arange(count), np.arange(count)  # order: the row at each place
    repeated = 0  # pairs of a block that were looked at one by one since places were sorted
    for start in range(0, count, rows):
        first = min(start, count - rows)  # the last block starts early: one compilation
        stop = first + rows
        begin, places = stop, np.arange(first, stop)
        block_groups = groups[order[start:stop]]
        if (block_groups == block_groups[0]).all():
            others = np.flatnonzero(groups[order[stop:]] != block_groups[0])
            if not len(others):
                continue
            begin, places = stop + int(others[0]), places[:0]
        if begin < count:
            near = _near(vectors, first, begin, threshold, similarity, rows, width)
            near = begin + np.flatnonzero(np.asarray(near)[begin:])
            places, repeated = np.concatenate([places, near]), repeated + len(near)
        for part in (places[i : i + COLUMNS] for i in range(0, len(places), COLUMNS)):
            columns = np.pad(part, (0, COLUMNS - len(part)), mode="edge")
            close = np.asarray(_close(vectors, first, columns, threshold, similarity, rows))
            groups = _joined(groups, order[first:stop], order[part], close[:, : len(part)])
        if repeated > count - stop:
            # A group's rows become neighbors: most blocks are then of one group, and skip it.
            sorted_rest = np.argsort(groups[order[stop:]], kind="stable")
            order[stop:] = order[stop:][sorted_rest]
            moved = np.concatenate([np.arange(stop), stop + sorted_rest])
            vectors, repeated = jax.tree.map(lambda a, m=moved: a[m], vectors), 0
    return groups.astype(np.int32)


_units = jax.jit(unit)


@functools.partial(jax.jit, static_argnums=(4, 5, 6))
def _near(vectors, first, begin, threshold, similarity, rows, width):
    """Which rows from `begin` on reach the threshold with a row of the block at `first`: bool [n]."""
    count = jax.tree.leaves(vectors)[0].shape[0]
    block = _sliced(vectors, first, rows)

    def compared(state):
        place, near = state
        place = jnp.minimum(place, count - width)
        close = reaches(similarity, block, _sliced(vectors, place, width), threshold)
        near = jax.lax.dynamic_update_slice(near, close.any(axis=0), (place,))
        return place + width, near

    start = jnp.asarray(begin, jnp.int32), jnp.zeros(count, bool)
    return jax.lax.while_loop(lambda state: state[0] < count, compared, start)[1]


@functools.partial(jax.jit, static_argnums=(4, 5))
def _close(vectors, first, columns, threshold, similarity, rows):
    """Which pairs of the block at `first` with the rows `columns` reach the threshold: bool [rows, columns]."""
    chosen = jax.tree.map(lambda a: a[columns], vectors)
    return reaches(similarity, _sliced(vectors, first, rows), chosen, threshold)


def _sliced(tree, first, size):
    return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, first, size), tree)


def _joined(groups, rows, columns, close):
    """Groups [n], with those put together of which pairs are close: bool [rows, columns]."""
    left, right = groups[rows], groups[columns]
    edges = close & (left[:, None] != right)
    while edges.any():
        # One edge of every row and column that has one: what is left to join is at most half as much.
        by_row, by_column = (np.flatnonzero(edges.any(axis=axis)) for axis in (1, 0))
        ends = (
            np.concatenate([left[by_row], left[edges[:, by_column].argmax(axis=0)]]),
            np.concatenate([right[edges[by_row].argmax(axis=1)], right[by_column]]),
        )
        roots = _roots(len(groups), *ends)
        groups, left, right = roots[groups], roots[left], roots[right]
        edges &= left[:, None] != right
    return groups


def _roots(count, left, right):
    """The lowest of the numbers below `count` that each is connected with by edges: int [count]."""
    roots = np.arange(count)
    while len(left):
        low, high = np.minimum(left, right), np.maximum(left, right)
        np.minimum.at(roots, high, low)
        while (roots[roots] != roots).any():
            roots = roots[roots]
        left, right = roots[left], roots[right]
        distinct = left != right
        left, right = left[distinct], right[distinct]
    return roots
