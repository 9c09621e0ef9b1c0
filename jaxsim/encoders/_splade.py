"""SPLADE: texts as sparse vectors over the vocabulary, by a masked language model's head.

{"tokens" int [rows, length], "where" bool [rows, length]} -> float32 [rows, vocabulary], most of it 0
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._masked_lm import MaskedLmHead
from jaxsim.encoders._pooling import largest, summed
from jaxsim.encoders._text import Texts, check_texts
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array

BLOCK = 32  # tokens of each text whose logits are alive at once: [rows, BLOCK, vocabulary]


def log_saturation(logits: Array) -> jax.Array:
    """Log saturation: log(1 + relu(x)), SPLADE's activation of logits.

    Args:
      logits: of any shape.

    Returns: numbers >= 0 of the same shape; the slope at 0 is 0.
    Source: SPLADE (Formal et al. 2021, 2107.05720), equation 2.

    Examples:
      >>> from jaxsim import encoders
      >>> print(encoders.log_saturation(-3.0), encoders.log_saturation(0.0))
      0.0 0.0
    """
    return jnp.log1p(jax.nn.relu(at_least_float32(checks.reals("logits", logits))))


def log_log_saturation(logits: Array) -> jax.Array:
    """Log saturation twice: log(1 + log(1 + relu(x))), the activation of OpenSearch's sparse encoders.

    Args:
      logits: of any shape.

    Returns: numbers >= 0 of the same shape; the slope at 0 is 0.
    Source: Shen et al. 2025 (2504.14839).
    """
    return jnp.log1p(log_saturation(logits))


def keep_largest(vectors: Array, k: int) -> jax.Array:
    """Keeps the k largest numbers of each vector and makes the others 0; of equal ones the first are kept.

    Args:
      vectors: [rows, dim].
      k: how many, at least 1; dim or more keeps all.

    Returns: [rows, dim].
    Raises: ValueError for a k below 1, and for what is not [rows, dim].

    Examples:
      >>> import numpy as np
      >>> from jaxsim import encoders
      >>> print(encoders.keep_largest(np.array([[0.5, 2.0, 1.0]]), 2))
      [[0. 2. 1.]]
    """
    vectors = checks.reals("vectors", vectors)
    checks.shaped("vectors", vectors, (None, None), "rows, dim")
    checks.whole("k", k)
    if k >= vectors.shape[1]:
        return vectors
    values, places = jax.lax.top_k(vectors, k)
    rows = jnp.arange(vectors.shape[0])[:, None]
    return jnp.zeros_like(vectors).at[rows, places].set(values, unique_indices=True)


class SpladeEncoder(nn.Module):
    """SPLADE encoder (sparse encoder): each word of the vocabulary gets the largest weight that a token gives it.

        w_j = max over tokens i of log(1 + relu(logits_ij)),   logits of the masked language model's head

    The vectors are compared by their dot product (`similarity.dot`), trained by `losses.splade` and searched with
    `search.sparse_index`. Parameters are {"transformer", "head"}, as those of `MaskedLanguageModel`.

    Logits of all tokens at once, [rows, length, vocabulary], would be most of the memory: they are made for some
    tokens of each text at a time, again in the backward pass.

    Source: SPLADE v2 (Formal et al. 2021, 2109.10086) with `largest`; SPLADE (2107.05720) with `summed`.
    """

    transformer: nn.Module
    head: nn.Module = MaskedLmHead()
    pooling: Callable = largest  # or `summed`
    activation: Callable = log_saturation  # not decreasing, 0 for what is not positive
    block: int = BLOCK
    heads: tuple[Callable, ...] = ()  # none: what follows the pooling in other encoders

    @nn.compact
    def __call__(self, texts: Texts, *, deterministic: bool = True) -> jax.Array:
        """Sparse vectors.

        Args:
          texts: {"tokens", "where"}, and "pooled" as `TextEncoder` takes it.
          deterministic: no dropout.

        Returns: float32 [rows, vocabulary], >= 0; zeros for a text without tokens.
        Raises: ValueError for a pooling other than `largest` and `summed`.
        """
        check_texts("texts", texts)
        checks.whole("block", self.block)
        if self.pooling not in (largest, summed):
            raise ValueError(
                f"pooling must be largest or summed, got {getattr(self.pooling, '__name__', self.pooling)}"
            )
        tokens, where = texts["tokens"], texts["where"]
        states = self.transformer(tokens, where, deterministic=deterministic).astype(jnp.float32)
        words = self.transformer.variables["params"]["tokens"]["embedding"]
        counted = jnp.asarray(texts.get("pooled", where))
        if self.is_initializing():
            return self._pooled(self.head(states, words), counted)
        length = tokens.shape[1]
        if length <= self.block:
            return self._pooled(self.head(states, words), counted)
        # As a pure function, which a scan may compute again.
        head, params = self.head.clone(parent=None), self.head.variables
        blocks = -(-length // self.block)
        extra = blocks * self.block - length

        def cut(array: Any) -> jax.Array:
            padded = jnp.pad(array, [(0, 0), (0, extra)] + [(0, 0)] * (array.ndim - 2))
            return jnp.moveaxis(
                padded.reshape(len(array), blocks, self.block, *array.shape[2:]), 1, 0
            )

        @jax.checkpoint
        def of_block(states, counted, params, words):
            return self._pooled(head.apply(params, states, words), counted)

        join = jnp.maximum if self.pooling is largest else jnp.add
        parts = cut(states), cut(counted)
        first = of_block(parts[0][0], parts[1][0], params, words)
        later = parts[0][1:], parts[1][1:]
        return jax.lax.scan(
            lambda so_far, part: (join(so_far, of_block(*part, params, words)), None), first, later
        )[0]

    def _pooled(self, logits, counted):
        """Weights of words by some tokens' logits."""
        if self.pooling is largest:  # the activation of the largest is the largest activation
            return self.activation(largest(logits, counted))
        return summed(self.activation(logits), counted)
