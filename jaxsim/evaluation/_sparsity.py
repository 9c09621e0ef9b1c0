"""Sparsity of sparse vectors: how many numbers are not 0, and what a search of them multiplies."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array


class Sparsity(NamedTuple):
    """Result of `sparsity`."""

    active_dims: jax.Array  # scalar, the mean number of numbers other than 0 of a row
    zeros: jax.Array  # scalar, the share of numbers that are 0
    frequencies: jax.Array  # float32 [dim], the share of rows in which each dimension is not 0


def sparsity(vectors: Any, *, where: Array | None = None) -> Sparsity:
    """Sparsity statistics: active dimensions, the share of zeros, how often each dimension is used.

    Args:
      vectors: [n, dim], dense or a SciPy sparse matrix or array.
      where: bool [n], False for rows that do not count.

    Returns: `Sparsity`; of no rows 0 active dimensions and frequencies, and the share 1 of zeros.
    Raises: ValueError for what is not [n, dim], and a mask that does not fit.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import evaluation
      >>> found = evaluation.sparsity(np.array([[0.0, 2.0, 1.0, 0.0], [0.0, 0.0, 3.0, 0.0]]))
      >>> print(found.active_dims, found.zeros, found.frequencies)
      1.5 0.625 [0.  0.5 1.  0. ]
    """
    if hasattr(vectors, "tocsr"):
        return _of_sparse(vectors, where)
    vectors = checks.reals("vectors", vectors)
    checks.shaped("vectors", vectors, (None, None), "one row per vector")
    where = checks.mask("where", where, vectors.shape[:1], "one per row")
    return _of(masked.mean((vectors != 0).astype(jnp.float32), where[:, None], axis=0))


def search_flops(queries: Any, items: Any) -> float:
    """FLOPS of sparse search: the expected multiplications of a query with an item by an inverted index.

        sum over dimensions j of P(query_j is not 0) P(item_j is not 0)

    Args:
      queries: [m, dim], dense or a SciPy sparse matrix or array.
      items: [n, dim], likewise.

    Returns: a float; times n the multiplications of a query in a search of all items.
    Raises: ValueError for sides of different widths.
    Source: SPLADE (Formal et al. 2021, 2107.05720), section 4.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import evaluation
      >>> print(evaluation.search_flops(np.array([[0.0, 1.0, 1.0]]), np.array([[0.0, 2.0, 0.0], [1.0, 1.0, 1.0]])))
      1.5
    """
    of_queries, of_items = sparsity(queries).frequencies, sparsity(items).frequencies
    checks.shaped("items", of_items, of_queries.shape, "as wide as queries")
    return float(np.dot(np.float64(of_queries), np.float64(of_items)))


def _of_sparse(vectors, where):
    matrix = vectors.tocsr()
    checks.shaped("vectors", matrix, (None, None), "one row per vector")
    if where is not None:
        where = np.asarray(checks.given_mask("where", where, matrix.shape[:1], "one per row"))
        matrix = matrix[where]
    used = matrix.indices[matrix.data != 0]
    counts = np.bincount(used, minlength=matrix.shape[1])
    return _of(jnp.asarray(counts / max(matrix.shape[0], 1), jnp.float32))


def _of(frequencies):
    return Sparsity(frequencies.sum(), 1 - frequencies.mean(), frequencies)
