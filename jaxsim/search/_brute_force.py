"""Exact search: every query against every item, in blocks, on all devices, from memory or from a file.

The score matrix is never held. Items that are a `numpy.memmap` (what `numpy.load(path, mmap_mode="r")`
gives) are streamed: neither the devices nor the host need to hold them. Many items of NumPy's are copied
to the devices a piece at a time, while these search the piece before. Results, ties included, don't
depend on blocks or on the number of devices; the matrix product's last digit may, and with it the order
of items that are closer than that.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsim.numerics import block_entries, checks, unit
from jaxsim.numerics._blocks import by_blocks
from jaxsim.numerics._copies import copied
from jaxsim.numerics._topk import blocked_top_k, merged_top_k, top_k
from jaxsim.numerics.types import Array, ArrayTree, Devices, Similarity
from jaxsim.similarity import (
    cosine,
    dot,
    max_sim,
    mean_max_sim,
    negative_euclidean,
    negative_squared_euclidean,
    negative_unit_euclidean,
)
from jaxsim.similarity._dense import OF_VECTORS, usual_center

BLOCK_ENTRIES = (
    2**24
)  # scores alive at once when `block` is None, on accelerators at least: 64 MiB of float32
PIECE = 2**26  # bytes of items in NumPy's memory that are copied at a time
AXIS = "devices"
OF_TOKENS = (max_sim, mean_max_sim)


def exact(
    queries: ArrayTree,
    items: ArrayTree,
    k: int,
    *,
    similarity: Similarity = dot,
    where: Array | None = None,
    exclude: Array | None = None,
    block: int | None = None,
    query_block: int = 128,
    devices: Devices = None,
) -> tuple[jax.Array, jax.Array]:
    """Exact k-nearest-neighbor search by brute force: the k most similar items of each query.

    Ties go to the lowest id. Items are split over the devices; with several processes, all of which
    must call this with the same arguments, each searches a share of them and all get the answer.

    Args:
      queries: [m, dim], or a pytree that `similarity` takes.
      items: [n, dim], likewise; what is memory-mapped, or another library's array of a file (`shape`,
        `dtype`, slices), is read block by block; many of NumPy's are copied to the devices by pieces.
      k: how many, at most n.
      similarity: (x [m, ...], y [n, ...]) -> scores [m, n], larger is closer; `similarity.dot` by default.
      where: bool [n], False for items that must not be found (a filter).
      exclude: int [m, e], items that a query must not find, such as itself; -1, and whatever is not an
        item, means nothing.
      block: items per block on one device, at least k are taken; None lets a block hold 2^24 scores,
        and on accelerators what their memory has room for.
      query_block: queries per block.
      devices: the devices to use; None takes all of this process.

    Returns: (scores [m, k], ids int32 [m, k]), closest first. Where fewer than k items are left, the
    rest have score -inf and id -1. An item whose score is NaN is not found.

    Raises: ValueError for an empty or ragged argument, k above n, or queries [m, dim] that are not finite
    (inside a compiled function they find nothing).

    Examples:
      >>> import numpy as np
      >>> from jaxsim import search
      >>> scores, ids = search.exact(np.array([[0.0, 2.0, 1.0]]), np.eye(3), k=2)
      >>> print(scores, ids)
      [[2. 1.]] [[1 2]]
    """
    pieces = _in_pieces(items)
    queries, items, rows, count = sides(queries, items, similarity, streamed=pieces > 0)
    checks.at_most("k", k, count, "the number of items")
    checks.whole("query_block", query_block)
    where, exclude = filtered(where, count), excluded(exclude, rows, count)
    prepare, kernel = KERNELS.get(similarity, (_as_it_is, similarity))
    query_block = min(query_block, max(rows, 1))
    if block is None:
        block = max(k, _block_of(items, query_block, similarity in OF_TOKENS))
    checks.whole("block", block)
    settings = {
        "k": k,
        "prepare": prepare,
        "kernel": kernel,
        "block": block,
        "query_block": query_block,
    }
    if _traced((queries, items, where, exclude)):
        center = _center(prepare, items)
        return _search(queries, items, where, exclude, center, 0, mesh=None, **settings)

    first, last = _share(count)
    devices = chosen(devices)[: max(last - first, 1)]
    mesh = Mesh(np.array(devices), (AXIS,))
    run = functools.partial(_search, mesh=mesh, **settings)
    # Wherever the caller left them, maybe on devices without any items.
    queries, exclude, center = jax.device_put(
        (queries, exclude, _center(prepare, items)), NamedSharding(mesh, PartitionSpec())
    )
    at_once = len(devices) * block
    if pieces:
        at_once *= max(count // pieces // at_once, 1)
    elif not any(map(_on_file, jax.tree.leaves(items))):
        at_once = last - first
    step = min(at_once, last - first)
    best = None
    for start in range(first, last, max(step, 1)):
        chunk = slice(start, min(start + step, last))
        part, mask = _placed(items, where, chunk, step, mesh)
        result = run(queries, part, mask, exclude, center, start)
        if best is not None:
            jax.block_until_ready(best)  # reading runs one block ahead of the devices, no more
            result = _merged(best, result, k)
        best = result
    if jax.process_count() > 1:
        return _of_all_processes(best, rows, k)
    # Through the host, so that the answer is bound to no set of devices.
    return jax.tree.map(lambda a: jnp.asarray(np.asarray(a)), best) if len(devices) > 1 else best


def approximate(
    queries: ArrayTree,
    items: ArrayTree,
    k: int,
    *,
    recall_target: float,
    similarity: Similarity = dot,
    where: Array | None = None,
    query_block: int = 128,
) -> tuple[jax.Array, jax.Array]:
    """Approximate k-nearest-neighbor search: about `recall_target` of the results are in the true top k.

    On TPU, and on a GPU that has the operation, faster than `exact`; on CPU it is exact and no faster.
    Scores of [query_block, n] are held. Ties and order are those of `exact` among what is found.

    Args:
      queries, items, k, similarity, where: as in `exact`, from memory.
      recall_target: in (0, 1], the expected share of the true k that is found.
      query_block: queries per block.

    Returns: (scores [m, k], ids int32 [m, k]).
    Source: Chern et al. 2022 (2206.14286), the operation `jax.lax.approx_max_k`.
    """
    items = jax.tree.map(lambda a: np.asarray(a) if _on_file(a) else a, items)
    queries, items, rows, count = sides(queries, items, similarity)
    checks.at_most("k", k, count, "the number of items")
    checks.positive("recall_target", recall_target)
    checks.probability("recall_target", recall_target)
    checks.whole("query_block", query_block)
    where = filtered(where, count)
    return _approximate(
        queries, items, where, k, similarity, float(recall_target), min(query_block, max(rows, 1))
    )


def _block_of(items, query_block, of_tokens=False):
    """Items per block where none is given: a larger memory takes more, of their vectors as of their scores.

    Of token vectors each item has as many scores as tokens.
    """
    if of_tokens:
        return max(
            block_entries(BLOCK_ENTRIES) // (max(query_block, 128) * items["where"].shape[1]), 1
        )
    width = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(items))
    larger = block_entries(BLOCK_ENTRIES) // max(query_block, width)
    return max(BLOCK_ENTRIES // query_block, larger)


def sides(
    queries: ArrayTree, items: ArrayTree, similarity: Similarity, *, streamed: bool = False
) -> tuple[Any, Any, int, int]:
    """Checks both sides, and returns them with their numbers of rows; items of a file stay there.

    With `streamed` those in NumPy's memory stay too.
    """
    checks.function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    queries = checks.vectors("queries", queries)
    streamed = streamed or any(map(_on_file, jax.tree.leaves(items)))
    items = checks.vectors("items", items, streamed=streamed)
    rows, count = checks.rows_of("queries", queries), checks.rows_of("items", items)
    if count == 0:
        raise ValueError("items must not be empty, got 0 rows")
    if similarity in OF_VECTORS:
        for name, side in (("queries", queries), ("items", items)):
            checks.shaped(name, side, (None, None), "one row per vector")
        checks.shaped("queries", queries, (None, items.shape[1]), "as wide as items")
    checks.finite_rows("queries", queries, squares=similarity in EUCLIDEAN)
    return queries, items, rows, count


def one_side(vectors: ArrayTree, similarity: Similarity) -> tuple[Any, int]:
    """Checks vectors that are compared with themselves, and returns them with their number."""
    checks.function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    vectors = checks.vectors("vectors", vectors)
    checks.finite_rows("vectors", vectors, squares=similarity in EUCLIDEAN)
    rows = checks.rows_of("vectors", vectors)
    if rows == 0:
        raise ValueError("vectors must not be empty, got 0 rows")
    return vectors, rows


def filtered(where: Array | None, count: int) -> Array | None:
    """Checks a filter of items: bool [count] on the host, traced as it is, or None."""
    if where is None or _traced(where):
        return (
            None if where is None else checks.given_mask("where", where, (count,), "one per item")
        )
    where = np.asarray(where) if isinstance(where, jax.Array) else checks.one_array("where", where)
    checks.shaped("where", where, (count,), "one per item")
    checks.booleans("where", where)
    return where


def excluded(exclude: Array | None, rows: int, count: int) -> jax.Array | None:
    """Ids int32 [rows, e], -1 for what is not an item: 2^32 + 5 must not become 5."""
    if exclude is None:
        return None
    exclude = exclude if isinstance(exclude, jax.Array) else checks.one_array("exclude", exclude)
    checks.shaped("exclude", exclude, (rows, None), "one row per query")
    if exclude.size:
        checks.integers("exclude", exclude)
    numpy = jnp if isinstance(exclude, jax.Array) else np
    items = (exclude >= 0) & (exclude < count)
    # Narrowed first: -1 is out of the bounds of unsigned integers.
    narrow = numpy.where(items, exclude, 0).astype(np.int32)
    return jnp.asarray(numpy.where(items, narrow, -1))


def chosen(devices: Devices) -> tuple[jax.Device, ...]:
    """Checks the devices to search on, and returns a tuple; None is all of this process."""
    if devices is None:
        return tuple(jax.local_devices())
    devices = tuple(devices) if isinstance(devices, (list, tuple)) else (devices,)
    if not devices or not all(isinstance(device, jax.Device) for device in devices):
        raise ValueError(
            f"devices must be devices, such as jax.devices(), got {checks.shown(devices)}"
        )
    return devices


@functools.partial(jax.jit, static_argnums=(3, 4, 5, 6))
def _approximate(queries, items, where, k, similarity, recall_target, query_block):
    def closest(block):
        scores = similarity(block, items)
        mask = ~jnp.isnan(scores) if where is None else ~jnp.isnan(scores) & where
        scores = jnp.where(mask, scores, -jnp.inf)
        best, ids = jax.lax.approx_max_k(scores, k, recall_target=recall_target)
        return best, jnp.where(best == -jnp.inf, -1, ids)

    return by_blocks(closest, queries, query_block)


@functools.partial(
    jax.jit, static_argnames=("k", "prepare", "kernel", "block", "query_block", "mesh")
)
def _search(
    queries, items, where, exclude, center, start, *, k, prepare, kernel, block, query_block, mesh
):
    """The k best among a run of items that begins at number `start`, split over a mesh."""
    devices = 1 if mesh is None else mesh.size

    def share(queries, items, where, exclude, center, start):
        queries, items = prepare(queries, center), prepare(items, center)
        local = jax.tree.leaves(items)[0].shape[0]
        base = start if devices == 1 else start + local * jax.lax.axis_index(AXIS)
        wanted = min(k, local)

        best, ids = blocked_top_k(
            kernel,
            items,
            wanted,
            block=block,
            where=where,
            queries=queries,
            query_block=query_block,
            exclude=None if exclude is None else exclude - base,
        )
        ids = jnp.where(ids < 0, -1, ids + base)
        if devices > 1:
            best, ids = (jax.lax.all_gather(a, AXIS, axis=1, tiled=True) for a in (best, ids))
            best, places = top_k(best, min(k, best.shape[1]))
            ids = jnp.take_along_axis(ids, places, axis=1)
        short = ((0, 0), (0, k - best.shape[1]))
        return jnp.pad(best, short, constant_values=-jnp.inf), jnp.pad(
            ids, short, constant_values=-1
        )

    if devices > 1:
        split, whole = PartitionSpec(AXIS), PartitionSpec()
        share = jax.shard_map(
            share,
            mesh=mesh,
            in_specs=(whole, split, split, whole, whole, whole),
            out_specs=whole,
            check_vma=False,
        )
    return share(queries, items, where, exclude, center, jnp.int32(start))


@functools.partial(jax.jit, static_argnums=2)
def _merged(first, second, k):
    return merged_top_k(first, second, k)


def _placed(items, where, chunk, size, mesh):
    """A run of items on the devices, filled up to `size` and to a multiple of them; and its mask."""
    count = chunk.stop - chunk.start
    padding = max(size, count) - count
    padding += -(count + padding) % mesh.size
    mask = None if where is None else where[chunk]
    if padding:
        mask = np.pad(np.ones(count, bool) if mask is None else mask, (0, padding))
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))

    def put(leaf):
        whole = len(leaf) == count
        leaf = leaf if whole else leaf[chunk]
        if padding:
            numpy = np if isinstance(leaf, np.ndarray) else jnp
            leaf = numpy.pad(leaf, [(0, padding)] + [(0, 0)] * (leaf.ndim - 1))
        if (
            isinstance(leaf, jax.Array)
            and leaf.devices() == set(mesh.devices.flat)
            and mesh.size == 1
        ):
            return leaf  # to give it another sharding would be a copy
        if isinstance(leaf, np.ndarray) and not isinstance(leaf, np.memmap):
            return copied(leaf, device=sharding)  # the caller may write into his as this returns
        return jax.device_put(np.asarray(leaf) if _on_file(leaf) else leaf, sharding)

    return jax.tree.map(put, items), None if mask is None else jax.device_put(mask, sharding)


def _share(count):
    """The run of items that this process searches."""
    size = -(-count // jax.process_count())
    first = min(size * jax.process_index(), count)
    return first, min(first + size, count)


def _of_all_processes(best, rows, k):
    from jax.experimental import multihost_utils

    if best is None:  # more processes than items
        best = np.full((rows, k), -np.inf, np.float32), np.full((rows, k), -1, np.int32)
    # Before the gather everything is on the host: the devices of a process are its own.
    scores, ids = multihost_utils.process_allgather(jax.tree.map(np.asarray, best))
    scores, ids = (np.concatenate(list(a), axis=1) for a in (scores, ids))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return tuple(jnp.asarray(np.take_along_axis(a, order, axis=1)) for a in (scores, ids))


def _on_file(leaf):
    """Whether an array is read by slices: a memory-mapped one, or one of another library's files."""
    if isinstance(leaf, np.memmap):
        return True
    return hasattr(leaf, "shape") and not isinstance(leaf, np.ndarray | np.generic | jax.Array)


def _in_pieces(items):
    """How many pieces items are that lie in NumPy's memory; 0 for others, and where one would do."""
    leaves = jax.tree.leaves(items)
    if not all(
        isinstance(leaf, np.ndarray)
        and not isinstance(leaf, np.memmap)
        and jnp.issubdtype(leaf.dtype, jnp.floating)
        for leaf in leaves
    ):
        return 0
    pieces = -(-sum(leaf.nbytes for leaf in leaves) // PIECE)
    return pieces if pieces > 1 else 0


def _traced(tree):
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


# How the similarities of dense.py are made cheap, and independent of the other items in a block: what is
# done to both sides once, and what is left to do for every pair.


def _as_it_is(x, center):
    return x


def _unit(x, center):
    return unit(x)


def _shifted(x, center):
    return x - center


def _unit_shifted(x, center):
    return unit(x) - unit(center)  # any shift leaves distances as they are


_squared = functools.partial(negative_squared_euclidean, center=0)
_rooted = functools.partial(negative_euclidean, center=0)
KERNELS = {
    cosine: (_unit, dot),
    negative_squared_euclidean: (_shifted, _squared),
    negative_euclidean: (_shifted, _rooted),
    negative_unit_euclidean: (_unit_shifted, _rooted),
}


EUCLIDEAN = {negative_squared_euclidean, negative_euclidean}


def _center(prepare, items):
    """The mean of the first items: a shift that no block and no device changes, nor a row of 1e20."""
    if prepare not in (_shifted, _unit_shifted):
        return jnp.zeros(())
    return _MIDDLE(jnp.asarray(jax.tree.leaves(items)[0][:4096], jnp.float32))


_MIDDLE = jax.jit(usual_center)
