"""What losses per example share: checks before and the reduction after.

The value of an example depends on nothing but the example, so that masks, weights and devices are one
reduction at the end. Padding is zeroed first: NaN in it must not reach a gradient.
"""

import functools
import types
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import OF_SUMS
from jaxsim.numerics.masked import zeroed

NONE: Mapping[str, Any] = types.MappingProxyType({})


def of_rows(where, axis_name, axes, *, weights=None, limits: Mapping[str, Any] = NONE, **arrays):
    """Arrays of one shape, checked, in float32 at least, zero in padding; and `where`, never None.

        student, teacher, where = of_rows(where, axis_name, "batch, dim", student=s, teacher=t)

    Args:
      where: bool [batch], False for padding; or None.
      axis_name: a named axis, checked to be bound; or None.
      axes: the names of the axes, for the message about a wrong shape.
      weights: [batch], the user's, where a row of weight 0 does not count at all; or None.
      limits: {name: (low, high)} of arrays that must lie between.
      arrays: by the names that the caller's user knows.

    Returns: the arrays in their order, then bool [batch].
    Raises: ValueError for shapes that do not fit, and on the host for numbers beyond their limits; on a
    device these are NaN in what is returned.
    """
    inputs, arrays = arrays, _alike(axes, arrays)
    if axis_name is not None:
        checks.bound(axis_name)
    valid = checks.mask("where", where, arrays[0].shape[:1])
    arrays = _limited(inputs, arrays, limits, where)
    there = with_weight(valid, weights)
    return (*(zeroed(a, there) for a in arrays), valid)


def of_lists(candidate_where, where, axis_name, *, weights=None, limits=NONE, **arrays):
    """`of_rows` for arrays [batch, candidates] whose rows have separate candidates.

    Returns: the arrays in their order, then bool [batch, candidates]; padding has no candidate.
    """
    inputs, arrays = arrays, _alike("batch, candidates", arrays)
    if axis_name is not None:
        checks.bound(axis_name)
    valid = mask_of_lists(arrays[0].shape, "candidate_where", candidate_where, where)
    there = on_host(candidate_where, where, valid) if limits else valid
    arrays = _limited(inputs, arrays, limits, there)
    there = valid
    if weights is not None:
        there = valid & with_weight(jnp.ones(len(valid), bool), weights)[:, None]
    return (*(zeroed(a, there) for a in arrays), valid)


def mask_of_lists(shape, name, candidate_where, where):
    """Both masks in one, bool [batch, candidates]; `name` is the first one's, for errors."""
    candidates = checks.mask(name, candidate_where, shape, "one per candidate")
    return candidates & checks.mask("where", where, shape[:1])[:, None]


def on_host(candidate_where, where, valid):
    """The mask `valid` that `mask_of_lists` made of both, as a NumPy array if both are on the host."""
    if not checks.host(candidate_where, where):
        return valid
    rows = np.ones(len(valid), bool) if where is None else np.asarray(where)
    return rows[:, None] & (True if candidate_where is None else np.asarray(candidate_where))


def with_weight(where, weights):
    """A mask [batch] without the rows of weight 0, whose NaN has no influence either."""
    if weights is None:
        return where
    return where & (checks.weights("weights", weights, len(where)) != 0)


def poisoned(vectors, bad):
    """Rows [batch, ...] with NaN in those that are bad, so that nothing is silently wrong."""
    vectors = vectors if jnp.issubdtype(vectors.dtype, jnp.inexact) else at_least_float32(vectors)
    return jnp.where(like(bad, vectors), jnp.full((), jnp.nan, vectors.dtype), vectors)


def like(rows, array):
    """Of rows [batch], with further axes of length 1 for those of array [batch, ...]."""
    return rows.reshape(rows.shape + (1,) * (array.ndim - rows.ndim))


def spoiled_by(values, *arrays):
    """The values, NaN where one of the arrays has NaN: what comparing and sorting does not pass on.

    values [rows] and arrays [rows, ...], or a scalar and any arrays
    """
    bad = jnp.zeros(values.shape, bool)
    for array in arrays:
        if jnp.issubdtype(array.dtype, jnp.inexact):
            bad = bad | jnp.isnan(array).any(axis=tuple(range(values.ndim, array.ndim)))
    return values * jnp.where(bad, jnp.nan, jnp.ones((), values.dtype))  # the gradient is NaN too


def reduced(values, counts, weights, axis_name, reduce_fn):
    """From each example's value, and how much it counts, to what the loss returns.

    Args:
      values: [batch], or [batch, candidates], whose weighted mean is a row's value.
      counts: bool or numbers of the values' shape, 0 for what does not count.
      weights: [batch], the user's; or None.
      axis_name: the named axis over which the batch is split; or None.
      reduce_fn: (values, weights, axis_name) -> loss; None returns (values, weights).
    """
    counts = counts.astype(values.dtype)
    if values.ndim > 1 and all(reduce_fn is not of_sums for of_sums in OF_SUMS):
        values, counts = _of_each_row(values, counts)
    if weights is not None:
        weights = checks.weights("weights", weights, len(values))
        counts = weighted(counts, like(weights, counts))
    return reduced_parts([(jnp.where(counts <= 0, 0, values), counts)], axis_name, reduce_fn)


def _of_each_row(values, counts):
    """The weighted mean and the weights of each row, of those of candidates [batch, candidates]."""
    of_row = counts.sum(axis=1)
    values = jnp.where(counts <= 0, 0, values) * counts
    return values.sum(axis=1) / jnp.where(of_row <= 0, 1, of_row), of_row


def reduced_parts(parts, axis_name, reduce_fn):
    """The sum of the reductions of each (values, weights); without `reduce_fn` the parts, or the only one."""
    if reduce_fn is None:
        return parts[0] if len(parts) == 1 else parts
    checks.function("reduce_fn", reduce_fn, "of (values, weights, axis_name), or None")
    return functools.reduce(jnp.add, [reduce_fn(*part, axis_name) for part in parts])


def weighted(counts, weights):
    """counts * weights, 0 where nothing counts, whatever the weight."""
    return jnp.where(counts != 0, counts * weights, 0)


def _limited(inputs, arrays, limits, where):
    """The arrays, with NaN for what lies beyond the limits on a device; on the host that is refused."""
    names, arrays = list(inputs), list(arrays)
    for name, (low, high) in limits.items():
        place = names.index(name)
        beyond = checks.within(name, inputs[name], low, high, where=where)
        arrays[place] = poisoned(arrays[place], beyond)
    return arrays


def _alike(axes, arrays):
    """The arrays, all of the first one's shape."""
    (leader, first), *others = arrays.items()
    first = at_least_float32(real_numbers(leader, first))
    if first.ndim != len(axes.split(", ")):
        raise ValueError(f"{leader} must be [{axes}], got shape {first.shape}")
    others = [(name, numbers_like(first.dtype, name, array)) for name, array in others]
    for name, array in others:
        checks.shaped(name, array, first.shape, f"the shape of {leader}")
    return [first, *(array for _, array in others)]


def real_numbers(name, array):
    """Scores, vectors or parameters as a JAX array; a mask is none of these."""
    array = checks.reals(name, array)
    if array.dtype == bool:
        raise ValueError(f"{name} must be real numbers, got bool")
    return array


def numbers_like(dtype, name, array):
    """An array in float32 at least; integers, such as grades, in the type that is asked for."""
    array = checks.reals(name, array) if name == "labels" else real_numbers(name, array)
    exact = not jnp.issubdtype(array.dtype, jnp.inexact)
    return array.astype(dtype) if exact else at_least_float32(array)
