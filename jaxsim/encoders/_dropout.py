"""Dropout that draws 16 random bits for each element."""

import flax.linen as nn
import jax
import jax.numpy as jnp

LEVELS = 2**16


class Dropout(nn.Module):
    """Dropout: elements are 0 with a probability, the others divided by 1 minus it. Keeps shape and type.

    16 bits decide on an element, half of what Flax draws, which was a twentieth of a training step on CPU; the
    probability is rounded to a multiple of 2 ** -16, and it is the rounded one that the division is by.
    """

    rate: float
    deterministic: bool | None = None  # no dropout; or in the call

    @nn.compact
    def __call__(self, x: jax.Array, deterministic: bool | None = None) -> jax.Array:
        deterministic = nn.merge_param("deterministic", self.deterministic, deterministic)
        if deterministic or self.rate == 0:
            return x
        if self.rate == 1:
            return jnp.zeros_like(x)
        lowest = round(self.rate * LEVELS)
        mask = random_levels(self.make_rng("dropout"), x.shape) >= lowest
        return jnp.where(mask, x / (1 - lowest / LEVELS), 0).astype(x.dtype)


def random_levels(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Independent integers from 0 to 2 ** 16 - 1, uniform: uint16 of a shape, two of each 32 random bits."""
    count = 1
    for size in shape:
        count *= size
    words = jax.random.bits(key, ((count + 1) // 2,), jnp.uint32)
    halves = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)
    return halves[:count].reshape(shape)
