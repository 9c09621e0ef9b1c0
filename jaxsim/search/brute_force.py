"""Exact search: every query against every item, in blocks, so that memory stays small."""

import functools

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.topk import blocked_top_k
from jaxsim.similarity import dot

BLOCK_ENTRIES = 2**22  # scores alive at once when the blocks are not given: 16 MiB of float32


def exact(queries, items, k, *, similarity=dot, where=None, block=None, query_block=256):
    """The k most similar items of each query.

    Ties go to the lowest id. The result does not depend on the blocks.

    Args:
      queries: [m, dim], or a pytree that `similarity` takes.
      items: [n, dim], likewise.
      k: how many, at most n.
      similarity: (x [m, ...], y [n, ...]) -> scores [m, n], larger is closer; dot unless told.
      where: bool [n], False for items that must not be found (a filter).
      block: items per block; None lets a block hold 2^22 scores.
      query_block: queries per block.

    Returns: (scores [m, k], ids int32 [m, k]), closest first. Where fewer than k items are kept, the
    rest have score -inf and id -1.

    Raises: ValueError for an empty or ragged argument, or k above n.
    """
    queries, items = jax.tree.map(jnp.asarray, (queries, items))
    rows, count = checks.rows_of("queries", queries), checks.rows_of("items", items)
    if count == 0:
        raise ValueError("items must not be empty, got 0 rows")
    checks.at_most("k", k, count, "the number of items")
    checks.whole("query_block", query_block)
    if where is not None:
        where = jnp.asarray(where)
        checks.shaped("where", where, (count,), "one per item")
        checks.booleans("where", where)
    query_block = min(query_block, max(rows, 1))
    if block is None:
        block = max(k, BLOCK_ENTRIES // query_block)
    return _exact(queries, items, where, k, similarity, block, query_block)


@functools.partial(jax.jit, static_argnames=("k", "similarity", "block", "query_block"))
def _exact(queries, items, where, k, similarity, block, query_block):
    rows = jax.tree.leaves(queries)[0].shape[0]
    padding = -rows % query_block
    blocks = jax.tree.map(
        lambda a: jnp.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1)).reshape(
            -1, query_block, *a.shape[1:]
        ),
        queries,
    )

    def closest(some):
        return blocked_top_k(lambda y: similarity(some, y), items, k, block=block, where=where)

    found = jax.lax.map(closest, blocks)
    return jax.tree.map(lambda a: a.reshape(-1, k)[:rows], found)
