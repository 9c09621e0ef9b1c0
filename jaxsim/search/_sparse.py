"""Exact search of sparse vectors (SPLADE, BM25 weights) by an inverted index: a query reads only its own dimensions.

Items are held in blocks, and in each block by dimension: the items that have it, with their values (postings). The
postings of a query's dimensions, times its weights, are added up by item: postings of other dimensions are never read.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._topk import top_k
from jaxsim.numerics.types import Array
from jaxsim.search._brute_force import filtered

BLOCK = 2**15  # items of a block: their scores for a query stay in the cache
TILE = 16  # postings of one dimension that are read together
ENTRIES = 2**30  # entries of scores at once, at most


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
    query_block: int = 16,
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
      query_block: queries whose scores of a block are alive at once.

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
    if rows == 0:
        return jnp.zeros((0, k), jnp.float32), jnp.zeros((0, k), jnp.int32)
    query_block = min(query_block, rows, ENTRIES // (index.block + 1))
    starts = range(0, rows, query_block)
    batches = [_batch(queries[start : start + query_block], index) for start in starts]
    hits: list[list] = [[] for _ in batches]
    for number, one in enumerate(index.blocks):
        first = number * index.block
        mask = _mask(where, first, index)
        for place, batch in enumerate(batches):
            left_out = _places(exclude, starts[place], query_block, first, index.block)
            weights, owners, items, values = _touched(one, batch)
            hits[place].append(
                _scored(
                    weights,
                    owners,
                    items,
                    values,
                    mask,
                    left_out,
                    first,
                    k=min(k, index.block),
                    queries=query_block,
                    block=index.block,
                )
            )
    best = [_best(tuple(parts), k) for parts in hits]
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
    """What some queries hold, one number after the other."""

    dims: np.ndarray  # int [numbers]
    weights: np.ndarray  # float32 [numbers]
    owners: np.ndarray  # int32 [numbers], the query of each
    tiles: int  # that are read of a block, at most: of one length, so that little is compiled


def _batch(queries, index):
    """The batch of a few queries."""
    dims = queries.indices
    owners = np.repeat(np.arange(queries.shape[0], dtype=np.int32), np.diff(queries.indptr))
    most = max(int((one.starts[dims + 1] - one.starts[dims]).sum()) for one in index.blocks)
    return _Batch(dims, queries.data, owners, _rounded(most))


def _rounded(count):
    """A count rounded up to a power of two or half more, so that few lengths are compiled."""
    power = max(64, 1 << max(count - 1, 0).bit_length())
    return power if count > power // 4 * 3 else power // 4 * 3


def _touched(one, batch):
    """The postings of a batch's dimensions: (weights [tiles], owners [tiles], items [tiles, TILE], values)."""
    first = one.starts[batch.dims]
    counts = one.starts[batch.dims + 1] - first
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    tiles, owners = (np.zeros(batch.tiles, np.int32) for _ in range(2))
    weights = np.zeros(batch.tiles, np.float32)  # 0 where there is no tile
    tiles[:total] = np.arange(total) + np.repeat(first - ends + counts, counts)
    owners[:total] = np.repeat(batch.owners, counts)
    weights[:total] = np.repeat(batch.weights, counts)
    if isinstance(one.items, jax.Array):
        return weights, owners, *_taken(one.items, one.values, tiles)
    if not len(one.items):
        return weights, owners, *(np.zeros((batch.tiles, TILE), a.dtype) for a in one[1:])
    return weights, owners, *(np.take(array, tiles, axis=0) for array in one[1:])


@jax.jit
def _taken(items, values, tiles):
    return items[tiles], values[tiles]


@functools.partial(jax.jit, static_argnames=("k", "queries", "block"))
def _scored(weights, owners, items, values, mask, exclude, first, *, k, queries, block):
    """The k best items of a block for some queries; what is not found has score -inf and id -1."""
    # A place more for each query: what fills a tile is added there.
    places = owners[:, None] * (block + 1) + items
    scores = jnp.zeros(queries * (block + 1), jnp.float32)
    scores = scores.at[places].add(weights[:, None] * values, mode="promise_in_bounds")
    scores = scores.reshape(queries, block + 1)[:, :block]
    if exclude is not None:
        scores = scores.at[jnp.arange(queries)[:, None], exclude].set(-jnp.inf, mode="drop")
    best, ids = top_k(scores, k, where=mask)
    return best, jnp.where(best == -jnp.inf, -1, ids + first)


@functools.partial(jax.jit, static_argnums=1)
def _best(parts, k):
    """The k best of all blocks, in the order of their items."""
    scores, ids = (jnp.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
    best, places = top_k(scores, k)
    return best, jnp.take_along_axis(ids, places, axis=1)


def _mask(where, first, index):
    """Which places of a block may be found, bool [block]; None where all may."""
    count = min(index.block, index.count - first)
    if where is None and count == index.block:
        return None
    mask = np.arange(index.block) < count
    if where is not None:
        mask[:count] &= np.asarray(where[first : first + count])
    return mask


def _places(exclude, start, rows, first, block):
    """The items that some queries must not find as places in a block, `block` for those elsewhere; None without."""
    if exclude is None:
        return None
    part = exclude[start : start + rows].astype(np.int64) - first
    part = np.where((part < 0) | (part >= block), block, part).astype(np.int32)
    return np.pad(part, ((0, rows - len(part)), (0, 0)), constant_values=block)
