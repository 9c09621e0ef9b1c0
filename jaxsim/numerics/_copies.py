"""Copies of large arrays, from NumPy to a device."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

LARGE = 2**20  # bytes from which a copy takes longer than to arrange one's own
ALIGNED = 64  # bytes: memory that begins at a multiple of it is an array of a CPU without a copy


def copied(
    array: Any,
    dtype: jax.typing.DTypeLike | None = None,
    device: jax.Device | jax.sharding.Sharding | None = None,
) -> jax.Array:
    """A JAX array of numbers, copied once, where `jnp.asarray` copies NumPy's twice unless they are aligned.

    Args:
      array: whatever `jnp.asarray` takes; an array of JAX stays as it is.
      dtype: of the result; None keeps the array's, as far as JAX has it.
      device: where it goes; None leaves that to JAX.
    """
    if not isinstance(array, np.ndarray) or array.nbytes < LARGE:
        return jnp.asarray(array, dtype, device=device)
    kept = np.dtype(jax.dtypes.canonicalize_dtype(dtype or array.dtype))
    memory = np.empty(array.size * kept.itemsize + ALIGNED, np.uint8)
    start = -memory.ctypes.data % ALIGNED
    own = memory[start : memory.size - ALIGNED + start].view(kept).reshape(array.shape)
    np.copyto(own, array, casting="unsafe")  # as jnp.asarray does
    return jax.device_put(own, device)  # nobody else has this memory: a CPU may keep it as it is
