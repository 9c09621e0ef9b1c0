"""Packed texts: rows of tokens that hold several, and the pooling of each text of them."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxsim.encoders._pooling import cls, last, mean
from jaxsim.numerics import masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array

# What `data.packed` adds to tokens and where: of each token its text and its place in it, of each text where it
# begins and how long it is.
PACKED = ("segments", "positions", "starts", "lengths")

Pooling = Callable[[Array, Array], jax.Array]


def of_packed(pooling: Pooling, texts: Mapping[str, Array]) -> Pooling:
    """A pooling of padded texts as one of packed texts: (states [rows, length, dim], where) -> [texts, dim].

    The mean is one product over all tokens, first and last states are looked up; for any other pooling each text
    gets a row, [texts, length, dim].
    """

    def pooled(states, where):
        if pooling is mean:
            return mean_of_texts(states, where, texts)
        if pooling in (cls, last) and "pooled" not in texts:
            starts, lengths = jnp.asarray(texts["starts"]), jnp.asarray(texts["lengths"])
            places = starts if pooling is cls else starts + jnp.maximum(lengths - 1, 0)
            flat = states.reshape(-1, states.shape[-1])
            return jnp.take(flat, places, axis=0, mode="clip").astype(jnp.float32)
        return pooling(unpacked(states, texts), unpacked(where, texts))

    return pooled


def mean_of_texts(states: Array, where: Array, texts: Mapping[str, Array]) -> jax.Array:
    """`mean` of each packed text: [rows, length, dim] -> [texts, dim], zeros for a text without tokens.

    Args:
      states: [rows, length, dim].
      where: bool [rows, length], the tokens that count.
      texts: packed.
    """
    where = jnp.asarray(where)
    states = at_least_float32(masked.zeroed(jnp.asarray(states), where))
    numbers = jnp.arange(jnp.shape(texts["starts"])[0])
    within = (jnp.asarray(texts["segments"]).reshape(-1) == numbers[:, None]) & where.reshape(-1)
    sums = jnp.matmul(
        within.astype(states.dtype),
        states.reshape(-1, states.shape[-1]),
        precision=jax.lax.Precision.HIGHEST,
    )
    return sums / jnp.maximum(within.sum(axis=1, keepdims=True), 1)


def unpacked(array: Array, texts: Mapping[str, Array]) -> jax.Array:
    """Values per token of packed texts, a text in each row: [rows, length, ...] -> [texts, length, ...].

    Args:
      array: [rows, length, ...]: states, tokens, masks.
      texts: packed.

    Returns: the same type; 0, or False, behind a text.
    """
    array = jnp.asarray(array)
    rows, length, *axes = array.shape
    places = jnp.asarray(texts["starts"])[:, None] + jnp.arange(length)
    inside = jnp.arange(length) < jnp.asarray(texts["lengths"])[:, None]
    # Out of bounds behind a text: 0, and no gradient.
    places = jnp.where(inside, places, rows * length)
    return array.reshape(rows * length, *axes).at[places].get(mode="fill", fill_value=0)
