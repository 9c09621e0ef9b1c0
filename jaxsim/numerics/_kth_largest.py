"""k-th largest entry per row by radix selection, without sorting."""

import jax
import jax.numpy as jnp

from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array, Numeric


def kth_largest(scores: Array, k: Numeric) -> jax.Array:
    """k-th largest entry of each row, exact, by radix selection: one pass per bit of the float.

    On CPU some ten times as fast as lax.top_k where k is in the hundreds, and k may differ by row.

    Args:
      scores: float [..., n]; NaN is taken as minus infinity. Narrower types are compared in float32.
      k: int, or int [..., 1], one for each row; from 1 to n, and what is beyond is cut to that.

    Returns: [..., 1], of the scores' type, float32 at least; without a gradient.
    """
    scores = jax.lax.stop_gradient(at_least_float32(scores))
    kind = jnp.int64 if scores.dtype == jnp.float64 else jnp.int32
    k = jnp.clip(jnp.asarray(k, jnp.int32), 1, scores.shape[-1])
    # As integers floats have their own order, negative ones reversed.
    raw = jax.lax.bitcast_convert_type(jnp.where(jnp.isnan(scores), -jnp.inf, scores), kind)
    ordered = _in_order(raw)
    bits = jnp.iinfo(kind).bits
    # The largest value that at least k entries reach, bit by bit; the sign comes first.
    start = jnp.full_like(ordered[..., :1], jnp.iinfo(kind).min)

    def settle(step, value):
        bit = jax.lax.shift_left(jnp.ones_like(value), jnp.asarray(bits - 1 - step, kind))
        tried = value ^ bit  # of the sign bit this clears it, of every other it sets it
        reached = (ordered >= tried).sum(axis=-1, keepdims=True)
        return jnp.where(reached >= k, tried, value)

    value = jax.lax.fori_loop(0, bits, settle, start)
    return jax.lax.bitcast_convert_type(_in_order(value), scores.dtype)


def _in_order(raw):
    """Between a float's bits and an integer of the same order: its own inverse."""
    return jnp.where(raw < 0, raw ^ jnp.iinfo(raw.dtype).max, raw)
