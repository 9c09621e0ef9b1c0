"""What losses per example share: checks before and the reduction after.

The value of an example depends on nothing but the example, so that masks, weights and devices are one
reduction at the end. Padding is zeroed first: NaN in it must not reach a gradient.
"""

import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.norms import at_least_float32


def of_rows(where, axis_name, axes, **arrays):
    """Arrays of one shape, checked, in float32 at least, zero in padding; and `where`, never None.

        student, teacher, where = of_rows(where, axis_name, "batch, dim", student=s, teacher=t)

    Args:
      where: bool [batch], False for padding; or None.
      axis_name: a named axis, checked to be bound; or None.
      axes: the names of the axes, for the message about a wrong shape.
      arrays: by the names that the caller's user knows.

    Returns: the arrays in their order, then bool [batch].
    """
    arrays = _alike(axes, arrays)
    if axis_name is not None:
        checks.bound(axis_name)
    kept = mask("where", where, arrays[0].shape[:1])
    return (*(zeroed(a, kept) for a in arrays), kept)


def of_lists(candidate_where, where, axis_name, **arrays):
    """`of_rows` for arrays [batch, candidates] of which each row has candidates of its own.

    Returns: the arrays in their order, then bool [batch, candidates]; padding has no candidate.
    """
    *arrays, _ = of_rows(where, axis_name, "batch, candidates", **arrays)
    kept = mask_of_lists(arrays[0].shape, "candidate_where", candidate_where, where)
    return (*(zeroed(a, kept) for a in arrays), kept)


def mask_of_lists(shape, name, candidate_where, where):
    """Both masks in one, bool [batch, candidates]; `name` is the first one's, for errors."""
    return mask(name, candidate_where, shape) & mask("where", where, shape[:1])[:, None]


def mask(name, where, shape):
    """A mask of a shape; None keeps everything."""
    if where is None:
        return jnp.ones(shape, bool)
    where = jnp.asarray(where)
    checks.shaped(name, where, shape)
    checks.booleans(name, where)
    return where


def reduced(values, counts, weights, axis_name, reduce_fn):
    """From each example's value, and how much it counts, to what the loss returns.

    Args:
      values: [batch].
      counts: bool or numbers [batch], 0 for what does not count.
      weights: [batch], the user's; or None.
      axis_name: the named axis over which the batch is split; or None.
      reduce_fn: (values, weights, axis_name) -> loss; None returns (values, weights).
    """
    counts = counts.astype(values.dtype)
    if weights is not None:
        weights = jnp.asarray(weights)
        checks.shaped("weights", weights, values.shape, "one per row")
        counts = counts * weights
    values = jnp.where(counts > 0, values, 0)
    return (values, counts) if reduce_fn is None else reduce_fn(values, counts, axis_name)


def zeroed(array, where):
    """The array [rows, ...] with zeros where a mask of its leading axes is False."""
    zero = jnp.zeros((), array.dtype)  # of its own type: a mask stays one
    return jnp.where(where.reshape(where.shape + (1,) * (array.ndim - where.ndim)), array, zero)


def _alike(axes, arrays):
    """The arrays, all of the first one's shape."""
    (leader, first), *others = arrays.items()
    first = at_least_float32(first)
    if first.ndim != len(axes.split(", ")):
        raise ValueError(f"{leader} must be [{axes}], got shape {first.shape}")
    for name, array in others:
        checks.shaped(name, array, first.shape, f"the shape of {leader}")
    return [first, *(_numbers(array, first.dtype) for _, array in others)]


def _numbers(array, dtype):
    """An array in float32 at least; integers, such as grades, in the type that is asked for."""
    array = jnp.asarray(array)
    exact = not jnp.issubdtype(array.dtype, jnp.inexact)
    return array.astype(dtype) if exact else at_least_float32(array)
