"""Large batches on small devices: gradient caching, gradient accumulation, mixed precision.

    encode = training.chunked(model.encode, 128)           # memory of 128 rows, a loss of all of them
    loss = info_nce(encode(params, batch["q"]), encode(params, batch["d"]), axis_name=axis_name)

A chunk is encoded twice, once forward and once more for its gradient, and only its embeddings are kept
in between: the gradient is exact for any loss, with dropout too, for a chunk's key is the same both
times.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Encode, Objective
from jaxsim.training._objective import evaluate


def chunked(encode: Encode, chunk: int, *, policy: Callable | None = None) -> Encode:
    """Gradient caching (GradCache): an encode function that needs the memory of one chunk.

    Args:
      encode: (params, batch) -> embeddings, leaves [rows, ...]; or (params, batch, key) with dropout.
      chunk: rows at a time, at least 1.
      policy: of `jax.checkpoint`: what may be kept of the forward pass; None keeps nothing.

    Returns: (params, batch, key=None, *, axis_name=None) -> embeddings, as `encode` gives for the
    whole batch; a batch of other than whole chunks is filled up with copies of its last row. With a
    key each chunk gets a separate one, by its number among the chunks of all devices of the axis: the
    same on 1 and 8 devices where their rows are whole chunks.
    Raises: ValueError for a chunk below 1, leaves that do not share their rows.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import training
      >>> encode = training.chunked(lambda params, x: x @ params, 2)
      >>> print(encode(np.array([[2.0]]), np.array([[1.0], [2.0], [3.0]])).tolist())
      [[2.0], [4.0], [6.0]]
    """
    checks.function("encode", encode, "(params, batch) -> embeddings")
    checks.whole("chunk", chunk)

    def encode_chunks(params, batch, key=None, *, axis_name=None):
        rows = checks.rows_of("batch", batch)
        if rows <= chunk and key is None:
            return encode(params, batch)
        count = -(-rows // chunk)
        parts = jax.tree.map(lambda a: _split(jnp.asarray(a), count, chunk), batch)
        first = 0 if axis_name is None else count * jax.lax.axis_index(axis_name)

        def one(inputs):
            number, part = inputs
            keys = () if key is None else (jax.random.fold_in(key, number),)
            return encode(params, part, *keys)

        saveable = policy or jax.checkpoint_policies.nothing_saveable
        embeddings = jax.lax.map(
            jax.checkpoint(one, policy=saveable), (first + jnp.arange(count), parts)
        )
        return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:rows], embeddings)

    return encode_chunks


def accumulated(objective: Objective, parts: int) -> Objective:
    """Gradient accumulation: an objective of a batch in parts, one after another.

    The loss is the mean of the parts' losses, weighted by their rows that count: what the whole batch
    gives for losses that are means over rows. A loss that compares rows then compares those of a part
    alone: for these take `chunked`.

    Args:
      objective: see `fit`. A state goes from part to part; all parts get the same step.
      parts: how many, which must divide a device's rows.

    Returns: an objective.
    Raises: ValueError for rows that do not divide.
    """
    checks.function("objective", objective, "(params, batch, *, key, axis_name) -> loss")
    checks.whole("parts", parts)

    def whole(params, *state_and_batch, key, axis_name, step=None):
        *state, batch = state_and_batch
        rows = checks.rows_of("batch", batch)
        if rows % parts:
            raise ValueError(f"parts must divide the {rows} rows of a device, got {parts}")
        cut = jax.tree.map(lambda a: _split(jnp.asarray(a), parts, rows // parts), batch)

        @jax.checkpoint
        def one(state, inputs):
            number, part = inputs
            loss, (state, metrics) = evaluate(
                objective,
                params,
                state,
                part,
                key=jax.random.fold_in(key, number),
                axis_name=axis_name,
                step=step,
            )
            count = jax.lax.psum(part["where"].sum(), axis_name).astype(loss.dtype)
            return state, (loss, metrics, count)

        start = state[0] if state else None
        end, (losses, metrics, counts) = jax.lax.scan(one, start, (jnp.arange(parts), cut))
        share = counts / jnp.maximum(counts.sum(), 1)
        metrics = jax.tree.map(lambda a: jnp.tensordot(share, a.astype(share.dtype), 1), metrics)
        loss = jnp.sum(share * losses)
        return (loss, (end, metrics)) if state else (loss, metrics)

    return whole


def in_precision(encode: Encode, dtype: Any = jnp.bfloat16) -> Encode:
    """Mixed precision: an encode function that computes in another type; parameters and embeddings are float32.

    Args:
      encode: (params, batch, ...) -> embeddings.
      dtype: of the floats that it is given.

    Returns: the same function; its gradients have the dtypes of the parameters, float32.
    """

    checks.function("encode", encode, "(params, batch, ...) -> embeddings")

    def cast(tree, to):
        def one(leaf):
            return leaf.astype(to) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else leaf

        return jax.tree.map(one, tree)

    def encode_in_precision(params, batch, *inputs, **named):
        embeddings = encode(cast(params, dtype), cast(batch, dtype), *inputs, **named)
        return cast(embeddings, jnp.float32)

    return encode_in_precision


def _split(array, count, size):
    """[rows, ...] -> [count, size, ...], filled up with copies of the last row."""
    missing = count * size - array.shape[0]
    if missing:
        array = jnp.concatenate([array, jnp.repeat(array[-1:], missing, axis=0)])
    return array.reshape(count, size, *array.shape[1:])
