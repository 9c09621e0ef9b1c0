"""Files of an index or a basis: a named tuple of arrays in one checksummed file."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsim.numerics._copies import copied
from jaxsim.storage import load_arrays, save_arrays

KINDS = {"float": jnp.floating, "int": jnp.integer, "int8": jnp.int8, "uint32": jnp.uint32}


def save_tuple(
    path: str | os.PathLike,
    value: Any,
    made: type,
    shapes: dict,
    *,
    kind: str,
    version: int,
    check: Callable | None = None,
) -> None:
    """Saves a named tuple of arrays atomically.

    Args:
      path: the file.
      value: the named tuple.
      made: its class.
      shapes: {name: (type, letters)}, a letter for each axis: the same letter is the same length.
      kind, version: what the file is.
      check: (arrays, lengths) -> what is wrong with the values, or None.

    Raises: ValueError for another class, arrays that do not fit each other, or a path that another process
    writes; OSError naming the file.
    """
    if not isinstance(value, made):
        raise ValueError(f"{kind} must be a {made.__name__}, got {type(value).__name__}")
    arrays = {name: np.asarray(array) for name, array in value._asdict().items()}
    fitting(kind, arrays, shapes, check)
    save_arrays(path, arrays, kind=kind, version=version)


def load_tuple(
    path: str | os.PathLike,
    made: type,
    shapes: dict,
    *,
    kind: str,
    version: int,
    check: Callable | None = None,
    mmap: bool = False,
    host: Sequence[str] = (),
) -> Any:
    """Loads what `save_tuple` wrote.

    Args:
      path, made, shapes, kind, version, check: as there.
      mmap: leave the arrays in the file, mapped.
      host: names of arrays that stay NumPy's in any case.

    Raises: ValueError naming a file that is damaged, of another kind or version, or whose arrays do not fit
    each other.
    """
    arrays, _ = load_arrays(path, kind=kind, version=version, mmap=mmap)
    fitting(path, arrays, shapes, check)
    return made(**{n: a if mmap or n in host else copied(a) for n, a in arrays.items()})


def fitting(what: Any, arrays: dict, shapes: dict, check: Callable | None = None) -> dict[str, int]:
    """Checks arrays against a layout, and returns {letter: length}.

    Args:
      what: they come from, for the error.
      arrays: {name: array}.
      shapes, check: as for `save_tuple`.

    Raises: ValueError naming the array, what came and what was wanted.
    """
    if set(arrays) != set(shapes):
        raise ValueError(
            f"{what}: must hold the arrays {', '.join(shapes)}, got {', '.join(arrays) or 'none'}"
        )
    lengths = {}
    for name, (kind, letters) in shapes.items():
        array = arrays[name]
        fits = array.ndim == len(letters) and jnp.issubdtype(array.dtype, KINDS[kind])
        if not fits or any(
            lengths.setdefault(letter, length) != length
            for letter, length in zip(letters, array.shape, strict=True)
        ):
            wanted = ", ".join(str(lengths.get(letter, letter)) for letter in letters)
            raise ValueError(
                f"{what}: {name} must be {kind} [{wanted}], got {array.dtype} {list(array.shape)}"
            )
    if check is not None and (wrong := check(arrays, lengths)):
        raise ValueError(f"{what}: {wrong}")
    return lengths
