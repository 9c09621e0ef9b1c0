"""Text encoders: a transformer, a pooling, optionally a projection.

{"tokens" int [rows, length], "where" bool [rows, length]} -> float32 [rows, dim]
"""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from jaxsim.numerics import masked


def cls(states, where):
    """The state of a text's first real token. [rows, length, dim] -> [rows, dim]"""
    first = jnp.argmax(where, axis=1)
    return jnp.take_along_axis(states, first[:, None, None], axis=1)[:, 0].astype(jnp.float32)


def mean(states, where):
    """The mean of the states of real tokens; zeros for a text without any. [rows, length, dim] -> [rows, dim]"""
    return masked.mean(states, where[..., None], axis=1)


class TextEncoder(nn.Module):
    """A text's embedding: not normalised, which is the similarity's business."""

    transformer: nn.Module
    pooling: Callable = mean  # (states, where) -> [rows, dim]; `cls` and `mean` are here
    dim: int | None = None  # of a projection without bias; None leaves the transformer's width

    @nn.compact
    def __call__(self, texts, *, deterministic=True):
        states = self.transformer(texts["tokens"], texts["where"], deterministic=deterministic)
        pooled = self.pooling(states, texts["where"])
        if self.dim is not None:
            pooled = nn.Dense(self.dim, use_bias=False, name="projection")(pooled)
        return pooled
