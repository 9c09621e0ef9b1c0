"""Norms whose value and gradient are finite at zero, and exact for very small and very large rows."""

import jax
import jax.numpy as jnp

from jaxsim.numerics.types import Array


def at_least_float32(x: Array) -> jax.Array:
    """Casts to float32, unless the type is wider (float64 stays float64)."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def safe_norm(x: Array, axis: int | tuple[int, ...] = -1, *, keepdims: bool = False) -> jax.Array:
    """Euclidean norm along an axis; a zero row has norm 0 and gradient 0, a NaN stays NaN.

    Args:
      x: float [...]. Narrower types are computed in float32.
      axis: the axis that the norm runs over.
      keepdims: keep that axis with length 1.

    Returns: float32 at least, x's shape without `axis`.
    """
    x = at_least_float32(x)
    scale = _scale(x, axis)
    square = jnp.sum(jnp.square(x / scale), axis=axis, keepdims=True)
    norm = scale * jnp.where(square != 0, jnp.sqrt(jnp.where(square != 0, square, 1)), 0)
    return norm if keepdims else jnp.squeeze(norm, axis)


def unit(x: Array, axis: int | tuple[int, ...] = -1) -> jax.Array:
    """L2 normalization: x over its Euclidean norm; a zero row stays zero, with gradient 0, NaN stays NaN.

    Args:
      x: float [...]. Narrower types are computed in float32.
      axis: the axis that the norm runs over.

    Returns: float32 at least, of x's shape.
    """
    x = at_least_float32(x)
    x = x / _scale(x, axis)
    square = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    return jnp.where(square != 0, x * jax.lax.rsqrt(jnp.where(square != 0, square, 1)), 0)


def _scale(x, axis):
    """The largest entry, as a constant: dividing by it first keeps the squares from under- and overflow."""
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(x)), axis=axis, keepdims=True, initial=0)
    return jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
