"""Renumbering of ids and labels that need more than 32 bits."""

import jax
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


def together(*, nothing: bool = False, **sides: Array | None) -> list[jax.Array]:
    """Renumbers integers that are compared with each other, so that equal stays equal in 32 bits.

    JAX would cut integers beyond 32 bits, such as hashes. If each side were numbered separately,
    equal ids would get different numbers: all sides are numbered at once, on the host.

    Args:
      nothing: values below 0 mean nothing, and become -1 where numbers are new.
      sides: {name of the argument: int array of any shape}; None is left out.

    Returns: a list of int arrays, in the order given.
    Raises: ValueError for what is not integers, and for traced integers beyond 32 bits.
    """
    sides = {
        name: side if isinstance(side, jax.Array) else checks.one_array(name, side)
        for name, side in sides.items()
        if side is not None
    }
    if any(_traced(side) for side in sides.values()) or not any(map(_wide, sides.values())):
        arrays = [checks.numbers_of(name, side) for name, side in sides.items()]
        for name, array in zip(sides, arrays, strict=True):
            checks.integers(name, array)
        return arrays
    arrays = [np.asarray(side) for side in sides.values()]
    for name, array in zip(sides, arrays, strict=True):
        checks.integers(name, array)
    flat = [array.ravel() for array in arrays]
    if len({array.dtype.kind for array in flat}) > 1:  # signed with unsigned would become floats
        flat = [array.astype(object) for array in flat]
    flat = np.concatenate(flat)
    numbers = np.unique(flat, return_inverse=True)[1].astype(np.int32)
    if nothing:
        numbers = np.where(flat < 0, -1, numbers)
    parts = np.split(numbers, np.cumsum([array.size for array in arrays])[:-1])
    return [
        checks.numbers_of(name, part.reshape(array.shape))
        for name, part, array in zip(sides, parts, arrays, strict=True)
    ]


def _wide(side):
    """Whether integers of the host would be cut."""
    if isinstance(side, jax.Array) or side.dtype.kind not in "iu" or not side.size:
        return False
    limits = np.iinfo(jax.dtypes.canonicalize_dtype(side.dtype))
    return int(side.min()) < limits.min or int(side.max()) > limits.max


def _traced(side):
    return isinstance(side, jax.core.Tracer)
