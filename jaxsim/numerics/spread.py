"""Splitting a batch over devices: padding to their count, and the checks that every batch passes."""

import warnings

import numpy as np

from jaxsim.numerics import checks


def spread(batch, count):
    """A batch with a leading axis for the devices; rows that fill it up have `where` False.

    Args:
      batch: dict of arrays (or of dicts of them) that share their leading axis, among them `where`,
        bool [rows], False for padding, and `ids`, int [rows].
      count: the number of devices.

    Returns: the same with leaves [count, rows per device, ...]; filled up with zeros, ids with -1.
    Raises: ValueError for a batch without `where` or `ids`, or whose leading axes differ.
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
        name: split(column, -1) if name == "ids" else _mapped(split, column)
        for name, column in batch.items()
    }


def rows_of_batch(batch):
    """The rows of a batch, after the checks that `spread` names."""
    for name, what in (("where", "False for padding"), ("ids", "numbers of the examples")):
        if name not in batch:
            has = ", ".join(batch)
            raise ValueError(f"batch must have a column {name!r}, {what}: it has {has}")
    rows = checks.rows_of("the columns of a batch", batch)
    checks.shaped("where", batch["where"], (rows,))
    return rows


def _mapped(function, column):
    if isinstance(column, dict):
        return {name: _mapped(function, leaf) for name, leaf in column.items()}
    return function(column)
