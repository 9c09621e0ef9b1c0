"""Top-k: within a row, over a row in blocks, over a row split across devices.

Ties always go to the lowest index, so that every way of computing it gives the same ids. NaN is taken
as minus infinity: it comes after every number.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics._blocks import by_blocks
from jaxsim.numerics.types import Array, ArrayTree

CHUNK = 32  # of 16 to 64 the fastest on CPU, by little


def top_k(scores: Array, k: int, *, where: Array | None = None) -> tuple[jax.Array, jax.Array]:
    """Top-k of each row: the k largest scores and their ids, largest first.

    In long rows only the maxima of chunks are looked at first: the k largest entries lie in the k chunks
    with the largest maxima, also under the rule for ties. One cheap pass replaces the expensive
    `jax.lax.top_k`.

    Args:
      scores: float [..., n].
      k: how many, at most n.
      where: bool, broadcastable to scores, False for an entry that can't be found; None keeps all.

    Returns: (scores [..., k], ids int32 [..., k]). Where `where` leaves fewer than k, the rest are -inf
    with id -1.
    """
    count = scores.shape[-1]
    checks.at_most("k", k, count, "the number of candidates")
    if where is not None:
        where = jnp.broadcast_to(where, scores.shape)
    if count < 4 * CHUNK * k:
        best, ids = jax.lax.top_k(_kept(scores, where), k)
    else:
        best, ids = _chunked(scores, k, where)
    return best, ids if where is None else jnp.where(best == -jnp.inf, -1, ids)


def _chunked(scores, k, where):
    lead, count = scores.shape[:-1], scores.shape[-1]
    whole = count // CHUNK * CHUNK
    masked = scores if where is None else jnp.where(where, scores, -jnp.inf)
    maxima = _maxima(masked[..., :whole].reshape(*lead, -1, CHUNK))
    # In the order of their places, so that the lowest of equal entries still comes first.
    chunks = jnp.sort(top_k(maxima, k)[1], axis=-1)

    def candidates(array):
        """The entries of the chunks, and the last ones, which fill no chunk: [..., k * CHUNK + rest]."""
        of_chunks = jnp.take_along_axis(
            array[..., :whole].reshape(*lead, -1, CHUNK),
            chunks[..., None],
            axis=-2,
            mode="promise_in_bounds",
        )
        return jnp.concatenate([of_chunks.reshape(*lead, -1), array[..., whole:]], axis=-1)

    # Masked again after the gather: the masked matrix itself is then never written down.
    left = _kept(candidates(scores), None if where is None else candidates(where))
    best, places = jax.lax.top_k(left, k)
    chunk = jnp.take_along_axis(chunks, jnp.minimum(places // CHUNK, k - 1), axis=-1)
    ids = jnp.where(places < k * CHUNK, chunk * CHUNK + places % CHUNK, whole - k * CHUNK + places)
    return best, ids


def _maxima(scores):
    """The largest of each row without its NaN, -inf for a row without any other: [..., n] -> [...].

    A separate reduction: XLA on CPU writes down a masked copy of the scores before a maximum, which
    takes half as long as the matrix product that they come from (measured), but not before this.
    """

    def larger(a, b):
        return jnp.where((b > a) | jnp.isnan(a), b, a)

    scores = jax.lax.stop_gradient(scores)
    maxima = jax.lax.reduce(scores, jnp.asarray(-jnp.inf, scores.dtype), larger, (scores.ndim - 1,))
    return jnp.where(jnp.isnan(maxima), -jnp.inf, maxima)


def _kept(scores, where):
    """Scores with -inf for NaN and for what is masked, and one zero: `lax.top_k` puts -0.0 below 0.0."""
    valid = ~jnp.isnan(scores)
    scores = jnp.where(scores == 0, 0, scores)
    return jnp.where(valid if where is None else valid & where, scores, -jnp.inf)


def merged_top_k(
    first: tuple[Array, Array], second: tuple[Array, Array], k: int
) -> tuple[jax.Array, jax.Array]:
    """Merges two top-k results into one; ids in `first` all come before those in `second`.

    Args:
      first, second: (scores [..., a], ids int32 [..., a]), each largest first; a and b together at least k.
      k: how many.

    Returns: (scores [..., k], ids [..., k]). What is -inf has id -1.
    """
    scores, ids = (jnp.concatenate(pair, axis=-1) for pair in zip(first, second, strict=True))
    best, places = jax.lax.top_k(scores, k)
    return best, jnp.where(best == -jnp.inf, -1, jnp.take_along_axis(ids, places, axis=-1))


def blocked_top_k(
    scores_of: Callable,
    references: ArrayTree,
    k: int,
    *,
    block: int,
    where: Array | None = None,
    exclude: Array | None = None,
    queries: ArrayTree | None = None,
    query_block: int | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Top-k of `scores_of(references)`, with one block of columns in memory at a time.

    Args:
      scores_of: function from a block of references (leaves [block, ...]) to scores [rows, block].
      references: pytree with leading axis n.
      k: how many, at most n.
      block: references per block, at least k are taken; memory is O(rows * (block + k)).
      where: bool [n], False for a reference that can't be found; None keeps all.
      exclude: int [rows, e], ids that a row can't find; others than 0 to n - 1 mean nothing.
      queries: pytree with leading axis rows. `scores_of` is then a function of some of them and of a
        block of references, and `query_block` rows of scores are alive at a time.
      query_block: rows per block of queries.

    Returns: (scores [rows, k], ids int32 [rows, k]), largest first. Where fewer than k references
    are kept, the rest are -inf with id -1.
    """
    count = jax.tree.leaves(references)[0].shape[0]
    checks.at_most("k", k, count, "the number of references")
    checks.whole("block", block)
    blocks = -(-count // min(max(block, k), count))
    block = max(-(-count // blocks), k)  # of one size, or nearly

    def cut(array, first):
        # A slice at a traced place is a copy, which a single block must not cost.
        return array if blocks == 1 else jax.lax.dynamic_slice_in_dim(array, first, block)

    def of_block(start):
        # The last block starts early instead of being padded; what it repeats is masked.
        first = jnp.minimum(start, count - block)
        columns = jax.tree.map(lambda a: cut(a, first), references)
        mask = None
        if blocks * block > count:
            mask = jnp.arange(block, dtype=jnp.int32) >= start - first
        if where is not None:
            inside = cut(jnp.asarray(where), first)
            mask = inside if mask is None else mask & inside

        def of_rows(batch):
            batch, exclude = batch
            scores = scores_of(columns) if queries is None else scores_of(batch, columns)
            if exclude is not None:
                places = exclude - first
                places = jnp.where((places < 0) | (places >= block), block, places)
                rows = jnp.arange(scores.shape[0])[:, None]
                scores = scores.at[rows, places].set(-jnp.inf, mode="drop")
            best, ids = top_k(scores, k, where=mask)
            return best, jnp.where(best == -jnp.inf, -1, ids + first)

        if queries is None:
            return of_rows((None, exclude))
        return by_blocks(of_rows, (queries, exclude), query_block)

    # The first block is outside of the scan, so that the carry comes from the inputs (shard_map checks it).
    best = of_block(jnp.int32(0))
    if blocks == 1:
        return best
    starts = jnp.arange(1, blocks, dtype=jnp.int32) * block
    return jax.lax.scan(lambda b, s: (merged_top_k(b, of_block(s), k), None), best, starts)[0]


def sharded_top_k(scores: Array, k: int, axis_name: str) -> tuple[jax.Array, jax.Array]:
    """Top-k over all devices, each of which holds some columns: inside pmap or shard_map.

    Args:
      scores: [rows, n_local], the columns of this device; devices hold equal, consecutive shares.
      k: how many, at most n_local * devices.
      axis_name: the named axis that the columns are split over.

    Returns: (scores [rows, k], global ids int32 [rows, k]), the same on every device.
    """
    local = scores.shape[-1]
    devices = jax.lax.axis_size(axis_name)
    checks.at_most("k", k, local * devices, "the number of columns of all devices")
    best, ids = top_k(scores, min(k, local))
    ids = ids + local * jax.lax.axis_index(axis_name)
    best, ids = (jax.lax.all_gather(a, axis_name, axis=1, tiled=True) for a in (best, ids))
    best, places = jax.lax.top_k(best, k)
    return best, jnp.take_along_axis(ids, places, axis=1)
