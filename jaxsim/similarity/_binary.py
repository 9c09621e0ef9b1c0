"""Binary vectors: signs packed 32 to a word, compared by Hamming distance.

    pack(bits bool [n, dim]) -> words uint32 [n, ceil(dim / 32)]
    negative_hamming(words [n, w], words [m, w]) -> [n, m]

A packed corpus is 32 times smaller than its float32 vectors.
"""

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array

BITS = 32


def pack(bits: Array) -> jax.Array:
    """Packs bits into 32-bit words, the first bit lowest; unused bits of the last word are 0.

    Args:
      bits: bool [..., dim].

    Returns: uint32 [..., ceil(dim / 32)].
    """
    bits = jnp.asarray(bits)
    checks.booleans("bits", bits)
    padding = -bits.shape[-1] % BITS
    bits = jnp.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, padding)])
    words = bits.reshape(*bits.shape[:-1], -1, BITS).astype(jnp.uint32)
    return jnp.sum(words << jnp.arange(BITS, dtype=jnp.uint32), axis=-1, dtype=jnp.uint32)


def unpack(words: Array, dim: int) -> jax.Array:
    """Unpacks the bits of 32-bit words: bool [..., dim]."""
    words = jnp.asarray(words, jnp.uint32)
    bits = (words[..., None] >> jnp.arange(BITS, dtype=jnp.uint32)) & 1
    return bits.reshape(*words.shape[:-1], -1)[..., :dim].astype(bool)


def negative_hamming(x: Array, y: Array) -> jax.Array:
    """Negative Hamming distance: minus the number of differing bits of packed vectors.

    One word of all pairs at a time: nothing of size [n, m, words] is held.

    Args:
      x: uint32 [n, words], from `pack`.
      y: uint32 [m, words].

    Returns: float32 [n, m], whole numbers from -dim to 0, exact up to 2^24 bits.
    Raises: ValueError for other dtypes or unequal numbers of words.
    """
    for name, side in (("x", x), ("y", y)):
        if side.ndim != 2 or side.dtype != jnp.uint32:
            raise ValueError(f"{name} must be uint32 [n, words], got {side.dtype} {side.shape}")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must have equal words, got {x.shape[1]} and {y.shape[1]}")
    differing = sum(
        jax.lax.population_count(x[:, None, w] ^ y[None, :, w]).astype(jnp.int32)
        for w in range(x.shape[1])
    )
    return -differing.astype(jnp.float32)
