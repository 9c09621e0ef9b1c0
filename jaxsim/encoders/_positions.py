"""Positions and attention masks: rotary embeddings, windows, causal masks, relative buckets.

A place is the number of real tokens before a token, so that padding changes nothing wherever it is.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics.types import Array


@dataclasses.dataclass(frozen=True)
class Rotary:
    """Rotary position embeddings (RoPE): how fast each pair of a head's dimensions turns.

    With `low` and `high` slow pairs are slowed by `factor` and fast ones are left, as Llama 3 does;
    without them all are slowed.

    Source: Su et al. 2021 (2104.09864), the halves paired as in GPT-NeoX.
    """

    theta: float = 10_000.0
    factor: float = 1.0
    low: float | None = None  # turns within `original` places, below which a pair is slowed
    high: float | None = None  # turns from which it is left as it is
    original: int | None = None  # length that the model was first trained at

    def frequencies(self, dim: int) -> np.ndarray:
        """Radians per place: float32 [dim / 2]."""
        plain = self.theta ** -(np.arange(0, dim, 2) / dim)
        if self.low is None:
            return np.float32(plain / self.factor)
        turns = self.original * plain / (2 * math.pi)
        fast = np.clip((turns - self.low) / (self.high - self.low), 0, 1)
        return np.float32(fast * plain + (1 - fast) * plain / self.factor)

    def angles(self, places: Array, dim: int) -> tuple[jax.Array, jax.Array]:
        """cos and sin: places int [rows, length] -> two float32 [rows, length, 1, dim / 2]."""
        turned = places[..., None, None].astype(jnp.float32) * self.frequencies(dim)
        return jnp.cos(turned), jnp.sin(turned)


def rotated(x: jax.Array, angles: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Applies rotary embeddings: x [rows, length, heads, dim], each pair (i, i + dim / 2) turned by its angle."""
    cos, sin = angles
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)


class View(NamedTuple):
    """What attention needs in addition to its queries, keys and values."""

    mask: jax.Array  # bool [rows, 1, 1 or queries, keys]
    queries: tuple | None = None  # angles of the queries
    keys: tuple | None = None  # angles of the keys
    bias: jax.Array | None = None  # float [rows, heads, queries, keys]

    def at(self, positions: Array) -> "View":
        """The same for queries at some places only: positions int [rows, p]."""

        def rows(a):
            return jnp.take_along_axis(a, positions[:, :, None, None], axis=1)

        def asked(a):
            return jnp.take_along_axis(a, positions[:, None, :, None], axis=2)

        return self._replace(
            mask=self.mask if self.mask.shape[2] == 1 else asked(self.mask),
            queries=None if self.queries is None else tuple(map(rows, self.queries)),
            bias=None if self.bias is None else asked(self.bias),
        )


def visible(
    places: Array,
    where: Array,
    *,
    window: int | None = None,
    causal: bool = False,
    segments: Array | None = None,
) -> jax.Array:
    """Attention mask: which tokens each token sees, bool [rows, 1, 1 or length, length].

    Args:
      places: int [rows, length].
      where: bool [rows, length]. A row without tokens sees all of its padding: finite, and masked by
        whoever pools it.
      window: None, or the largest distance that is seen.
      causal: only what does not come later.
      segments: int [rows, length], of packed rows the number of the text that a token is of: a token sees
        those of its own text only, and padding sees padding.
    """
    mask = (where | ~where.any(axis=1, keepdims=True))[:, None, None, :]
    if segments is not None:
        # Finite for padding too: there each token sees itself at least.
        same = segments[:, :, None] == segments[:, None, :]
        mask = (same & (where[:, None, :] | ~where[:, :, None]))[:, None]
    if window is None and not causal:
        return mask
    behind = (places[:, :, None] - places[:, None, :])[:, None]
    if window is not None:
        mask = mask & (jnp.abs(behind) <= window)
    return mask & (behind >= 0) if causal else mask


def relative_buckets(places: Array, buckets: int, furthest: int = 128) -> jax.Array:
    """T5's buckets of the distance from each token to each: int [rows, length, length].

    Half of the buckets are for each direction; half of those for single distances, the others grow as
    the logarithm up to `furthest`.
    """
    ahead = places[:, None, :] - places[:, :, None]
    each = buckets // 2
    exact = each // 2
    distance = jnp.abs(ahead)
    far = jnp.log(jnp.maximum(distance, 1).astype(jnp.float32) / exact)
    far = exact + (far / math.log(furthest / exact) * (each - exact)).astype(jnp.int32)
    bucket = jnp.where(distance < exact, distance, jnp.minimum(far, each - 1))
    return bucket + jnp.where(ahead > 0, each, 0)
