"""Splitting a batch over devices: padding to their number, and the checks of every batch."""

import warnings
from typing import Any

import jax
import numpy as np

from jaxsim.numerics import checks


def spread(batch: dict, count: int) -> dict:
    """Splits a batch over devices: adds a leading axis; rows that fill it up have `where` False.

    Args:
      batch: dict of arrays (or of dicts of them) that share their leading axis, among them `where`,
        bool [rows], False for padding, and `ids`, int [rows]. A dict of packed texts (`data.packed`) has other
        leading axes, and must be packed for a multiple of `count` devices.
      count: the number of devices.

    Returns: the same with leaves [count, rows per device, ...]; filled up with zeros, ids with -1.
    Raises: ValueError for a batch without `where` or `ids`, for columns that are not arrays of numbers, that
    differ in their rows, or whose integers JAX would cut to 32 bits.
    Warns: where there are fewer rows than devices, so that some have nothing to do.
    """
    rows = rows_of_batch(batch)
    if rows < count:
        warnings.warn(f"a batch of {rows} rows leaves some of {count} devices idle", stacklevel=2)
    padding = -rows % count

    def split(leaf, fill=0):
        leaf = np.asarray(leaf)
        if padding:
            widths = [(0, padding)] + [(0, 0)] * (leaf.ndim - 1)
            leaf = np.pad(leaf, widths, constant_values=fill)
        return leaf.reshape(count, (rows + padding) // count, *leaf.shape[1:])

    return {
        name: split(column, -1) if name == "ids" else _mapped(split, column, count)
        for name, column in batch.items()
    }


def rows_of_batch(batch: dict) -> int:
    """Returns a batch's number of rows, after the checks that `spread` lists."""
    if not isinstance(batch, dict):
        raise ValueError(
            "a batch must be a dict of arrays, among them 'where' and 'ids', got "
            f"{type(batch).__name__}"
        )
    for name, what in (("where", "False for padding"), ("ids", "numbers of the examples")):
        if name not in batch:
            has = ", ".join(map(str, batch))
            raise ValueError(f"batch must have a column {name!r}, {what}: it has {has}")
    rows = {name: _checked(name, leaf) for name, leaf in _columns("batch", batch)}
    rows = {name: count for name, count in rows.items() if count is not None}
    if len(set(rows.values())) != 1:
        counts = ", ".join(f"{name} has {count}" for name, count in rows.items())
        raise ValueError(
            f"the columns of a batch must share their leading axis, their rows: {counts}"
        )
    count = np.shape(batch["where"])[0]
    checks.shaped("batch['where']", batch["where"], (count,))
    checks.booleans("batch['where']", batch["where"])
    checks.shaped("batch['ids']", batch["ids"], (count,))
    checks.integers("batch['ids']", batch["ids"])
    return count


def _columns(name, column):
    """(name, array) of every column, those of dicts within dicts too; packed texts are one."""
    if is_packed(column):
        return [(name, column)]
    if not isinstance(column, dict):
        return [(name, column)]
    return [pair for key, inner in column.items() for pair in _columns(f"{name}[{key!r}]", inner)]


def _checked(name, column):
    """The rows of a column of numbers that fit JAX's; None of packed texts, whose rows are others."""
    if isinstance(column, dict):
        for key, array in column.items():
            _checked(f"{name}[{key!r}]", array)
        return None
    if not hasattr(column, "dtype") or not hasattr(column, "shape"):
        raise ValueError(f"{name} must be an array, got {type(column).__name__}: np.asarray it")
    if column.dtype.kind in "USOMm":
        raise ValueError(
            f"{name} must be numbers, got {column.dtype}: turn texts into tokens, and names into numbers"
        )
    if column.ndim == 0:
        raise ValueError(f"{name} must have a leading axis of rows, got shape ()")
    if column.dtype.kind in "iu" and column.size:
        limits = np.iinfo(jax.dtypes.canonicalize_dtype(column.dtype))
        if limits.bits < 8 * column.dtype.itemsize:
            for value in (int(column.min()), int(column.max())):
                if not limits.min <= value <= limits.max:
                    raise ValueError(
                        f"{name} must fit 32 bits, got {value}: number them with "
                        "np.unique(..., return_inverse=True)[1], or enable jax_enable_x64"
                    )
    return column.shape[0]


def _mapped(function, column, count):
    if is_packed(column):
        return _packed(column, count)
    if isinstance(column, dict):
        return {name: _mapped(function, leaf, count) for name, leaf in column.items()}
    return function(column)


def is_packed(column: Any) -> bool:
    """Whether a column of a batch is texts as `data.packed` gives them."""
    return isinstance(column, dict) and {"segments", "starts", "lengths"} <= set(column)


def _packed(column, count):
    """Packed texts with a leading axis for devices, and for each its own numbers of texts and places."""
    texts, rows = len(column["starts"]), len(column["segments"])
    if texts % count == rows % count == 0:
        parts = {name: a.reshape(count, -1, *a.shape[1:]) for name, a in column.items()}
        number = np.arange(count, dtype=np.int32)
        size = parts["segments"][0].size
        starts = parts["starts"] - size * number[:, None]
        real = parts["lengths"] > 0
        if ((starts >= 0) & (starts < size))[real].all():
            segments = parts["segments"] - texts // count * number[:, None, None]
            segments = np.where(parts["segments"] >= 0, segments, -1)
            return {**parts, "segments": segments, "starts": np.where(real, starts, 0)}
    raise ValueError(
        f"packed texts must be packed for a multiple of {count} devices, data.packed(devices={count})"
    )
