"""Encoders of ids without attention, for short texts: bags of ids, convolutions, and and pairs of towers."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._pooling import largest, summed
from jaxsim.encoders._text import check_not_packed
from jaxsim.numerics import checks, compute_dtype, masked
from jaxsim.numerics.types import Array


class BagEncoder(nn.Module):
    """Bag of words or n-grams: a multilayer perceptron on how often each id comes.

    {"tokens" int [rows, n], "where" bool [rows, n]} -> float32 [rows, dim], not normalized

    The first layer's product with the counts is a sum of its rows, so that counts are never written out. An empty
    bag gives what the biases give. N-grams of tokens: `data.ngram_ids`.
    """

    buckets: int  # ids are from 0 to buckets - 1
    dim: int  # of the output
    width: int = 512  # of the hidden layer
    activation: Callable[[Array], jax.Array] = nn.tanh
    pooling: Callable = (
        summed  # (rows of ids, where) -> [rows, width]; `encoders.mean` takes their mean
    )
    dtype: jnp.dtype | None = None  # of the arithmetic, None is `numerics.compute_dtype()`

    @nn.compact
    def __call__(self, texts: Mapping[str, Array], *, deterministic: bool = True) -> jax.Array:
        """Embeddings.

        Args:
          texts: {"tokens", "where"}; ids in any order, each as often as it comes.
          deterministic: has no effect, there is no dropout.
        """
        for name in ("buckets", "dim", "width"):
            checks.whole(name, getattr(self, name))
        tokens, where = _texts(texts)
        dtype = compute_dtype() if self.dtype is None else self.dtype
        start = nn.initializers.normal(self.width**-0.5)
        rows = nn.Embed(self.buckets, self.width, embedding_init=start, name="ids")(tokens)
        bias = self.param("bias", nn.initializers.zeros, (self.width,))
        x = self.activation(self.pooling(rows, where).astype(dtype) + bias.astype(dtype))
        return nn.Dense(self.dim, name="head")(x.astype(jnp.float32))


class SequenceNet(nn.Module):
    """Convolutional network for sentences: words, a convolution over neighbors, the largest over time, two layers.

    {"tokens" int [rows, length], "where" bool [rows, length]} -> float32 [rows, dim], not normalized

    A text without tokens gives what the biases give. Padding has no influence: it is zero before the convolution
    and left out of the largest.
    """

    vocabulary: int
    dim: int  # of the output
    word_dim: int = 100
    width: int = 512  # of the convolution and of the layer behind it
    window: int = 3  # tokens that a place of the convolution sees
    activation: Callable[[Array], jax.Array] = nn.tanh
    dtype: jnp.dtype | None = None  # of the arithmetic, None is `numerics.compute_dtype()`

    @nn.compact
    def __call__(self, texts: Mapping[str, Array], *, deterministic: bool = True) -> jax.Array:
        """Embeddings.

        Args:
          texts: {"tokens", "where"}.
          deterministic: has no effect, there is no dropout.
        """
        for name in ("vocabulary", "dim", "word_dim", "width", "window"):
            checks.whole(name, getattr(self, name))
        tokens, where = _texts(texts)
        dtype = compute_dtype() if self.dtype is None else self.dtype
        start = nn.initializers.normal(self.word_dim**-0.5)
        words = nn.Embed(self.vocabulary, self.word_dim, embedding_init=start, name="words")(tokens)
        words = masked.zeroed(words, where[..., None]).astype(dtype)
        # Of each place its neighbors side by side: one product, with no convolution to lower.
        before = (self.window - 1) // 2
        padded = jnp.pad(words, [(0, 0), (before, self.window - 1 - before), (0, 0)])
        places = [padded[:, step : step + words.shape[1]] for step in range(self.window)]
        x = nn.Dense(self.width, dtype=dtype, name="convolution")(jnp.concatenate(places, axis=-1))
        x = largest(self.activation(x), where)
        x = self.activation(nn.Dense(self.width, dtype=dtype, name="dense")(x.astype(dtype)))
        return nn.Dense(self.dim, name="head")(x.astype(jnp.float32))


class TwoTowers(nn.Module):
    """Two towers (dual encoder, VSE): one encoder for each side, into one space.

    Parameters are under `first` and `second`: each tower's alone are `{"params": params["params"]["first"]}`.
    """

    first: nn.Module  # such as of images
    second: nn.Module  # such as of texts

    def __call__(self, first: Any, second: Any, *, deterministic: bool = True) -> tuple[Any, Any]:
        """The embeddings of both sides.

        Args:
          first, second: what each tower takes.
          deterministic: no dropout; passed to towers that have it.
        """
        sides = ((self.first, first), (self.second, second))
        one, other = (tower(inputs, **_switch(tower, deterministic)) for tower, inputs in sides)
        return one, other


def _switch(tower, deterministic):
    """The keyword of a tower that has dropout."""
    takes = inspect.signature(type(tower).__call__).parameters
    return {"deterministic": deterministic} if "deterministic" in takes else {}


def _texts(texts):
    """(tokens, where), checked."""
    check_not_packed("texts", texts)
    tokens, where = texts["tokens"], texts["where"]
    checks.integers("texts' tokens", tokens)
    checks.shaped("texts' tokens", tokens, (None, None), "rows, length")
    return tokens, checks.mask("texts' where", where, tokens.shape, "one per token")
