"""Bases of a row of scores: anchor queries' rows (ADACUR) or items' factors (AXN).

a query's scores [n] ~ weights [p] @ basis [p, n] + offsets [n]
"""

import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics._copies import copied
from jaxsim.numerics.types import Array, Center
from jaxsim.search._cur import global_mean
from jaxsim.search._files import load_tuple, save_tuple
from jaxsim.search._matrices import matrix, offsets_of

VERSION = 1  # of the file
COLUMNS = 2**16  # items centered at once


SHAPES = {  # of the arrays in the file: n items, p directions
    "vectors": ("float", "np"),
    "offsets": ("float", "n"),
    "largest": ("float", ""),
}


class RowBasis(NamedTuple):
    """Basis of a row of scores, from `row_basis` or `factor_basis`: a pytree."""

    vectors: jax.Array  # float32 [n, p], an item's column of the centered basis
    offsets: jax.Array  # float32 [n], what was taken away
    largest: float  # the largest singular value of vectors


def row_basis(anchor_scores: Array, *, center: Center | None = global_mean) -> RowBasis:
    """ADACUR's basis: the anchor queries' rows of scores, centered.

    Args:
      anchor_scores: R, [k_q, n].
      center: as in `cur_index`.

    Returns: `RowBasis`, to be used by any number of searches.
    Raises: ValueError for another shape, or scores that are not finite.
    """
    scores = matrix("anchor_scores", anchor_scores, "one row per anchor query")
    offsets = offsets_of(center, scores)
    dtype = jax.dtypes.canonicalize_dtype(np.promote_types(scores.dtype, np.float32))
    vectors = np.empty(scores.T.shape, dtype)
    for start in range(0, len(vectors), COLUMNS):
        block = slice(start, start + COLUMNS)
        vectors[block] = (scores[:, block] - offsets[block]).T  # in float64 where offsets are
    return _basis(vectors, offsets.astype(dtype))


def factor_basis(item_vectors: Array) -> RowBasis:
    """AXN's basis: the items' vectors and a 1, so that scores may be shifted.

    Args:
      item_vectors: V, [n, d], of a factorized score matrix (`factorize`) or of a dual encoder.

    Returns: `RowBasis` with p = d + 1.
    Raises: ValueError for another shape, or vectors that are not finite.
    """
    vectors = matrix("item_vectors", item_vectors, "one row per item")
    dtype = jax.dtypes.canonicalize_dtype(np.promote_types(vectors.dtype, np.float32))
    vectors = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1).astype(dtype)
    return _basis(vectors, np.zeros(len(vectors), dtype))


def save_basis(path: str | os.PathLike, basis: RowBasis) -> None:
    """Saves a basis to one checksummed file, written atomically."""
    save_tuple(path, basis, RowBasis, SHAPES, kind="row basis", version=VERSION, check=_misfit)


def load_basis(path: str | os.PathLike, *, mmap: bool = False) -> RowBasis:
    """Loads what `save_basis` wrote; refuses by name a file that is damaged, of another kind or version.

    Args:
      path: the file.
      mmap: leave the items in the file, mapped; `adaptive` then streams them.

    Returns: `RowBasis`.
    """
    basis = load_tuple(
        path,
        RowBasis,
        SHAPES,
        kind="row basis",
        version=VERSION,
        check=_misfit,
        mmap=mmap,
        host=("largest",),
    )
    return basis._replace(largest=float(basis.largest))


def _misfit(arrays, lengths):
    """What is wrong with the numbers of a stored basis; None where nothing is."""
    if not 0 <= arrays["largest"] < np.inf:
        return f"largest must be finite and not negative, got {arrays['largest']}"
    return None


def _basis(vectors, offsets):
    return RowBasis(copied(vectors), jnp.asarray(offsets), _largest(vectors))


def _largest(vectors):
    """The largest singular value, by power iteration: its scale is enough."""
    direction = np.random.default_rng(0).normal(size=vectors.shape[1])
    value = 0.0
    for _ in range(12):
        direction = (vectors @ direction.astype(vectors.dtype)) @ vectors
        value = float(np.linalg.norm(direction.astype(np.float64)))
        if value == 0:
            return 0.0
        direction = direction / value
    return float(np.sqrt(value))
