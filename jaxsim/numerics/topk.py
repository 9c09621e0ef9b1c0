"""The largest k: in a row, in a row too long to hold, in a row split over devices.

Ties always go to the lowest index, so that every way of computing it gives the same ids. NaN is
taken as minus infinity: it never wins a place that a number could have.
"""

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks


def top_k(scores, k):
    """The k largest of each row, largest first.

    Args:
      scores: [..., n].
      k: how many, at most n.

    Returns: (scores [..., k], ids int32 [..., k]).
    """
    checks.at_most("k", k, scores.shape[-1], "the number of candidates")
    scores = jnp.where(jnp.isnan(scores), -jnp.inf, scores)
    return jax.lax.top_k(scores, k)


def blocked_top_k(scores_of, references, k, *, block, where=None):
    """The k largest of `scores_of(references)`, never holding more than a block of columns.

    Args:
      scores_of: function from a block of references (leaves [block, ...]) to scores [rows, block].
      references: pytree with leading axis n.
      k: how many, at most n.
      block: references per block; memory is O(rows * (block + k)).
      where: bool [n], False for a reference that can't be found; None keeps all.

    Returns: (scores [rows, k], ids int32 [rows, k]), largest first. Where fewer than k references
    are kept, the rest are -inf with id -1.
    """
    count = jax.tree.leaves(references)[0].shape[0]
    checks.at_most("k", k, count, "the number of references")
    checks.whole("block", block)
    block = min(block, count)
    blocks = -(-count // block)
    kept = jnp.ones(count, bool) if where is None else jnp.asarray(where)

    def merge(best, start):
        # The last block starts early instead of being padded; what it repeats is masked.
        first = jnp.minimum(start, count - block)
        ids = first + jnp.arange(block, dtype=jnp.int32)
        some = jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, first, block), references)
        fresh = (ids >= start) & jax.lax.dynamic_slice_in_dim(kept, first, block)
        scores = scores_of(some)
        scores = jnp.where(fresh & ~jnp.isnan(scores), scores, -jnp.inf)
        scores = jnp.concatenate([best[0], scores], axis=1)
        ids = jnp.broadcast_to(jnp.where(fresh, ids, -1), (scores.shape[0], block))
        ids = jnp.concatenate([best[1], ids], axis=1)
        # Earlier blocks stand first and hold lower ids, so top_k's own rule keeps ties in order.
        scores, places = jax.lax.top_k(scores, k)
        ids = jnp.take_along_axis(ids, places, axis=1)
        return (scores, jnp.where(scores == -jnp.inf, -1, ids)), None

    shape = jax.eval_shape(scores_of, jax.tree.map(lambda a: a[:block], references))
    none = (
        jnp.full((shape.shape[0], k), -jnp.inf, shape.dtype),
        jnp.full((shape.shape[0], k), -1, jnp.int32),
    )
    # The first block stands outside, so that the carry comes from the inputs (shard_map checks it).
    best, _ = merge(none, jnp.int32(0))
    starts = jnp.arange(1, blocks, dtype=jnp.int32) * block
    return best if blocks == 1 else jax.lax.scan(merge, best, starts)[0]


def sharded_top_k(scores, k, axis_name):
    """The k largest over all devices, where each holds some columns: inside pmap or shard_map.

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
