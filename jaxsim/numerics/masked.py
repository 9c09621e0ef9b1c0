"""Masked reductions along an axis: sum, mean, max, softmax and log-sum-exp.

Every function takes `scores` and a boolean `where` that broadcasts with it, and is finite, in value
and gradient, on a row that keeps nothing: such a row gives `empty` (0 by default). What a mask
leaves out may be anything, NaN and infinity included.

The names shadow builtins on purpose: call them as `masked.max(scores, where)`.
"""

import jax
import jax.numpy as jnp

from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array, Numeric

NOTHING = -1e30  # the log of an empty sum; -inf would give a NaN slope where two of them meet


def log_sum_exp(
    scores: Array, where: Array, *, axis: int | tuple[int, ...] = -1, empty: Numeric = 0.0
) -> jax.Array:
    """Masked log-sum-exp, in float32 at least.

    Examples:
      >>> import numpy as np
      >>> from jaxsim.numerics import masked
      >>> print(masked.log_sum_exp(np.array([[0.0, 9.0], [1.0, 1.0]]), np.array([[True, False]] * 2)))
      [0. 1.]
      >>> print(masked.log_sum_exp(np.zeros((1, 2)), np.zeros((1, 2), bool)))  # nothing is kept
      [0.]
    """
    scores, where = _kept(scores, where)
    nonempty = where.any(axis=axis, keepdims=True)
    value = jax.nn.logsumexp(scores, axis=axis, where=where | ~nonempty)
    return jnp.where(nonempty.squeeze(axis), value, empty)


def log_one_plus_sum_exp(
    scores: Array, where: Array, *, axis: int | tuple[int, ...] = -1
) -> jax.Array:
    """Masked log(1 + sum exp); 0 where the mask keeps nothing."""
    return jax.nn.softplus(log_sum_exp(scores, where, axis=axis, empty=-jnp.inf))


def softmax(scores: Array, where: Array, *, axis: int | tuple[int, ...] = -1) -> jax.Array:
    """Masked softmax; 0 at masked entries and on rows that keep nothing."""
    scores, where = _kept(scores, where)
    nonempty = where.any(axis=axis, keepdims=True)
    return jnp.where(where, jax.nn.softmax(scores, axis=axis, where=where | ~nonempty), 0)


def log_softmax(scores: Array, where: Array, *, axis: int | tuple[int, ...] = -1) -> jax.Array:
    """Masked log-softmax; 0 at masked entries and on rows that keep nothing."""
    scores, where = _kept(scores, where)
    # Shifted first: near the largest of scores of 1e4 nothing is left of the logarithm otherwise.
    largest = jax.lax.stop_gradient(max(scores, where, axis=axis, keepdims=True))
    scores = jnp.where(where, scores - largest, 0)
    total = jnp.sum(jnp.where(where, jnp.exp(scores), 0), axis=axis, keepdims=True)
    return jnp.where(where, scores - jnp.log(jnp.where(total == 0, 1, total)), 0)


def max(
    scores: Array,
    where: Array,
    *,
    axis: int | tuple[int, ...] = -1,
    empty: Numeric = 0.0,
    keepdims: bool = False,
) -> jax.Array:
    """Masked maximum."""
    scores, where = _kept(scores, where)
    nonempty = where.any(axis=axis, keepdims=True)
    value = jnp.max(scores, axis=axis, where=where | ~nonempty, initial=-jnp.inf, keepdims=True)
    value = jnp.where(nonempty, value, empty)
    return value if keepdims else value.squeeze(axis)


def min(
    scores: Array,
    where: Array,
    *,
    axis: int | tuple[int, ...] = -1,
    empty: Numeric = 0.0,
    keepdims: bool = False,
) -> jax.Array:
    """Masked minimum."""
    return -max(-jnp.asarray(scores), where, axis=axis, empty=-empty, keepdims=keepdims)


def sum(scores: Array, where: Array, *, axis: int | tuple[int, ...] = -1) -> jax.Array:
    """Masked sum."""
    scores, where = _kept(scores, where)
    return jnp.sum(scores, axis=axis)


def mean(
    scores: Array, where: Array, *, axis: int | tuple[int, ...] = -1, empty: Numeric = 0.0
) -> jax.Array:
    """Masked mean."""
    scores, where = _kept(scores, where)
    count = jnp.sum(where, axis=axis)
    value = jnp.sum(scores, axis=axis) / jnp.where(count > 0, count, 1)
    return jnp.where(count > 0, value, empty)


def zeroed(array: Array, where: Array) -> jax.Array:
    """Sets rows to zero where a mask of the leading axes is False; the dtype stays.

    Padding may hold NaN, which must not reach a product: 0 * NaN is NaN, in gradients too.
    """
    zero = jnp.zeros((), array.dtype)  # of the same type: a mask stays one
    return jnp.where(where.reshape(where.shape + (1,) * (array.ndim - where.ndim)), array, zero)


def _kept(scores, where):
    """Scores with zeros at what is left out: an infinity there would reach the gradient as 0 * inf."""
    scores = at_least_float32(scores)
    where = jnp.broadcast_to(jnp.asarray(where), scores.shape)
    return jnp.where(where, scores, 0), where
