"""Hashed n-grams of static shape, inside a jitted step."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxsim.data._vocabulary import checked_orders
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


def ngram_ids(
    tokens: Array,
    buckets: int,
    *,
    orders: Sequence[int] = (1, 2),
    skip: int = 0,
    where: Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Hashed n-grams: the numbers of all n-grams of some orders, each in one of so many buckets.

    The same n-gram always has the same number, different ones may share it. Shapes are static.

    Args:
      tokens: int [batch, length].
      buckets: how many numbers there are, at most 2^31.
      orders: lengths of the n-grams.
      skip: skip-grams too: pairs of tokens with 1 to `skip` others between them, which have the number of the
        bigram of the two.
      where: bool [batch, length], False for padding; an n-gram with padding in it does not count.

    Returns: (ids int32 [batch, (len(orders) + skip) * length] from 0 to buckets - 1, bool of the same shape,
    False where there is no n-gram); the first `length` are of the first order, by their first token, and those
    of skip-grams come last.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import data
      >>> _, there = data.ngram_ids(np.array([[4, 5, 6]]), 1000, orders=(1, 2, 3), skip=1)
      >>> int(there.sum())  # 3 + 2 + 1, and the first with the third
      7

    Source: the hashing trick of Weinberger et al. 2009, as in fastText; the hash is murmur3's finalizer.
    """
    orders = checked_orders(orders)
    checks.whole("buckets", buckets)
    checks.whole("skip", skip, 0)
    if buckets > 2**31:
        raise ValueError(f"buckets must be at most 2^31, so that ids are int32, got {buckets}")
    tokens = checks.numbers_of("tokens", tokens)
    checks.shaped("tokens", tokens, (None, None), "one row per text")
    checks.integers("tokens", tokens)
    where = checks.mask("where", where, tokens.shape, "one per token")
    words = tokens.astype(jnp.uint32)
    grams = [tuple(range(order)) for order in orders]
    grams += [(0, gap + 1) for gap in range(1, skip + 1)]
    ids, counted = [], []
    for places in grams:
        state = jnp.full(tokens.shape, len(places), jnp.uint32)
        for place in places:
            state = _mixed(state * jnp.uint32(0x9E3779B1) + _ahead(words, place))
        there = jnp.ones(tokens.shape, bool)
        for place in range(places[-1] + 1):
            there = there & _ahead(where, place)
        ids.append((state % jnp.uint32(buckets)).astype(jnp.int32))
        counted.append(there)
    return jnp.concatenate(ids, axis=1), jnp.concatenate(counted, axis=1)


def _ahead(rows, step):
    """What is `step` places behind each place; 0 or False past the end."""
    length = rows.shape[1]
    return jnp.pad(rows, [(0, 0), (0, step)])[:, step : step + length]


def _mixed(x):
    """Murmur3's finalizer of 32 bits."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
