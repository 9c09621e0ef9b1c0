"""Exact search of sparse vectors (SPLADE, BM25 weights) by an inverted index: a query reads only its own dimensions.

Items are held in blocks of some thousands, and in each block by dimension: the items that have it, with their values
(postings). For some queries at a time the dimensions that any of them has are laid out as a dense matrix of a block,
[dimensions, items], which a matrix product then scores: what is not in a query is never read.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._topk import merged_top_k, top_k
from jaxsim.numerics.types import Array
from jaxsim.search._brute_force import filtered

BLOCK = 2**13  # items of a block
TILE = 16  # postings of one dimension that are read together
WIDTH = 1024  # dimensions that are laid out at once: [WIDTH, BLOCK] float32, 32 MiB
NOWHERE = 2**30  # a place among dimensions that is none


class Postings(NamedTuple):
    """The items of a block by dimension, in tiles of `TILE` postings of one dimension each."""

    starts: np.ndarray  # int32 [dim + 1], the first tile of each dimension, and their number
    items: Array  # int32 [tiles, TILE], places in the block; the length of a block where a tile is not full
    values: Array  # float32 [tiles, TILE]


@dataclasses.dataclass(frozen=True)
class SparseIndex:
    """Inverted index of sparse vectors. `sparse_index`, `encode_sparse_corpus` and `load_sparse_index` make them."""

    blocks: tuple[Postings, ...]  # of `block` items each, the last of fewer
    count: int  # of items
    dim: int
    block: int

    @property
    def shape(self) -> tuple[int, int]:
        """(items, dimensions)."""
        return self.count, self.dim

    @property
    def active_dims(self) -> float:
        """Numbers other than 0 of a vector, on average."""
        full = sum(int((np.asarray(one.items) < self.block).sum()) for one in self.blocks)
        return full / self.count

    def on_device(self, device: jax.Device | None = None) -> "SparseIndex":
        """The same index with its postings in the memory of a device: for accelerators with room for them.

        Args:
          device: None is the first.
        """
        device = jax.local_devices()[0] if device is None else device
        blocks = tuple(
            Postings(one.starts, *jax.device_put((one.items, one.values), device))
            for one in self.blocks
        )
        return dataclasses.replace(self, blocks=blocks)


def sparse_index(items: Any, *, block: int = BLOCK) -> SparseIndex:
    """Inverted index of sparse vectors, for `sparse_exact`.

        index = search.sparse_index(model.embed_sparse(documents))

    Args:
      items: [n, dim], a SciPy sparse matrix or array of any format, or a dense array. BM25 weights of words serve too.
      block: items of a block.

    Returns: `SparseIndex`, in the memory of the host.
    Raises: ValueError for what is not [n, dim], no items, and numbers that are not finite.
    """
    checks.whole("block", block)
    matrix = csr("items", items)
    count, dim = matrix.shape
    if count == 0:
        raise ValueError("items must not be empty, got 0 rows")
    block = min(block, count)
    blocks = [postings(matrix[start : start + block], block) for start in range(0, count, block)]
    return SparseIndex(tuple(blocks), count, dim, block)


def sparse_exact(
    queries: Any,
    index: SparseIndex,
    k: int,
    *,
    where: Array | None = None,
    exclude: Array | None = None,
    query_block: int = 8,
) -> tuple[jax.Array, jax.Array]:
    """Exact nearest neighbors of sparse vectors by their dot product: the k items of the highest scores.

    The scores are those of `exact` on the dense vectors, an item without a common dimension has 0; ties go to the
    lowest id. Postings of an index in its files are read where a query has their dimension, and only there.

    Args:
      queries: [m, dim], a SciPy sparse matrix or array, or a dense array.
      index: of the items.
      k: how many, at most n.
      where: bool [n], False for items that must not be found (a filter).
      exclude: int [m, e], items that a query must not find, such as itself; -1 means nothing.
      query_block: queries that share a pass over their dimensions.

    Returns: (scores float32 [m, k], ids int32 [m, k]), closest first. Where fewer than k items are left, the rest
    have score -inf and id -1.
    Raises: ValueError for queries of another size or not finite, k above n, and masks of other shapes.
    Source: the inverted file of text search (Zobel and Moffat 2006).

    Examples:
      >>> import numpy as np
      >>> from jaxsim import search
      >>> index = search.sparse_index(np.eye(3))
      >>> scores, ids = search.sparse_exact(np.array([[0.0, 2.0, 1.0]]), index, k=2)
      >>> print(scores, ids)
      [[2. 1.]] [[1 2]]
    """
    a_sparse_index("index", index)
    queries = csr("queries", queries)
    checks.shaped("queries", queries, (None, index.dim), "as wide as the items")
    checks.at_most("k", k, index.count, "the number of items")
    checks.whole("query_block", query_block)
    where = filtered(where, index.count)
    rows = queries.shape[0]
    if exclude is not None:
        exclude = checks.one_array("exclude", exclude)
        checks.shaped("exclude", exclude, (rows, None), "one row per query")
        checks.integers("exclude", exclude)
    batches = [
        _batch(queries[start : start + query_block], index, min(query_block, rows))
        for start in range(0, rows, query_block)
    ]
    best: list[Any] = [None] * len(batches)
    for number, one in enumerate(index.blocks):
        start = number * index.block
        mask = np.arange(index.block) < index.count - start
        if where is not None:
            part = np.asarray(where[start : start + index.block])
            mask[: len(part)] &= part
        for place, batch in enumerate(batches):
            first = place * query_block
            left_out = _places(exclude, first, batch.weights.shape[1], start, index.block)
            parts = [_touched(one, piece, batch.tiles) for piece in batch.pieces]
            rows_of, items, values = (jnp.stack(arrays) for arrays in zip(*parts, strict=True))
            found = _scored(
                batch.weights, rows_of, items, values, mask, left_out, start, k=k, block=index.block
            )
            best[place] = found if best[place] is None else _merged(best[place], found, k)
    if not batches:
        return jnp.zeros((0, k), jnp.float32), jnp.zeros((0, k), jnp.int32)
    scores, ids = (jnp.concatenate(arrays)[:rows] for arrays in zip(*best, strict=True))
    return scores, ids


def csr(name: str, vectors: Any) -> Any:
    """Vectors as a `scipy.sparse.csr_array` float32 of their numbers other than 0.

    Args:
      name: of the argument, for errors.
      vectors: [n, dim], a SciPy sparse matrix or array, or a dense array.

    Raises: ValueError for other shapes, what is not real numbers, and numbers that are not finite in float32.
    """
    from scipy.sparse import csr_array, issparse  # comes with jax

    if not issparse(vectors):
        vectors = checks.one_array(name, vectors)
    checks.shaped(name, vectors, (None, None), "one row per vector")
    if np.dtype(vectors.dtype).kind not in "biuf":
        raise ValueError(f"{name} must be real numbers, got {vectors.dtype}")
    with np.errstate(over="ignore"):
        matrix = csr_array(vectors, dtype=np.float32, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    if bad := int((~np.isfinite(matrix.data)).sum()):
        raise ValueError(f"{name} must be finite in float32, got {bad} numbers that are not")
    return matrix


def postings(matrix: Any, block: int) -> Postings:
    """The postings of some items, at most `block`, by dimension.

    Args:
      matrix: [items, dim], as `csr` gives it.
      block: of the index; what fills a tile.
    """
    turned = matrix.T.tocsr()
    turned.sort_indices()
    counts = np.diff(turned.indptr)
    starts = np.concatenate([[0], np.cumsum(-(-counts // TILE))]).astype(np.int32)
    items = np.full((starts[-1], TILE), block, np.int32)
    values = np.zeros(items.shape, np.float32)
    # Each dimension begins at a tile: the places of its postings move by what the tiles before leave empty.
    places = np.arange(turned.nnz) + np.repeat(TILE * starts[:-1] - turned.indptr[:-1], counts)
    items.reshape(-1)[places] = turned.indices
    values.reshape(-1)[places] = turned.data
    return Postings(starts, items, values)


def a_sparse_index(name: str, index: Any) -> None:
    """Checks for a `SparseIndex`."""
    if not isinstance(index, SparseIndex):
        raise ValueError(
            f"{name} must be a `SparseIndex`, as search.sparse_index gives it, got {checks.shown(index)}"
        )


class _Batch(NamedTuple):
    """Some queries over the dimensions that any of them has, some of these at a time."""

    weights: np.ndarray  # float32 [pieces, queries, width]
    pieces: list  # int [dimensions] each, at most the width
    tiles: int  # of postings that are read of a block, at most: of one length, so that little is compiled


def _batch(queries, index, rows):
    """The batch of a few queries; there are always `rows`, the last of zeros."""
    dims = np.unique(queries.indices)
    width = min(WIDTH, max(64, 1 << max(len(dims) - 1, 0).bit_length()))
    pieces = [dims[start : start + width] for start in range(0, max(len(dims), 1), width)]
    weights = np.zeros((len(pieces), rows, width), np.float32)
    owners = np.repeat(np.arange(queries.shape[0]), np.diff(queries.indptr))
    places = np.searchsorted(dims, queries.indices)
    weights[places // width, owners, places % width] = queries.data
    most = max(
        int((one.starts[piece + 1] - one.starts[piece]).sum())
        for one in index.blocks
        for piece in pieces
    )
    return _Batch(weights, pieces, _rounded(most))


def _rounded(count):
    """A count rounded up by at most a quarter, so that few lengths are compiled."""
    step = 1 << max((count - 1).bit_length() - 3, 4) if count > 1 else 16
    return -(-max(count, 1) // step) * step


def _touched(one, dims, length):
    """The tiles of some dimensions: (place among the dimensions int32 [length], items, values [length, TILE]).

    Tiles beyond those that there are have a place of 2^30, which is none.
    """
    first = one.starts[dims]
    counts = one.starts[dims + 1] - first
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    rows = np.full(length, NOWHERE, np.int32)
    rows[:total] = np.repeat(np.arange(len(dims), dtype=np.int32), counts)
    tiles = np.zeros(length, np.int32)
    tiles[:total] = np.arange(total) + np.repeat(first - ends + counts, counts)
    if isinstance(one.items, jax.Array):
        return rows, *_taken(one.items, one.values, tiles)
    if not len(one.items):
        return rows, np.zeros((length, TILE), np.int32), np.zeros((length, TILE), np.float32)
    return rows, np.take(one.items, tiles, axis=0), np.take(one.values, tiles, axis=0)


@jax.jit
def _taken(items, values, tiles):
    return items[tiles], values[tiles]


@functools.partial(jax.jit, static_argnames=("k", "block"))
def _scored(weights, rows, items, values, mask, exclude, start, *, k, block):
    """The k best items of a block for some queries; what is not found has score -inf and id -1."""
    pieces, count, width = weights.shape
    total = jnp.zeros((count, block), jnp.float32)
    for piece in range(pieces):
        # What is outside of [width, block] is dropped: what fills a tile, and tiles that are none.
        places = jnp.where(items[piece] < block, rows[piece][:, None], NOWHERE)
        dense = jnp.zeros((width, block), jnp.float32)
        dense = dense.at[places, items[piece]].set(values[piece], mode="drop", unique_indices=True)
        total += jnp.matmul(weights[piece], dense, precision="highest")
    if exclude is not None:
        total = total.at[jnp.arange(count)[:, None], exclude].set(-jnp.inf, mode="drop")
    best, ids = top_k(total, min(k, block), where=mask)
    ids = jnp.where(best == -jnp.inf, -1, ids + start)
    short = ((0, 0), (0, k - best.shape[1]))
    return jnp.pad(best, short, constant_values=-jnp.inf), jnp.pad(ids, short, constant_values=-1)


@functools.partial(jax.jit, static_argnums=2)
def _merged(first, second, k):
    return merged_top_k(first, second, k)


def _places(exclude, first, rows, start, block):
    """The items that some queries must not find as places in a block, `block` for those elsewhere; None without."""
    if exclude is None:
        return None
    part = exclude[first : first + rows].astype(np.int64) - start
    part = np.where((part < 0) | (part >= block), block, part).astype(np.int32)
    return np.pad(part, ((0, rows - len(part)), (0, 0)), constant_values=block)
