"""One round of adaptive search: add the new scores to the regressions, estimate all items, sample of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics._blocks import by_blocks
from jaxsim.numerics.types import Array, Numeric, Similarity
from jaxsim.search import _regression as regression
from jaxsim.search._cur import offset_dot

LEAST = 32  # scores of a size that programs are compiled for


def padded(size: int) -> int:
    """Rounds a number of scores up to one of a few sizes, so that a program serves many budgets and rounds."""
    step = max(LEAST, (1 << size.bit_length()) >> 2)
    return -(-size // step) * step


def fitted(scored: tuple[Array, Array], places: int) -> tuple[np.ndarray, np.ndarray]:
    """Pads or cuts the scores so far to a number of places: (scores, ids) [m, places]."""

    def cut(a, fill):
        a = np.asarray(a)[:, :places]
        return np.pad(a, ((0, 0), (0, places - a.shape[1])), constant_values=fill)

    return cut(scored[0], -np.inf), cut(scored[1], -1)


@functools.partial(jax.jit, static_argnames=("new", "by_rows", "query_block"))
def next_weights(
    vectors: Array,
    offsets: Array,
    scored: tuple[Array, Array],
    factors: regression.Factor,
    prior: Array,
    begin: Numeric,
    end: Numeric,
    ridge: Numeric,
    *,
    new: int,
    by_rows: bool,
    query_block: int,
) -> tuple[jax.Array, regression.Factor]:
    """Adds the last round's scores to the regressions of queries, and returns their weights [m, p].

    Places `begin` to `end` of `scored` are new, at most `new` of them; `by_rows` where more scores than rows will be
    known. For one device: queries go in blocks, and a loop with collectives in it waits for the slowest each time.
    """

    def one(values, ids, factor, prior):
        columns, values = vectors[jnp.maximum(ids, 0)], values - offsets[jnp.maximum(ids, 0)]
        here = (ids >= 0) & (jnp.arange(len(ids)) < end) & jnp.isfinite(values)
        columns = jnp.where(here[:, None], columns, 0)
        fresh = [jax.lax.dynamic_slice_in_dim(a, begin, new) for a in (columns, values, here)]
        known = None if by_rows else columns
        factor = regression.appended(factor, *fresh, prior, ridge, known, begin)
        return regression.weights(factor, prior, ridge, known), factor

    return by_blocks(lambda block: jax.vmap(one)(*block), (*scored, factors, prior), query_block)


@functools.partial(jax.jit, static_argnames="query_block")
def moments(
    vectors: Array, offsets: Array, weights: Array, *, query_block: int
) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of each query's estimates over all items: [m], [m]."""

    def of_block(weights):
        estimates = offset_dot(weights, (vectors, offsets))
        return jnp.mean(estimates, axis=1), jnp.std(estimates, axis=1)

    return by_blocks(of_block, weights, query_block)


@functools.cache
def perturbed(count: int, padding: int, implementation: str) -> Similarity:
    """Makes the similarity whose largest are a sample from the softmax of estimates: Gumbel's trick.

    Of queries (weights, means, scales, keys) and consecutive items (vectors, offsets, ids); the noise is that of
    a query's `count` items, whichever block of them is asked for, and 0 for `padding` behind them.
    """

    def similarity(queries, items):
        weights, means, scales, keys = queries
        vectors, offsets, ids = items
        keys = jax.random.wrap_key_data(keys, impl=implementation)
        noise = jax.vmap(lambda key: jax.random.gumbel(key, (count,), weights.dtype))(keys)
        noise = jnp.pad(noise, ((0, 0), (0, padding)))
        noise = jax.lax.dynamic_slice_in_dim(noise, ids[0], len(ids), axis=1)
        estimates = offset_dot(weights, (vectors, offsets))
        return (estimates - means[:, None]) / scales[:, None] + noise

    return similarity
