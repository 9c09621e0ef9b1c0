"""Reduction of a metric's values per query to one number, the last step of every metric."""

from typing import Any

import jax.numpy as jnp

from jaxsim.numerics.types import Array, ReduceFn


def reduced(
    values: Array, counted: Array, reduce_fn: ReduceFn | None, spoiled: Array | None = None
) -> Any:
    """Reduces the values of queries to one number; None for `reduce_fn` returns (values, counts).

    Args:
      values: [queries].
      counted: bool [queries], False for queries without a value.
      reduce_fn: (values, counts, axis_name) -> number.
      spoiled: bool [queries], queries with a NaN among their scores, whose value is NaN.
    """
    if spoiled is not None:
        values = jnp.where(spoiled, jnp.nan, values)
    counts = counted.astype(values.dtype)
    return (values, counts) if reduce_fn is None else reduce_fn(values, counts, None)
