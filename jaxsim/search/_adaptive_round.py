"""One round of adaptive search, on the devices: add the new scores, estimate all items, take the best.

Items are split over the devices; a query's small system is solved on each of them.
"""

import functools

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from jaxsim.numerics._blocks import by_blocks
from jaxsim.numerics._topk import top_k
from jaxsim.numerics.types import Array, Numeric, PRNGKey
from jaxsim.search import _regression as regression

AXIS = "devices"


@functools.partial(
    jax.jit, static_argnames=("new", "most", "wanted", "count", "query_block", "mesh")
)
def next_items(
    vectors: Array,
    offsets: Array,
    scored: tuple[Array, Array],
    factors: regression.Factor,
    prior: Array,
    key: PRNGKey,
    begin: Numeric,
    ridge: Numeric,
    temperature: Numeric | None,
    *,
    new: int,
    most: int,
    wanted: int,
    count: int,
    query_block: int,
    mesh: Mesh,
) -> tuple[jax.Array, regression.Factor]:
    """Chooses the items to score next: adds the last round's scores to the regressions, estimates all items.

    Places begin to begin + new of `scored` are new; `most` places are known in the end.
    """

    def share(vectors, offsets, scored, factors, prior, key, begin, ridge, temperature):
        local = vectors.shape[0]
        base = local * jax.lax.axis_index(AXIS)

        def of_items(array, ids):
            """Rows of an array that is split over the devices, zeros for the id -1."""
            here = (ids >= base) & (ids < base + local)
            rows = array[jnp.clip(ids - base, 0, local - 1)]
            return jax.lax.psum(jnp.where(here.reshape(-1, *[1] * (rows.ndim - 1)), rows, 0), AXIS)

        def one(values, ids, factor, prior, number):
            columns, values = of_items(vectors, ids), values - of_items(offsets, ids)
            w, factor = _regressed(ids, columns, values, factor, prior, begin, ridge, new)
            estimates = jnp.matmul(w, vectors.T, precision="highest")
            estimates = jax.lax.optimization_barrier(estimates) + offsets  # as in `offset_dot`
            real = base + jnp.arange(local) < count
            if temperature is not None:
                estimates = _perturbed(estimates, real, base, number)
            places = jnp.where((ids >= base) & (ids < base + local), ids - base, local)
            real = real.at[places].set(False, mode="drop")
            best, ids = top_k(estimates, min(wanted, local), where=real)
            best, ids = (
                jax.lax.all_gather(a, AXIS, tiled=True)
                for a in (best, jnp.where(ids < 0, -1, ids + base))
            )
            best, places = top_k(best, wanted)
            return ids[places], factor

        def _perturbed(estimates, real, base, number):
            """Gumbel's trick: the largest of these are a sample without replacement from the softmax."""
            mean = jax.lax.psum(jnp.sum(jnp.where(real, estimates, 0)), AXIS) / count
            square = jnp.where(real, jnp.square(estimates - mean), 0)
            spread = jnp.sqrt(jax.lax.psum(jnp.sum(square), AXIS) / count)
            noise = jax.random.gumbel(jax.random.fold_in(key, number), (count,), estimates.dtype)
            noise = jnp.pad(noise, (0, local * mesh.size - count))
            scaled = (estimates - mean) / jnp.where(spread > 0, spread, 1)
            return scaled / temperature + jax.lax.dynamic_slice_in_dim(noise, base, local)

        numbers = jnp.arange(prior.shape[0])
        queries = (*scored, factors, prior, numbers)
        return by_blocks(lambda block: jax.vmap(one)(*block), queries, query_block)

    scored = fitted(scored, most)
    arguments = (vectors, offsets, scored, factors, prior, key, begin, ridge, temperature)
    split, whole = PartitionSpec(AXIS), PartitionSpec()
    specs = (split, split, *[whole] * 7)
    return jax.shard_map(share, mesh=mesh, in_specs=specs, out_specs=whole, check_vma=False)(
        *arguments
    )


@functools.partial(jax.jit, static_argnames="new")
def next_weights(
    ids: Array,
    columns: Array,
    values: Array,
    factors: regression.Factor,
    prior: Array,
    begin: Numeric,
    ridge: Numeric,
    *,
    new: int,
) -> tuple[jax.Array, regression.Factor]:
    """Updates the regressions of queries and returns their weights [m, p], for items that stay in a file.

    columns [m, most, p] and values [m, most] are the basis' and the offset-free scores of `ids`.
    """
    return jax.vmap(lambda *one: _regressed(*one, begin, ridge, new))(
        ids, columns, values, factors, prior
    )


def fitted(scored: tuple[Array, Array], most: int) -> tuple[jax.Array, jax.Array]:
    """Pads or cuts the scores so far to `most` places: (scores, ids) [m, most]."""

    def cut(a, fill):
        short = max(most - a.shape[1], 0)
        return jnp.pad(a[:, :most], ((0, 0), (0, short)), constant_values=fill)

    return cut(scored[0], -jnp.inf), cut(scored[1], -1)


def _regressed(ids, columns, values, factor, prior, begin, ridge, new):
    """One query's weights, and its regression with the places `begin` to `begin + new` added."""
    most, rows = columns.shape
    here = (ids >= 0) & (jnp.arange(most) < begin + new) & jnp.isfinite(values)
    columns = jnp.where(here[:, None], columns, 0)
    later = jnp.arange(most)[:, None] >= begin
    known = None if most > rows else jnp.where(later, 0, columns)
    fresh = [jax.lax.dynamic_slice_in_dim(a, begin, new) for a in (columns, values, here)]
    factor = regression.appended(factor, *fresh, prior, ridge, known, begin)
    return regression.weights(factor, prior, ridge, None if known is None else columns), factor
