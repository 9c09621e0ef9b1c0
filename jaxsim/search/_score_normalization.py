"""Score normalization against a background: queries that are near to everything must not rank first everywhere."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks, top_k
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array, Numeric
from jaxsim.similarity import dot


def score_normalize(
    scores: Array,
    background: Array,
    *,
    k: int = 10,
    factor: Numeric = 2.0,
    reduce: Callable[..., jax.Array] = jnp.mean,
) -> jax.Array:
    """Score normalization: each query's scores, less what its nearest background items have.

        s'_ij = s_ij - factor reduce(the k largest b_it over t)

    The order within a query stays; queries become comparable, as one threshold for all needs it.

    Args:
      scores: [n, m], of queries and references.
      background: [n, t], of the same queries and items that nobody looks for.
      k: nearest background items, at most t; 10 is the paper.
      factor: of what is subtracted; 2 is the paper, 0 changes nothing.
      reduce: (array, axis=-1) -> what is subtracted; `jnp.min` takes the k-th largest alone.

    Returns: float32 at least [n, m].
    Source: Wang et al. 2021, "D2LV" (2111.07090).
    """
    scores, background = checks.reals("scores", scores), checks.reals("background", background)
    checks.shaped("scores", scores, (None, None), "queries, references")
    checks.shaped("background", background, (scores.shape[0], None), "one row per query")
    checks.at_most("k", k, background.shape[1], "the number of background items")
    checks.function("reduce", reduce, "(array, axis=-1) -> array")
    nearest = top_k(at_least_float32(background), k)[0]
    return at_least_float32(scores) - factor * reduce(nearest, axis=-1)[:, None]


def stretch(queries: Array, background: Array, *, k: int = 5, factor: Numeric = 2.5) -> jax.Array:
    """Descriptor stretching: score normalization where a search can only compare vectors by distance.

        q' = s q,   s = factor mean(the k largest q.t over t);   -|q' - r|^2 = 2 s q.r - s^2 - 1

    for vectors of norm 1. The order within a query stays.

    Args:
      queries: [n, dim], of norm 1.
      background: [t, dim], of norm 1, items that nobody looks for.
      k: nearest background items, at most t; 5 is the paper.
      factor: 2.5 is the paper.

    Returns: float32 at least [n, dim].
    Source: Wang et al. 2021, "Bag of Tricks and a Strong Baseline for Image Copy Detection" (2111.08004).
    """
    queries, background = checks.reals("queries", queries), checks.reals("background", background)
    checks.shaped("queries", queries, (None, None), "one row per query")
    checks.shaped("background", background, (None, queries.shape[1]), "as wide as the queries")
    checks.at_most("k", k, background.shape[0], "the number of background items")
    nearest = top_k(dot(queries, background), k)[0]
    return factor * nearest.mean(axis=1, keepdims=True) * at_least_float32(queries)
