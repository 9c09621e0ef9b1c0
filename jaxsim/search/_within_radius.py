"""Filter by short codes, rank by long vectors: real-binary retrieval."""

import functools

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Similarity
from jaxsim.search._brute_force import exact
from jaxsim.similarity import cosine, negative_hamming


def within_radius(
    queries: Array,
    query_codes: Array,
    items: Array,
    item_codes: Array,
    k: int,
    *,
    radius: int,
    similarity: Similarity = cosine,
    where: Array | None = None,
    exclude: Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Search in a Hamming ball: the k most similar items among those whose code is within a radius.

    `(ids >= 0).sum(axis=1)` is how many there are, up to k.

    Args:
      queries: [m, dim].
      query_codes: uint32 [m, words], from `similarity.pack`.
      items: [n, dim].
      item_codes: uint32 [n, words].
      k: how many, at most n.
      radius: the largest number of bits that may differ.
      similarity: of the vectors, (x [m, dim], y [n, dim]) -> [m, n].
      where, exclude: as in `exact`.

    Returns: (scores [m, k], ids int32 [m, k]), closest first; -inf and -1 where fewer are within.
    Raises: ValueError for shapes that do not fit.
    Source: binary paragraph vectors (Grzegorczyk and Kurdziel 2017, 1611.01116), the real-binary model.
    """
    checks.whole("radius", radius, 0)
    checks.function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    sides = (query_codes, queries), (item_codes, items)
    kernel = _within(radius, similarity)
    return exact(*sides, k, similarity=kernel, where=where, exclude=exclude)


@functools.cache
def _within(radius, similarity):
    """Scores of vectors, NaN beyond the radius; one function for each, compiled once."""

    def scored(x, y):
        (x_codes, x), (y_codes, y) = x, y
        close = negative_hamming(x_codes, y_codes) >= -radius
        return jnp.where(close, similarity(x, y), jnp.nan)

    return scored
