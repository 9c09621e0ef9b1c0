"""Checks of arguments, made while tracing, so that bad input costs no compilation.

Each raises ValueError with one sentence: which argument, what was wanted, what came. Values that
are traced pass: their numbers are not known yet.
"""

import math
import numbers

import jax
import jax.numpy as jnp
import numpy as np


def positive(name, value):
    """A number above zero."""
    if _known(value) and not np.all(np.asarray(value) > 0):
        raise ValueError(f"{name} must be > 0, got {value}")


def not_negative(name, value):
    """A number of zero or more."""
    if _known(value) and not np.all(np.asarray(value) >= 0):
        raise ValueError(f"{name} must be >= 0, got {value}")


def whole(name, value, minimum=1):
    """A whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")


def probability(name, value):
    """A number from 0 to 1."""
    if _known(value) and not np.all((np.asarray(value) >= 0) & (np.asarray(value) <= 1)):
        raise ValueError(f"{name} must be between 0 and 1, got {value}")


def one_of(name, value, choices):
    """One of a few names."""
    if value not in choices:
        wanted = ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be one of {wanted}, got {value!r}")


def at_most(name, value, limit, what):
    """A whole number from 1 to a limit that has a name."""
    whole(name, value)
    if value > limit:
        raise ValueError(f"{name} must be at most {limit}, {what}, got {value}")


def shaped(name, array, shape, why=""):
    """An array of a shape; None in `shape` stands for any length.

    shaped("labels", labels, (32,), "one per row of embeddings")
    """
    got = np.shape(array)
    fits = len(got) == len(shape) and all(
        w is None or g == w for g, w in zip(got, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if w is None else str(w) for w in shape)
        why = f", {why}," if why else ","
        raise ValueError(f"{name} must be [{wanted}]{why} got shape {got}")


def rows_of(name, tree):
    """The leading axis that all leaves of a pytree share."""
    leaves = jax.tree.leaves(tree)
    lengths = {np.shape(leaf)[:1] for leaf in leaves}
    if not leaves or lengths & {()} or len(lengths) != 1:
        shapes = [np.shape(leaf) for leaf in leaves]
        raise ValueError(
            f"{name} must be arrays that share their leading axis, got shapes {shapes}"
        )
    return lengths.pop()[0]


def integers(name, array):
    """An array of integers."""
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be integers, got {array.dtype}")


def column(name, array, rows, why="one per row"):
    """A column of ids, int [rows]: as a JAX array.

    Raises: ValueError for another shape, for what is not integers, and for integers that JAX would cut to
    32 bits.
    """
    array = numbers_of(name, array)
    shaped(name, array, (rows,), why)
    integers(name, array)
    return array


def labels(name, array, rows, why="one per row"):
    """A column of labels, [rows] or [rows, c] numbers or booleans: as a JAX array.

    Raises: ValueError for another shape, for what is not numbers, and for different labels that JAX would
    make equal (integers beyond 32 bits, float64 beyond float32).
    """
    array = numbers_of(name, array)
    if array.ndim not in (1, 2) or array.shape[0] != rows:
        shaped(name, array, (rows,), why)
    return array


def mask(name, where, shape, why="one per row"):
    """A mask, bool of a shape; None keeps everything: as a JAX array."""
    if where is None:
        return jnp.ones(shape, bool)
    where = jnp.asarray(where)
    shaped(name, where, shape, why)
    booleans(name, where)
    return where


def numbers_of(name, array):
    """An array of numbers or booleans, as a JAX array of the same values.

    Raises: ValueError for strings, objects and ragged lists, and for values that differ before JAX narrows
    them to 32 bits and not after (with jax_enable_x64 nothing is narrowed).
    """
    if isinstance(array, jax.Array):
        return array
    try:
        array = np.asarray(array)
    except ValueError as error:  # ragged lists
        raise ValueError(f"{name} must be one array, got rows of different lengths") from error
    if array.dtype.kind in "USOMm":
        raise ValueError(
            f"{name} must be numbers, got {array.dtype}: number them with "
            "np.unique(..., return_inverse=True)[1]"
        )
    narrow = jax.dtypes.canonicalize_dtype(array.dtype)
    if array.size and narrow.itemsize < array.dtype.itemsize:
        if array.dtype.kind in "iu":
            limits = np.iinfo(narrow)
            out = (array < limits.min) | (array > limits.max)
            if out.any():
                raise ValueError(
                    f"{name} must fit 32 bits, got {array[out].flat[0]}: number them with "
                    "np.unique(..., return_inverse=True)[1], or enable jax_enable_x64"
                )
        elif array.ndim and len(np.unique(array)) != len(np.unique(array.astype(narrow))):
            raise ValueError(
                f"{name} has float64 values that are equal in float32: number them with "
                "np.unique(..., return_inverse=True)[1], or enable jax_enable_x64"
            )
    return jnp.asarray(array)


def function(name, value, what):
    """A function, such as a similarity: a name of one is not enough.

    function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    """
    if not callable(value):
        raise ValueError(f"{name} must be a function {what}, got {value!r:.60}")


def booleans(name, array):
    """An array of booleans: a mask of 0.0 and 1.0 would be taken for weights."""
    if array.dtype != bool:
        raise ValueError(f"{name} must be boolean, True for what counts, got {array.dtype}")


def bound(axis_name):
    """A named axis that is there."""
    try:
        jax.lax.axis_size(axis_name)
    except NameError as error:
        raise ValueError(
            f"axis_name={axis_name!r} is not bound: "
            "call inside pmap, shard_map or vmap with that axis"
        ) from error


def finite(name, value):
    """A finite number that is known."""
    if _known(value) and not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")


def _known(value):
    return not isinstance(value, jax.core.Tracer)
