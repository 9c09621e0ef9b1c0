"""The multilayer perceptron: vectors to embeddings, for tables, features and small pictures."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.numerics import checks, compute_dtype
from jaxsim.numerics.types import Array


class Mlp(nn.Module):
    """Multilayer perceptron (MLP): dense layers with an activation between them, and a linear head.

    inputs float [..., features] -> float32 [..., dim], not normalized

    Examples do not see each other, so that a batch may be split in any way. Layers are `dense_0`,
    `dense_1`, ..., and `head`.
    """

    dim: int  # of the output
    widths: tuple[int, ...] = (256, 256)  # of the hidden layers; none is a linear map
    activation: Callable[[Array], jax.Array] = nn.relu
    # Of the arithmetic, None is `numerics.compute_dtype()`; parameters and head are float32.
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, inputs: Array, *, features: bool = False) -> Any:
        """Embeddings.

        Args:
          inputs: float [..., features].
          features: give (embeddings, what the head saw: float32 [..., width]) instead.
        """
        checks.whole("dim", self.dim)
        for width in self.widths:
            checks.whole("widths", width)
        dtype = compute_dtype() if self.dtype is None else self.dtype
        x = inputs.astype(dtype)
        for number, width in enumerate(self.widths):
            x = self.activation(nn.Dense(width, dtype=dtype, name=f"dense_{number}")(x))
        seen = x.astype(jnp.float32)
        embeddings = nn.Dense(self.dim, name="head")(seen)
        return (embeddings, seen) if features else embeddings
