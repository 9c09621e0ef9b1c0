"""Attention pooling with a learned query (MAP): what SigLIP puts on its image tower."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._attention import attention
from jaxsim.encoders._layers import Style, Weights, layer_norm, products
from jaxsim.numerics import compute_dtype, masked
from jaxsim.numerics.types import Array

STYLE = Style(normalize=layer_norm(1e-6))


class MapHead(nn.Module):
    """Multihead attention pooling (MAP): one learned query attends to all states, then a residual feed-forward part.

    states [rows, length, dim], where bool [rows, length] or None -> float32 [rows, dim]

    A row without real states attends to all of its padding: finite, and to be masked by the caller.

    Source: Zhai et al. 2022 (2106.04560), as SigLIP has it (2303.15343).
    """

    heads: int
    hidden: int  # width of the feed-forward part
    initial: float = 0.02  # standard deviation of the weights at the start
    dtype: jnp.dtype | None = None  # of the arithmetic, None is `numerics.compute_dtype()`
    style: Style = STYLE

    @nn.compact
    def __call__(self, states: Array, where: Array | None = None) -> jax.Array:
        rows, length, dim = states.shape
        if where is not None:
            states = masked.zeroed(jnp.asarray(states), jnp.asarray(where))
        if dim % self.heads:
            raise ValueError(f"heads must divide dim={dim}, got {self.heads}")
        dtype: Any = compute_dtype() if self.dtype is None else self.dtype
        small = nn.initializers.normal(self.initial)
        probe = self.param("query_token", small, (dim,), jnp.float32)
        asking = jnp.broadcast_to(probe, (rows, 1, dim)).astype(dtype)
        (query,) = products(asking, [self._weights("query", dim, dim)], dtype)
        both = [self._weights(name, dim, dim) for name in ("key", "value")]
        key, value = products(states.astype(dtype), both, dtype)
        query, key, value = (
            a.reshape(*a.shape[:2], self.heads, dim // self.heads) for a in (query, key, value)
        )
        where = jnp.ones((rows, length), bool) if where is None else where
        mask = (where | ~where.any(axis=1, keepdims=True))[:, None, None, :]
        # A single query: cuDNN takes even numbers of tokens alone.
        mixed = attention(query, key, value, mask=mask, cudnn=False).reshape(rows, 1, dim)
        (x,) = products(mixed, [self._weights("attention_out", dim, dim)], dtype)
        normed = self.style.normalize(dtype=jnp.float32, name="norm")(x).astype(dtype)
        (inner,) = products(normed, [self._weights("feed_forward_in", dim, self.hidden)], dtype)
        inner = self.style.activation(inner)
        (added,) = products(inner, [self._weights("feed_forward_out", self.hidden, dim)], dtype)
        return (x + added)[:, 0].astype(jnp.float32)

    def _weights(self, name, inputs, size):
        return Weights(size, nn.initializers.truncated_normal(self.initial), name=name)(inputs)
