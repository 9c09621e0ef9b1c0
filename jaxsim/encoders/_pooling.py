"""Pooling of a text's token states to one vector: (states [rows, length, dim], where) -> float32 [rows, dim].

A text without tokens gives zeros, or for `cls` and `last` the state of some padding.
"""

from collections.abc import Callable, Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array


def cls(states: Array, where: Array) -> jax.Array:
    """CLS pooling: the state of a text's first real token. [rows, length, dim] -> [rows, dim]"""
    return state_at(states, first_place(where))


def last(states: Array, where: Array) -> jax.Array:
    """Last-token pooling: the state of a text's last real token. [rows, length, dim] -> [rows, dim]"""
    return state_at(states, last_place(where))


def mean(states: Array, where: Array) -> jax.Array:
    """Mean pooling over real tokens; zeros for a text without any. [rows, length, dim] -> [rows, dim]

    Examples:
      >>> import numpy as np
      >>> from jaxsim import encoders
      >>> states = np.array([[[1.0], [3.0], [9.0]]])
      >>> print(encoders.mean(states, np.array([[True, True, False]])))
      [[2.]]
    """
    return masked.mean(states, where[..., None], axis=1)


def summed(states: Array, where: Array) -> jax.Array:
    """Sum pooling over real tokens; zeros for a text without any. [rows, length, dim] -> [rows, dim]"""
    return masked.sum(states, where[..., None], axis=1)


def mean_by_root(states: Array, where: Array) -> jax.Array:
    """Mean-sqrt-length pooling: the sum over real tokens divided by the root of their count. [rows, length, dim] -> [rows, dim]"""
    count = jnp.maximum(where.sum(axis=1, keepdims=True), 1)
    return masked.sum(states, where[..., None], axis=1) / jnp.sqrt(count.astype(jnp.float32))


def largest(states: Array, where: Array) -> jax.Array:
    """Max pooling: the largest value of each dimension among real tokens. [rows, length, dim] -> [rows, dim]"""
    return masked.max(states, where[..., None], axis=1)


def weighted_mean(states: Array, where: Array) -> jax.Array:
    """Weighted mean pooling: weight 1 for the first real token, 2 for the second and so on. [rows, length, dim] -> [rows, dim]

    Source: Muennighoff 2022 (2202.08904), for decoders.
    """
    first = jnp.argmax(where, axis=1)[:, None]
    weights = jnp.where(where, jnp.arange(where.shape[1]) - first + 1, 0).astype(jnp.float32)
    total = jnp.maximum(weights.sum(axis=1, keepdims=True), 1)
    return masked.sum(states * weights[..., None], where[..., None], axis=1) / total


def weighted_mean_by_place(states: Array, where: Array) -> jax.Array:
    """Weighted mean pooling by a token's place in the array: weight 1 for the first, whether pooled or not.

    [rows, length, dim] -> [rows, dim]. What sentence-transformers does where a prompt is not pooled.
    """
    weights = jnp.where(where, jnp.arange(where.shape[1]) + 1, 0).astype(jnp.float32)
    total = jnp.maximum(weights.sum(axis=1, keepdims=True), 1)
    return masked.sum(states * weights[..., None], where[..., None], axis=1) / total


def side_by_side(
    *poolings: Callable[[Array, Array], jax.Array],
) -> Callable[[Array, Array], jax.Array]:
    """Concatenates the vectors of several poolings: -> [rows, dim of all]."""

    def pooled(states, where):
        return jnp.concatenate([pooling(states, where) for pooling in poolings], axis=-1)

    return pooled


def without_first(
    pooling: Callable[[Array, Array], jax.Array],
) -> Callable[[Array, Array], jax.Array]:
    """A pooling that leaves out a text's first real token: BERT's [CLS].

    Source: DSE (Barkan et al. 2020, 1908.05161), from the released code, with `mean`.
    """

    def pooled(states, where):
        after_first = jnp.arange(where.shape[1]) != first_place(where)[:, None]
        return pooling(states, where & after_first)

    return pooled


def pool_layers(
    states: Sequence[Array],
    where: Array,
    *,
    count: int = 4,
    pooling: Callable[[Array, Array], jax.Array] = mean,
) -> jax.Array:
    """Pooling of several layers: the last `count` of them pooled, side by side, the deepest last.

    Args:
      states: of all layers, [rows, length, dim] each, as a transformer gives them with `all_layers`.
      where: bool [rows, length].
      count: how many of them.
      pooling: (states, where) -> [rows, dim].

    Returns: float32 [rows, count dim].
    Raises: ValueError for more layers than there are.
    Source: DSE (1908.05161), with `without_first(mean)`.
    """
    top = _top(states, count)
    return jnp.concatenate([pooling(layer, where) for layer in top], axis=-1)


def pool_mean_of_layers(
    states: Sequence[Array],
    where: Array,
    *,
    count: int = 4,
    pooling: Callable[[Array, Array], jax.Array] = mean,
) -> jax.Array:
    """Pooling of several layers' mean: the states of the last `count` are averaged, then pooled.

    Args and errors as `pool_layers`.

    Returns: float32 [rows, dim].
    """
    return pooling(jnp.mean(jnp.stack(_top(states, count)), axis=0), where)


class AttentionPooling(nn.Module):
    """Attention pooling: a mean with learned weights, the softmax of one learned product per token. [rows, length, dim] -> [rows, dim]"""

    @nn.compact
    def __call__(self, states: Array, where: Array) -> jax.Array:
        states = states.astype(jnp.float32)
        weights = masked.softmax(nn.Dense(1, use_bias=False, name="query")(states)[..., 0], where)
        return jnp.einsum("rl,rld->rd", weights, jnp.where(where[..., None], states, 0))


def marked(states: Array, where: Array) -> jax.Array:
    """Prompt pooling: the state of the one marked token of a text, such as a prompt's [MASK]. [rows, length, dim] -> [rows, dim]

        encode(params, encoders.with_marker(model.tokenize(prompts), marker=mask_id))

    Args:
      states: [rows, length, dim].
      where: bool [rows, length], True at the marker alone, as `with_marker` gives it under "pooled".

    Returns: float32 [rows, dim]; NaN, where the mask is on a device, for a text that has not one marker.
    Raises: ValueError for a mask on the host with a text that has not one.
    Source: PromptBERT (Jiang et al. 2022, 2201.04337); DefSent+ (Liu 2024, 2405.16153).
    """
    _one_each("where", where)
    only = jnp.sum(where, axis=1, keepdims=True) == 1
    return jnp.where(only, mean(states, jnp.asarray(where)), jnp.nan)


def with_marker(texts: Mapping[str, Array], *, marker: int) -> dict[str, Array]:
    """Texts whose pooling counts a marker alone: "pooled" is where their tokens are it. For `marked`.

    A text that holds another marker, or that was cut before its own, would give its place to the wrong state:
    every text must have exactly one.

    Args:
      texts: {"tokens" int [rows, length], "where" bool [rows, length]}.
      marker: the token's id.

    Returns: texts with "pooled", bool [rows, length].
    Raises: ValueError naming the first row that has not one, where the tokens are on the host.
    """
    checks.whole("marker", marker, 0)
    tokens, where = texts["tokens"], texts["where"]
    pooled = (tokens == marker) & where
    _one_each("texts", pooled, f" of marker {marker}")
    return {**texts, "pooled": pooled}


def first_place(where: Array) -> jax.Array:
    """Index of a text's first real token: bool [rows, length] -> int [rows]."""
    return jnp.argmax(where, axis=1)


def last_place(where: Array) -> jax.Array:
    """Index of a text's last real token: bool [rows, length] -> int [rows]."""
    return where.shape[1] - 1 - jnp.argmax(where[:, ::-1], axis=1)


def _one_each(name, where, what=""):
    """Refuses a mask on the host with a row that has not exactly one True."""
    if not checks.host(where):
        return
    counts = np.asarray(where).sum(axis=1)
    if (counts != 1).any():
        row = int(np.argmax(counts != 1))
        raise ValueError(
            f"{name} must have exactly one token{what or ' that is marked'} per row, got {counts[row]} in row {row}"
        )


def highest_place(tokens: Array, where: Array) -> jax.Array:
    """Index of a text's token of the highest number, the first of several: int [rows, length] -> int [rows].

    CLIP's end-of-text token has the highest number of its vocabulary; `TextEncoder(place=)` takes its state.
    """
    return jnp.argmax(jnp.where(where, tokens, -1), axis=1)


def place_of(token: int) -> Callable[[Array, Array], jax.Array]:
    """Index of a text's first token of some number, for `TextEncoder(place=)`.

    Args:
      token: its number in the vocabulary.

    Returns: function (tokens int [rows, length], where bool [rows, length]) -> int [rows], 0 for a text without it.
    Raises: ValueError for what is not a whole number.
    """
    checks.whole("token", token, 0)

    def place(tokens, where):
        return jnp.argmax((tokens == token) & where, axis=1)

    return place


def state_at(states: Array, places: Array) -> jax.Array:
    """The state of one token per text: [rows, length, dim], int [rows] -> float32 [rows, dim]."""
    return jnp.take_along_axis(states, places[:, None, None], axis=1)[:, 0].astype(jnp.float32)


def _top(states, count):
    checks.at_most(
        "count", count, len(states), "the number of layers, that of the embeddings included"
    )
    return [jnp.asarray(layer) for layer in states[-count:]]
