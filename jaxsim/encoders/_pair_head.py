"""Heads of pairs: two embeddings to scores, of each row with its own, or of every row with every other.

Both texts are encoded once. A matrix of n x m scores then costs n + m of all that is about one text alone.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._layers import Weights
from jaxsim.numerics import at_least_float32, block_entries, checks
from jaxsim.numerics._blocks import by_blocks
from jaxsim.numerics.types import Array

BLOCK_ENTRIES = 2**22  # of features that are held at once
# The start of dense layers, Flax's own.
START = nn.initializers.lecun_normal()


def compare_features(first: Array, second: Array) -> jax.Array:
    """Comparison features of two vectors: u, v, u * v and |u - v|, [..., dim] each -> [..., 4 dim].

    Where the two are equal |u - v| has slope 0. `losses.parts.pair_features` are the same without u * v.

    Args:
      first, second: u, v [..., dim].

    Raises: ValueError for shapes that do not fit.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import encoders
      >>> print(encoders.compare_features(np.array([1.0, 2.0]), np.array([3.0, -1.0])))
      [ 1.  2.  3. -1.  3. -2.  2.  3.]

    Source: InferSent (Conneau et al. 2017, 1705.02364), whose order DSE (1908.05161) takes up.
    """
    first, second = _vectors(first, second)
    return jnp.concatenate([first, second, first * second, _distance(first, second)], axis=-1)


class PairHead(nn.Module):
    """Pair head: a perceptron on u, v, u * v and |u - v| of two embeddings (`compare_features`).

    u [rows, dim], v [rows, dim] -> float32 [rows, outputs] (float64 for float64)

    Swapping u and v gives another score unless `symmetric`, which suits paraphrases and similarity;
    entailment needs the order.
    """

    hidden: tuple[int, ...] = (512,)  # widths of the hidden layers; none is a linear map
    outputs: int = 1
    activation: Callable[[Array], jax.Array] = nn.relu  # between the layers
    # u and v share the weights of the first layer: score(u, v) is score(v, u), exactly.
    symmetric: bool = False
    dropout: float = 0.0  # of u and v, before they are compared

    @nn.compact
    def __call__(
        self,
        first: Array,
        second: Array,
        *,
        deterministic: bool = True,
        all_pairs: bool = False,
        block_size: int | None = None,
    ) -> jax.Array:
        """Scores of each row with its own, or of all rows with all.

        Args:
          first: u [rows, dim].
          second: v [rows, dim]; with `all_pairs` [m, dim].
          deterministic: no dropout.
          all_pairs: [rows, m, outputs] instead.
          block_size: rows of `first` that are compared at once; None chooses. It bounds the memory, by
            block_size x m x (2 dim + widths).
        """
        first, second = _sides(first, second, all_pairs)
        for width in self.hidden:
            checks.whole("hidden", width)
        checks.whole("outputs", self.outputs)
        dim, sizes = first.shape[-1], (*self.hidden, self.outputs)
        parts = 3 if self.symmetric else 4
        layers = [
            Weights(size, START, name=f"dense_{number}")(inputs)
            for number, (inputs, size) in enumerate(
                zip((parts * dim, *sizes[:-1]), sizes, strict=True)
            )
        ]
        kernel, bias = layers[0]
        *alone, of_product, of_distance = jnp.split(kernel, parts)
        of_both = jnp.concatenate([of_product, of_distance])
        drop = nn.Dropout(self.dropout, deterministic=deterministic)
        first, second = drop(first), drop(second)
        # What is about one text alone: once for each, not for each pair.
        firsts, seconds = first @ alone[0] + bias / 2, second @ alone[-1] + bias / 2

        def scored(u, v, from_u, from_v):
            both = jnp.concatenate([u * v, _distance(u, v)], axis=-1) @ of_both
            x = (from_u + from_v) + both
            for kernel, bias in layers[1:]:
                x = self.activation(x) @ kernel + bias
            return x

        if not all_pairs:
            return scored(first, second, firsts, seconds)

        def of_rows(rows):
            u, from_u = (a[:, None] for a in rows)
            return scored(u, second, from_u, seconds)

        width = 2 * dim + max(sizes)
        return by_blocks(of_rows, (first, firsts), _block(block_size, len(second) * width))


class DotHead(nn.Module):
    """Dot product head: a u . v + b, with learned a and b for each output.

    u [rows, dim], v [rows, dim] -> float32 [rows, outputs] (float64 for float64)

    Unlike `PairHead` it is symmetric, and the best of many can be searched for among vectors.
    """

    outputs: int = 1

    @nn.compact
    def __call__(
        self,
        first: Array,
        second: Array,
        *,
        deterministic: bool = True,
        all_pairs: bool = False,
        block_size: int | None = None,
    ) -> jax.Array:
        """Scores, args as of `PairHead`."""
        first, second = _sides(first, second, all_pairs)
        checks.whole("outputs", self.outputs)
        kernel, bias = Weights(self.outputs, nn.initializers.ones_init(), name="head")(1)
        if not all_pairs:
            return jnp.sum(first * second, axis=-1, keepdims=True) @ kernel + bias
        block = _block(block_size, len(second) * self.outputs)
        return by_blocks(lambda u: (u @ second.T)[..., None] @ kernel + bias, first, block)


def score_matrix(
    head: nn.Module, params: Mapping[str, Any], x: Array, y: Array, *, block_size: int | None = None
) -> jax.Array:
    """Score matrix of a pair head: every row of x with every row of y, the first layer split.

        scores = encoders.score_matrix(encoders.PairHead(), params, encode(texts), encode(others))

    The same numbers as of the pairs one by one. What the first layer makes of u and of v costs n + m; n x m
    times remain u * v and |u - v| through it, and the layers above.

    Args:
      head: `PairHead` or `DotHead`.
      params: its parameters.
      x: [n, dim].
      y: [m, dim].
      block_size: rows of x at once; None chooses by the memory.

    Returns: float32 [n, m, outputs] (float64 for float64).
    Raises: ValueError for shapes that do not fit, no rows, a block size below 1.
    Source: DSE (Barkan et al. 2020, 1908.05161), whose code scores pair by pair.
    """
    scores: Any = head.apply(params, x, y, all_pairs=True, block_size=block_size)
    return scores


def _sides(first, second, all_pairs):
    """Both sides as float arrays [rows, dim], of as many rows unless all are compared with all."""
    first, second = _vectors(first, second, same=not all_pairs)
    for name, side in (("first", first), ("second", second)):
        checks.shaped(name, side, (None, first.shape[-1]), "rows, dim")
        if all_pairs and len(side) == 0:
            raise ValueError(f"{name} must have one row at least, got 0")
    return first, second


def _vectors(first, second, *, same=True):
    first = at_least_float32(checks.reals("first", first))
    second = at_least_float32(checks.reals("second", second))
    if first.ndim == 0:
        raise ValueError("first must be vectors [..., dim], got a number")
    if same:
        checks.shaped("second", second, first.shape, "as first")
    return first, second


def _distance(first, second):
    """|u - v|, with slope 0 where the two are equal, not 1."""
    difference = first - second
    return jnp.where(difference == 0, 0, jnp.abs(difference))


def _block(block_size, entries):
    """Rows at once: those asked for, or as many as have so many entries each."""
    if block_size is None:
        return max(1, block_entries(BLOCK_ENTRIES) // max(entries, 1))
    checks.whole("block_size", block_size)
    return block_size
