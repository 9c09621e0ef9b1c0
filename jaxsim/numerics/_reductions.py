"""Reductions: values and weights of all rows of all devices to one number.

These are what `reduce_fn=` of a loss takes: functions of (values, weights, axis_name).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxsim.numerics.types import Array, ReduceFn


def mean(values: Array, weights: Array, axis_name: str | None = None) -> jax.Array:
    """Weighted mean over all devices: psum(sum(values * weights)) / psum(sum(weights)).

    Over nothing it is 0, with gradient 0. One division of two global sums, never a mean of means: under uneven masks that has another
    value and another gradient.

    Args:
      values, weights: [rows].
      axis_name: the named axis over which the rows are split, or None.

    Returns: a scalar, the same on every device.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import numerics
      >>> float(numerics.mean(np.array([1.0, 3.0, np.nan]), np.array([1.0, 1.0, 0.0])))
      2.0
    """
    return _ratio(*_sums(values, weights), axis_name)


def total(values: Array, weights: Array, axis_name: str | None = None) -> jax.Array:
    """Weighted sum over all devices: psum(sum(values * weights)).

    Args:
      values, weights: [rows].
      axis_name: the named axis over which the rows are split, or None.

    Returns: a scalar, the same on every device.
    """
    return _all(*_sums(values, weights), axis_name)


def weighted_sum(values: Array, weights: Array) -> jax.Array:
    """sum(values * weights); where the weight is 0 the value may be anything."""
    return jnp.sum(jnp.where(weights <= 0, 0, values) * weights)  # a weight of NaN counts


def _sums(values, weights):
    return weighted_sum(values, weights), jnp.sum(weights)


def _ratio(counted, count, axis_name):
    if axis_name is not None:
        counted, count = jax.lax.psum((counted, count), axis_name)
    return counted / jnp.where(count <= 0, 1, count)


def _all(counted, count, axis_name):
    return counted if axis_name is None else jax.lax.psum(counted, axis_name)


# Reductions that are one of two sums of a device, the weighted one and that of the weights: of both and the
# axis. Linear in the first, so that its gradient can be taken before the second is known.
OF_SUMS: dict[ReduceFn, Callable[..., jax.Array]] = {mean: _ratio, total: _all}
