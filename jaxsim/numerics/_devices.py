"""Devices: compute dtype, block sizes by memory, and rows that are split over a named axis.

The kind of device is looked up when a function is called or traced, never at import.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree

MEMORY_SHARE = 256  # one number of a block for so many bytes of memory: 1/64 of it, as float32


def compute_dtype() -> jax.typing.DTypeLike:
    """The type that encoders compute in by default: float32 on CPU, bfloat16 on accelerators.

    Parameters, norms, softmax, pooling and losses are float32 on both.
    """
    return jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16


def in_turn(*sizes: Any) -> bool:
    """Whether a program may walk over rows in a loop, of which these are sizes.

    Not where one is no number, in a program that is exported for any size, nor with several devices: rows spread over
    them would be gathered by the loop.
    """
    return jax.device_count() == 1 and all(isinstance(size, int) for size in sizes)


def block_entries(least: int) -> int:
    """Default number of scores per block: `least` on CPU, more with an accelerator's memory.

    On an accelerator a power of two, so that what else is in its memory does not change the blocks; `least`
    where the device does not report its memory.

    Args:
      least: the number on CPU, and the smallest on accelerators.
    """
    if jax.default_backend() == "cpu":
        return least
    stats = None
    with contextlib.suppress(RuntimeError):  # a plugin that does not report it
        stats = jax.local_devices()[0].memory_stats()
    entries = int((stats or {}).get("bytes_limit") or 0) // MEMORY_SHARE
    return max(least, 2 ** (entries.bit_length() - 1)) if entries else least


def gather(tree: ArrayTree, axis_name: str | None = None) -> Any:
    """All-gather: every device's rows of a pytree, in device order; the tree itself without an axis.

    leaves [rows, ...] -> leaves [devices * rows, ...]. Gather ids and labels in the same call as the
    embeddings: labels rebuilt from offsets are easily wrong.
    """
    if axis_name is None:
        return tree
    return jax.lax.all_gather(tree, axis_name, tiled=True)


def row_ids(rows: int, axis_name: str | None = None) -> jax.Array:
    """Global row ids of this device's rows: int32 [rows], numbered as `gather` orders them."""
    ids = jnp.arange(rows, dtype=jnp.int32)
    return ids if axis_name is None else ids + rows * jax.lax.axis_index(axis_name)


def gathered(function: Callable) -> Callable:
    """Decorator: makes a function of arrays [rows, ...] global over devices; it gains `axis_name=`.

    Every device gathers the arrays and computes the whole; gradients of parameters stay exact after
    the training step's pmean. For small functions, such as your own.

        spread = gathered(lambda x: jnp.var(x))
        spread(x, axis_name="devices")
    """

    @functools.wraps(function)
    def over_devices(*arrays, axis_name=None, **settings):
        if axis_name is None:
            return function(*arrays, **settings)
        checks.bound(axis_name)
        value = function(*gather(arrays, axis_name), **settings)
        return jax.lax.pmean(value, axis_name)

    return over_devices
