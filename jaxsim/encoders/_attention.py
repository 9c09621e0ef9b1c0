"""Scaled dot-product attention: cuDNN's where it supports the shapes, else XLA's, and a faster form on CPU.

On CPU `jax.nn.dot_product_attention` spends most of its time on layouts: with heads of 32 and texts of
256 tokens `plain_attention` takes a fifth of the time, of 64 tokens two fifths. It adds what a mask forbids to
the scores, which XLA does within their product. Many long texts go by a few rows, whose scores stay in the cache and
are not kept for the gradient.
"""

import concurrent.futures
import functools
import logging

import jax
import jax.numpy as jnp

from jaxsim.numerics._devices import in_turn
from jaxsim.numerics.types import Array

LOG = logging.getLogger("jaxsim")
NARROW = (jnp.dtype("bfloat16"), jnp.dtype("float16"))
WIDEST_HEAD = 128  # that cuDNN takes on every card
SCORES = 2**21  # of a block of rows on a CPU: 8 MiB, which its cache holds
FEW = 8  # blocks


def attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    *,
    mask: Array,
    bias: Array | None = None,
    cudnn: bool = True,
) -> jax.Array:
    """Scaled dot-product attention: softmax(query key / sqrt(dim) + bias, where the mask allows) value.

    Args:
      query: float [rows, queries, heads, dim].
      key, value: float [rows, keys, shared, dim]; each of `shared` serves heads / shared of query's.
      mask: bool [rows or 1, heads or 1, queries or 1, keys]. A query that sees nothing gets the mean of all.
      bias: float, broadcast likewise, or None.
      cudnn: whether an NVIDIA card may run it through cuDNN, where `cudnn_takes` the shapes; it holds no
        [queries, keys] matrix and has gradients in reverse mode alone.

    Returns: [rows, queries, heads, dim], in query's type; the softmax is float32 at least.
    """
    if jax.default_backend() == "cpu":
        return blocked_attention(query, key, value, mask=mask, bias=bias)
    if not cudnn or bias is not None or not cudnn_takes(query, key):
        return jax.nn.dot_product_attention(query, key, value, bias=bias, mask=mask)
    # Decided as it is compiled: on a machine with a card some things run on the host's CPU all the same.
    return jax.lax.platform_dependent(
        query, key, value, mask, cuda=cudnn_attention, default=xla_attention
    )


def cudnn_takes(query: jax.Array, key: jax.Array) -> bool:
    """Whether cuDNN's attention is used for queries and keys, by shapes, types and the hardware.

    It takes bfloat16 and float16, heads of a multiple of 8 and at most 128 dimensions and, with a mask and
    gradients, even numbers of tokens.
    """
    return (
        jax.default_backend() == "gpu"
        and query.dtype in NARROW
        and query.shape[-1] % 8 == 0
        and query.shape[-1] <= WIDEST_HEAD
        and query.shape[1] % 2 == key.shape[1] % 2 == 0
        and min(query.shape) > 0
        and min(key.shape) > 0
        and cudnn_works(query.dtype.name, query.shape[-1])
    )


@functools.cache
def cudnn_works(dtype: str, dim: int) -> bool:
    """Whether cuDNN's attention compiles on the card of this process and gives what XLA's gives.

    Looked up once for each type and size of heads, on a thread where nothing is being traced. Where it does
    not, a line of the log says why.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        try:
            difference = thread.submit(_difference, dtype, dim).result()
        except Exception as error:
            # Without cuDNN, with an old one or an old card the error is whatever they raise.
            LOG.info("attention runs through XLA, not cuDNN: %s", f"{error!s:.200}")
            return False
    agrees = difference < 2.0**-4
    if not agrees:
        LOG.warning(
            "attention runs through XLA: cuDNN's differs by %.2g of the largest", difference
        )
    return agrees


def cudnn_attention(query: jax.Array, key: jax.Array, value: jax.Array, mask: Array) -> jax.Array:
    """`attention` by cuDNN: reverse mode only; a query that sees nothing still has gradients."""
    shape = (
        query.shape[0],
        1 if mask.shape[1] == 1 else query.shape[2],
        query.shape[1],
        key.shape[1],
    )
    mask = jnp.broadcast_to(mask, shape)
    return jax.nn.dot_product_attention(query, key, value, mask=mask, implementation="cudnn")


def xla_attention(query: jax.Array, key: jax.Array, value: jax.Array, mask: Array) -> jax.Array:
    """`attention` by XLA."""
    return jax.nn.dot_product_attention(query, key, value, mask=mask, implementation="xla")


def _difference(dtype, dim):
    """The largest difference of a small attention and its gradients by cuDNN, relative to XLA's largest."""
    keys = jax.random.split(jax.random.key(0), 4)
    query, key, value, slope = (jax.random.normal(k, (2, 64, 2, dim), dtype) for k in keys)
    mask = jnp.arange(64) % jnp.array([3, 5])[:, None] > 0
    mask = mask[:, None, None]

    @functools.partial(jax.jit, static_argnums=0)
    def both(attend, *arrays):
        result, backward = jax.vjp(lambda *a: attend(*a, mask), *arrays)
        return result, *backward(slope)

    ours, theirs = (both(f, query, key, value) for f in (cudnn_attention, xla_attention))
    return max(
        float(jnp.abs(a.astype(jnp.float32) - b).max() / jnp.abs(b).max())
        for a, b in zip(ours, theirs, strict=True)
    )


def blocked_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    *,
    mask: Array,
    bias: Array | None = None,
    scores: int = SCORES,
) -> jax.Array:
    """`plain_attention` of a few rows at a time, whose scores are taken again for the gradient.

    Args:
      query, key, value, mask, bias: as of `attention`.
      scores: how many [heads, queries, keys] a block of rows may have.
    """
    rows, asking, heads, _ = query.shape
    keys, parts = key.shape[1], 1
    if in_turn(rows, asking, keys):
        block = max(scores // max(heads * asking * keys, 1), 1)
        parts = -(-rows // block)
    if parts <= FEW:  # no faster than all at once
        return plain_attention(query, key, value, mask=mask, bias=bias)
    every = {"mask": jnp.asarray(mask)} | ({} if bias is None else {"bias": jnp.asarray(bias)})
    by_row = {name: a for name, a in every.items() if a.ndim == 4 and len(a) == rows}
    shared = {name: a for name, a in every.items() if name not in by_row}

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def attend(arrays, of_row):
        one = {name: a[None] for name, a in of_row.items()}
        return plain_attention(*(a[None] for a in arrays), **one, **shared)[0]

    return jax.lax.map(
        lambda of: attend(*of), ((query, key, value), by_row), batch_size=-(-rows // parts)
    )


def plain_attention(
    query: jax.Array, key: jax.Array, value: jax.Array, *, mask: Array, bias: Array | None = None
) -> jax.Array:
    """`attention` by two products per head; the result is divided by the sum, not the weights."""
    dtype = query.dtype
    exact = jnp.promote_types(dtype, jnp.float32)
    rows, asking, heads, dim = query.shape
    keys, shared = key.shape[1:3]
    query = query * dim**-0.5
    query, key, value = (jnp.swapaxes(a, 1, 2) for a in (query, key, value))
    mask = jnp.asarray(mask)
    query = jnp.where(mask.any(axis=-1, keepdims=True), query, 0)  # no slope of who sees nothing
    # The queries of heads that share keys become those of one head.
    together = rows, shared, heads // shared * asking
    query = query.reshape(*together, dim)
    logits = jnp.einsum("bnqd,bnkd->bnqk", query, key, preferred_element_type=exact)
    logits = logits.reshape(rows, heads, asking, keys)
    # Added, so that it is part of the product: a choice between scores would be a pass over them.
    allowed = 0 if bias is None else bias.astype(exact)
    logits = logits + jnp.where(mask, allowed, jnp.asarray(-0.7 * jnp.finfo(exact).max, exact))
    weights = jnp.exp(logits - jax.lax.stop_gradient(logits.max(axis=-1, keepdims=True)))
    mixed = jnp.einsum(
        "bnqk,bnkd->bnqd",
        weights.astype(dtype).reshape(*together, keys),
        value,
        preferred_element_type=exact,
    )
    mixed = mixed.reshape(rows, heads, asking, dim) / weights.sum(axis=-1, keepdims=True)
    return jnp.swapaxes(mixed, 1, 2).astype(dtype)
