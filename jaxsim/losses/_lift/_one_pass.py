"""A sum over all rows with its gradient, in one walk over blocks of scores.

By itself a walk that keeps no scores takes them twice: for the value, and again for the gradient. Here a
block's slopes, and their products with the embeddings, are taken while its scores are there: the
derivative of the sum is the inner product of these gradients and the tangents. It is a `custom_jvp`, so
that forward mode and higher derivatives are those of the walk, and without a derivative the walk is one
of values alone.
"""

import functools

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import weighted
from jaxsim.numerics import checks
from jaxsim.numerics._reductions import weighted_sum


def sum_with_slopes(of_rows, mine, theirs, block, weights, axis_name):
    """The weighted sum of a rule's values, and the sum of the weights, over blocks of rows.

    Args:
      of_rows: (rows of mine, theirs) -> [(values [rows], weights [rows])].
      mine: a pytree [batch, ...].
      theirs: a pytree.
      block: rows of mine at once.
      weights: [batch], in addition to those of the rule; or None.
      axis_name: over which mine are split, or None.

    Returns: two scalars of this device's rows; None where that is not one sum: the rule has several
    divisors, values of further axes, or weights with a gradient, or it closes over what shard_map knows to
    be the same on every device, which must be made `varying` before.
    """
    mine, theirs, weights = varying((mine, theirs, weights), axis_name)
    blocks = in_blocks(block, (mine, weights))
    first = jax.tree.map(lambda a: a[0], blocks)
    # What similarity and rule close over, such as a traced temperature, has gradients too.
    converted, inside = jax.closure_convert(of_rows, first[0], theirs)
    (moving, still, joined), (theirs, their_still, their_joined) = split(blocks), split(theirs)
    inside, inside_still, inside_joined = split(inside)
    if list(map(jax.typeof, inside)) != list(map(jax.typeof, varying(inside, axis_name))):
        return None

    def rows_of(moving, theirs, inside, still, their_still, inside_still):
        rows, weights = joined(moving, still)
        constants = inside_joined(inside, inside_still)
        parts = converted(rows, their_joined(theirs, their_still), *constants)
        return parts, weights

    def sum_of(*arguments):
        ((values, counts),), weights = rows_of(*arguments)
        counts = jax.lax.stop_gradient(counts)
        by_user = counts if weights is None else weighted(counts, weights)
        return weighted_sum(values, by_user), (values, counts)

    arguments = moving, theirs, inside, still, their_still, inside_still
    one_block = ([a[0] for a in moving], theirs, inside, [a[0] for a in still], *arguments[4:])
    if not _is_one_sum(rows_of, one_block):
        return None

    @jax.custom_jvp
    def summed(moving, theirs, inside, still, their_still, inside_still):
        def values_of(rows):
            moving, still = rows
            return sum_of(moving, theirs, inside, still, their_still, inside_still)[1]

        values, counts = jax.lax.map(values_of, (moving, still))
        return _total(values, counts, joined(moving, still)[1]), counts

    @functools.partial(summed.defjvp, symbolic_zeros=True)
    def summed_jvp(primals, tangents):
        moving, _, _, still, *others_still = primals
        of_moving, *of_shared = (
            _Moved(*both) for both in zip(primals[:3], tangents[:3], strict=True)
        )

        @jax.checkpoint
        def step(so_far, rows):
            moving, still = rows

            def of_moved(block, *shared):
                shared = (m.put(a) for m, a in zip(of_shared, shared, strict=True))
                return sum_of(of_moving.put(block, moving), *shared, still, *others_still)

            block, *shared = of_moving.taken(moving), *(m.taken() for m in of_shared)
            total, pull, values = jax.vjp(of_moved, block, *shared, has_aux=True)
            of_block, *more = pull(varying(jnp.ones((), total.dtype), axis_name))
            return added(so_far, more), (of_block, values)

        start = varying(jax.tree.map(float32_zeros, [m.taken() for m in of_shared]), axis_name)
        slopes, (of_blocks, (values, counts)) = jax.lax.scan(step, start, (moving, still))
        total = _total(values, counts, joined(moving, still)[1])
        tangent = jnp.zeros_like(total)
        for m, gradients in zip((of_moving, *of_shared), (of_blocks, *slopes), strict=True):
            for gradient, direction in zip(gradients, m.directions, strict=True):
                tangent += jnp.sum(gradient * direction).astype(total.dtype)
        return (total, counts), (tangent, jnp.zeros_like(counts))

    total, counts = summed(*arguments)
    counts = jax.lax.stop_gradient(counts)
    weights = blocks[1]
    return total, jnp.sum(counts if weights is None else weighted(counts, weights))


class _Moved:
    """The arrays of a list whose tangents are not zero."""

    def __init__(self, arrays, tangents):
        zero = jax.custom_derivatives.SymbolicZero
        self.arrays = arrays
        self.places = [i for i, t in enumerate(tangents) if not isinstance(t, zero)]
        self.directions = [tangents[i] for i in self.places]

    def taken(self, arrays=None):
        """Those arrays."""
        arrays = self.arrays if arrays is None else arrays
        return [arrays[i] for i in self.places]

    def put(self, moved, arrays=None):
        """The list with others in their places."""
        arrays = list(self.arrays if arrays is None else arrays)
        for place, array in zip(self.places, moved, strict=True):
            arrays[place] = array
        return arrays


def _total(values, counts, weights):
    """The weighted sum of all blocks."""
    return weighted_sum(values, counts if weights is None else weighted(counts, weights))


def _is_one_sum(rows_of, arguments):
    """Whether a rule gives one (values [rows], weights [rows]) whose weights have no gradient."""
    seen = []

    @jax.custom_jvp
    def watched(counts):
        return counts

    @functools.partial(watched.defjvp, symbolic_zeros=True)
    def _watched_jvp(primals, tangents):
        seen.append(not isinstance(tangents[0], jax.custom_derivatives.SymbolicZero))
        return primals[0], tangents[0]

    def counts_of(moving, theirs, inside):
        parts, _ = rows_of(moving, theirs, inside, *arguments[3:])
        return [(values, watched(counts)) for values, counts in parts]

    def slopes(*arrays):
        return jax.jvp(counts_of, arrays, arrays)[0]

    parts = jax.eval_shape(slopes, *arguments[:3])
    return len(parts) == 1 and parts[0][0].ndim == 1 and not any(seen)


def in_blocks(block, tree):
    """[batch, ...] -> [blocks, block, ...], zeros behind the last row."""

    def of_leaf(a):
        padding = [(0, -a.shape[0] % block)] + [(0, 0)] * (a.ndim - 1)
        return jnp.pad(a, padding).reshape(-1, block, *a.shape[1:])

    return jax.tree.map(of_leaf, tree)


def varying(tree, axis_name):
    """The tree as one that differs between devices, which shard_map asks for by type.

    Chosen by a number of the device, which says so in every version of JAX, and costs nothing.
    """
    if axis_name is None:
        return tree

    here = jax.lax.axis_index(axis_name) >= 0
    return jax.tree.map(lambda a: jnp.where(here, a, a), tree)


def varying_numbers(settings, axis_name):
    """Hyperparameters with those that may have a gradient as `varying`; axis_name is checked to be bound."""
    if axis_name is not None:
        checks.bound(axis_name)
    numbers = {
        name: a
        for name, a in settings.items()
        if isinstance(a, jax.Array) and jnp.issubdtype(a.dtype, jnp.inexact)
    }
    return {**settings, **varying(numbers, axis_name)}


def split(tree):
    """Leaves that have gradients, the others, and what joins both again."""
    leaves, structure = jax.tree.flatten(tree)
    real = [jnp.issubdtype(a.dtype, jnp.inexact) for a in leaves]
    live = [a for a, is_real in zip(leaves, real, strict=True) if is_real]
    rest = [a for a, is_real in zip(leaves, real, strict=True) if not is_real]

    def joined(live, rest):
        sides = iter(live), iter(rest)
        return jax.tree.unflatten(structure, [next(sides[not is_real]) for is_real in real])

    return live, rest, joined


def added(sums, more):
    """Two pytrees of numbers, added in the types of the first."""
    return jax.tree.map(lambda a, b: a + b.astype(a.dtype), sums, more)


def float32_zeros(like):
    """Zeros to add gradients to, in float32 at least."""
    return jnp.zeros_like(like, dtype=jnp.promote_types(like.dtype, jnp.float32))
