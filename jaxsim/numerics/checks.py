"""Checks of arguments, made while tracing, so that bad input costs no compilation.

Each raises ValueError with one sentence: which argument, what was wanted, what came. Values that
are traced pass: their numbers are not known yet.
"""

import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics._copies import copied
from jaxsim.numerics.types import Array, ArrayTree, Shape


def positive(name: str, value: Any) -> None:
    """Checks for a number above zero."""
    _holds(name, value, lambda number: number > 0, "> 0")


def not_negative(name: str, value: Any) -> None:
    """Checks for a number of zero or more."""
    _holds(name, value, lambda number: number >= 0, ">= 0")


def whole(name: str, value: Any, minimum: int = 1) -> None:
    """Checks for a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")


def probability(name: str, value: Any) -> None:
    """Checks for a number from 0 to 1."""
    _holds(name, value, lambda number: (number >= 0) & (number <= 1), "between 0 and 1")


def one_of(name: str, value: Any, choices: Iterable) -> None:
    """Checks for one of a few names."""
    if value not in choices:
        wanted = ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be one of {wanted}, got {value!r}")


def at_most(name: str, value: Any, limit: int, what: str) -> None:
    """Checks for a whole number from 1 to a limit, which the message describes by `what`."""
    whole(name, value)
    if value > limit:
        raise ValueError(f"{name} must be at most {limit}, {what}, got {value}")


def shaped(name: str, array: Any, shape: Sequence[int | None], why: str = "") -> None:
    """Checks an array's shape; None in `shape` is any length.

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


def rows_of(name: str, tree: ArrayTree) -> int:
    """Returns the leading axis that all leaves of a pytree share, or refuses the tree."""
    leaves = jax.tree.leaves(tree)
    lengths = {np.shape(leaf)[:1] for leaf in leaves}
    if not leaves or lengths & {()} or len(lengths) != 1:
        shapes = [np.shape(leaf) for leaf in leaves]
        raise ValueError(
            f"{name} must be arrays that share their leading axis, got shapes {shapes}"
        )
    return lengths.pop()[0]


def integers(name: str, array: Array) -> None:
    """Checks for an array of integers."""
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be integers, got {array.dtype}")


def below(name: str, array: Array, limit: int, what: str) -> None:
    """Checks that integers are below a limit; traced ones pass.

    below("positives", positives, 60, "the number of items")
    """
    if _known(array) and array.size and (highest := int(array.max())) >= limit:
        raise ValueError(f"{name} must be below {limit}, {what}, got {highest}")


def outside(name: str, array: Array, limit: int) -> None:
    """Checks that integers are from 0 to limit - 1; traced ones pass, and empty arrays."""
    if _known(array) and array.size and (array.min() < 0 or array.max() >= limit):
        got = f"{array.min()} to {array.max()}"
        raise ValueError(f"{name} must be from 0 to {limit - 1}, got {got}")


def column(name: str, array: Array, rows: int, why: str = "one per row") -> jax.Array:
    """Checks a column of ids, int [rows], and returns it as a JAX array.

    Raises: ValueError for another shape, for what is not integers, and for integers that JAX would cut to
    32 bits.
    """
    array = numbers_of(name, array)
    shaped(name, array, (rows,), why)
    integers(name, array)
    return array


def labels(name: str, array: Array, rows: int, why: str = "one per row") -> jax.Array:
    """Checks a column of labels, [rows] or [rows, c] numbers or booleans; returns a JAX array.

    Raises: ValueError for another shape, for what is not numbers, and for different labels that JAX would
    make equal (integers beyond 32 bits, float64 beyond float32).
    """
    array = numbers_of(name, array)
    if array.ndim not in (1, 2) or array.shape[0] != rows:
        shaped(name, array, (rows,), why)
    return array


def mask(name: str, where: Array | None, shape: Shape, why: str = "one per row") -> jax.Array:
    """Checks a mask, bool of a shape, and returns it as a JAX array; None keeps everything."""
    return jnp.ones(shape, bool) if where is None else given_mask(name, where, shape, why)


def given_mask(name: str, where: Array, shape: Shape, why: str = "one per row") -> jax.Array:
    """Checks a required mask, bool of a shape, and returns it as a JAX array."""
    where = _array(name, where)
    shaped(name, where, shape, why)
    booleans(name, where)
    return jnp.asarray(where)


def weights(name: str, array: Array, rows: int, why: str = "one per row") -> jax.Array:
    """Checks weights [rows], numbers or booleans, and returns a JAX array.

    Raises: ValueError for another shape, for what is not numbers, and for weights below 0, where the values
    are on the host: on a device, or traced, they are not looked at.
    """
    array = _array(name, array)
    if array.dtype.kind in "USOMmc":
        raise ValueError(f"{name} must be real numbers, got {array.dtype}")
    shaped(name, array, (rows,), why)
    if host(array) and (array < 0).any():
        raise ValueError(f"{name} must be >= 0, got {array[array < 0][0]}")
    return jnp.asarray(array)


def within(
    name: str,
    array: Array,
    low: float,
    high: float,
    *,
    where: Array | None = None,
    remedy: str = "",
) -> jax.Array:
    """Returns which numbers lie outside [low, high]: bool, of the array's shape.

    within("labels", labels, 0, 9, remedy="leave such rows out with where=")

    Raises: ValueError for one outside, where the values are on the host. On a device, or traced, they are
    not looked at: make the result NaN there, so that it is not silently wrong.

    Args:
      name: of the argument.
      array: numbers.
      low, high: the limits, both inside.
      where: False for what may be anything.
      remedy: the way out, for the message.
    """
    array, where = _array(name, array), None if where is None else _array("where", where)
    outside = (array < low) | (array > high)
    if host(array, where):
        if where is not None and np.shape(where) == outside.shape:
            outside = outside & where
        if outside.any():
            raise ValueError(
                f"{name} must be from {low} to {high}, got {array[outside].flat[0]}"
                + (f": {remedy}" if remedy else "")
            )
    return jnp.asarray(outside)


def host(*arrays: Any) -> bool:
    """Returns whether all arrays are on the host, where reading their values is cheap."""
    return not any(
        isinstance(leaf, jax.Array)
        for array in arrays
        for leaf in (jax.tree.leaves(array) if isinstance(array, list | tuple) else [array])
    )


def numbers_of(name: str, array: Any) -> jax.Array:
    """Checks an array of numbers or booleans, and returns the same values as a JAX array.

    Raises: ValueError for strings, objects and ragged lists, and for values that differ before JAX narrows
    them to 32 bits and not after (with jax_enable_x64 nothing is narrowed).
    """
    array = _array(name, array)
    if array.dtype.kind == "c":
        raise ValueError(f"{name} must be real numbers, got {array.dtype}")
    if isinstance(array, jax.Array):
        return array
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
        elif array.dtype.kind == "f" and _merged(array, narrow):
            raise ValueError(
                f"{name} has float64 values that are equal in float32: number them with "
                "np.unique(..., return_inverse=True)[1], or enable jax_enable_x64"
            )
    return jnp.asarray(array)


def reals(name: str, array: Any) -> jax.Array:
    """Checks scores or vectors, and returns a JAX array; narrowing may drop their last digits.

    Unlike `numbers_of`, for labels and ids, it does not ask whether values stay different; integers beyond
    32 bits become floats.

    Raises: ValueError for strings, objects, complex numbers and ragged lists.
    """
    array = _array(name, array)
    if array.dtype.kind in "USOMmc":
        raise ValueError(f"{name} must be real numbers, got {array.dtype}")
    if isinstance(array, jax.Array):
        return array
    narrow = jax.dtypes.canonicalize_dtype(array.dtype)
    if array.dtype.kind in "iu" and array.size and narrow.itemsize < array.dtype.itemsize:
        limits = np.iinfo(narrow)
        if array.min() < limits.min or array.max() > limits.max:
            array = array.astype(np.float32)
    return copied(array)


def host_reals(name: str, array: Any) -> np.ndarray:
    """Checks real numbers as `reals` does, and returns a NumPy array of the same type."""
    array = one_array(name, array)
    if array.dtype.kind in "USOMmc":
        raise ValueError(f"{name} must be real numbers, got {array.dtype}")
    return array


def vectors(name: str, tree: ArrayTree, *, streamed: bool = False, shared: bool = True) -> Any:
    """Checks vectors [rows, dim], or a pytree with a shared leading axis; returns JAX arrays.

    Nested lists of numbers, and lists of rows, are one array, not a pytree of its numbers.

    Args:
      name: of the argument.
      tree: the vectors.
      streamed: leave the leaves as they are, which may be those of a file.
      shared: whether all leaves must have as many rows; a classifier next to embeddings has its own.

    Raises: ValueError for what is not numbers, a single row without its leading axis, leaves of different
    lengths.
    """
    tree = _stacked(name, tree)
    if not streamed:
        tree = jax.tree.map(lambda leaf: reals(name, leaf), tree)
    if len(np.shape(tree) if hasattr(tree, "shape") else (0, 0)) < 2:
        raise ValueError(
            f"{name} must be [rows, dim], got shape {np.shape(tree)}: a single row is {name}[None]"
        )
    if shared:
        rows_of(name, tree)
    return tree


def finite_rows(name: str, tree: ArrayTree, *, squares: bool = False) -> None:
    """Checks rows [rows, ...] for NaN and infinity; a pytree's leaves and traced values pass.

    finite_rows("queries", queries)

    With `squares` their squared norms must be finite too: distances are computed from them.
    """
    if (
        not hasattr(tree, "dtype")
        or not _known(tree)
        or not jnp.issubdtype(tree.dtype, jnp.inexact)
    ):
        return
    if isinstance(tree, jax.Array) and not tree.is_fully_addressable:
        return
    numpy = jnp if isinstance(tree, jax.Array) else np
    axes = tuple(range(1, tree.ndim))
    good = np.asarray(numpy.isfinite(tree).all(axis=axes))
    if not good.all():
        others = "" if (bad := (~good).sum()) == 1 else f", nor are {bad - 1} others"
        raise ValueError(f"{name} must be finite: row {int(np.argmin(good))} is not{others}")
    if squares and good.size:
        largest = np.asarray(numpy.abs(tree).max(axis=axes, initial=0)).astype(np.float64)
        limit = math.sqrt(float(jnp.finfo(tree.dtype).max) / (8 * max(tree[:1].size, 1)))
        if largest.max() > limit:
            row = int(np.argmax(largest))
            raise ValueError(
                f"{name} must have squares that fit {tree.dtype}: row {row} has {largest[row]:g}, "
                f"scale them to below {limit:.0e}"
            )


def one_array(name: str, array: Any) -> np.ndarray:
    """Returns one NumPy array; refuses ragged lists.

    Raises: ValueError for lists of different lengths.
    """
    try:
        return np.asarray(array)
    except ValueError as error:
        raise ValueError(f"{name} must be one array, got rows of different lengths") from error


def names(name: str, array: Any) -> np.ndarray:
    """Checks labels that are compared on the host, strings too; returns a NumPy array.

    Raises: ValueError for ragged lists, objects, and NaN, which is not equal to itself.
    """
    array = one_array(name, array)
    bad = array.dtype.kind == "O" or (array.dtype.kind in "fc" and np.isnan(array).any())
    if bad:
        got = "objects" if array.dtype.kind == "O" else "NaN"
        raise ValueError(f"{name} must be numbers or strings, got {got}")
    return array


def key(name: str, value: Any) -> None:
    """Checks for a key of jax.random, concrete or traced."""
    new = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    old = hasattr(value, "dtype") and value.dtype == np.uint32 and np.ndim(value) > 0
    if not (new or old):
        raise ValueError(f"{name} must be a key, such as jax.random.key(0), got {shown(value)}")


def function(name: str, value: Any, what: str) -> None:
    """Checks for a function, such as a similarity: the name of one is not enough.

    function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    """
    if not callable(value):
        raise ValueError(f"{name} must be a function {what}, got {shown(value)}")


def shown(value: Any) -> str:
    """Formats a value for an error message: on one line, shortened."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def booleans(name: str, array: Array) -> None:
    """Checks for an array of booleans: a mask of 0.0 and 1.0 could be mistaken for weights."""
    if array.dtype != bool:
        raise ValueError(f"{name} must be boolean, True for what counts, got {array.dtype}")


def bound(axis_name: str) -> None:
    """Checks that a named axis is bound."""
    if isinstance(axis_name, numbers.Number):
        raise ValueError(f"axis_name must be the name of an axis, got {axis_name}")
    try:
        jax.lax.axis_size(axis_name)
    except NameError as error:
        raise ValueError(
            f"axis_name={axis_name!r} is not bound: "
            "call inside pmap, shard_map or vmap with that axis"
        ) from error


def number(name: str, value: Any) -> None:
    """Checks for a number, infinity included; NaN is refused."""
    _holds(name, value, lambda number: ~np.isnan(number), "a number")


def finite(name: str, value: Any) -> None:
    """Checks for a finite number; traced ones pass."""
    _holds(name, value, np.isfinite, "finite")


def _holds(name, value, rule, what):
    """A number, or an array of them, for which a rule holds; NaN fails every one."""
    if not _known(value):
        return
    number = one_array(name, value)
    if number.dtype.kind in "USOMmc" or not np.all(rule(number)):
        got = str(value) if np.ndim(value) == 0 and number.dtype.kind in "biufV" else shown(value)
        raise ValueError(f"{name} must be {what}, got {got}")


def _array(name, array):
    """One array: a JAX array as it is, of a list of traced numbers too; all else on the host."""
    if isinstance(array, jax.Array):
        return array
    return one_array(name, array) if host(array) else jnp.asarray(array)


def _merged(array, narrow):
    """Whether narrowing makes labels equal that are meant to differ.

    Whole numbers are; of others those that differ by more than a rounding of their range: measured labels
    are often equal in their last digits by chance.
    """
    values = np.unique(array[np.isfinite(array)])
    with np.errstate(over="ignore"):
        narrowed = values.astype(narrow)
    gaps = np.diff(values)
    whole = (values[1:] % 1 == 0) & (values[:-1] % 1 == 0)
    meant = whole | (gaps > 1e-6 * gaps.sum())
    return bool(((narrowed[1:] == narrowed[:-1]) & meant).any())


def _stacked(name, tree):
    """Lists of numbers, of lists of them, or of rows, as one array."""
    first = tree
    while isinstance(first, (list, tuple)) and len(first):
        first = first[0]
    number = np.shape(first) == () and not isinstance(first, dict | None)
    rows = isinstance(tree, list) and isinstance(first, np.ndarray | jax.Array) and first.ndim == 1
    if isinstance(tree, (list, tuple)) and (number or rows):
        traced = not all(_known(leaf) for leaf in jax.tree.leaves(tree))
        return jnp.asarray(tree) if traced else one_array(name, jax.tree.map(np.asarray, tree))
    return tree


def _known(value):
    return not isinstance(value, jax.core.Tracer)
