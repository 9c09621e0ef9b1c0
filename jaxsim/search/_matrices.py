"""Checks of score and vector matrices: once, on the host, without a copy."""

from typing import Any

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Center

ENTRIES = 2**17  # looked at at once: they stay in the cache
UNUSUAL = 1e6  # times the usual size of a row: means, ranges and factors are then that row's alone


def matrix(name: str, array: Any, why: str = "one row per query") -> np.ndarray:
    """Checks a matrix [rows, columns] of finite numbers of similar sizes, and returns it as a NumPy array.

    Raises: ValueError for another shape, no rows or columns, values that are not finite, or a row or column
    a million times as large as the others: in float32 their digits would be lost in the mean of all.
    """
    array = checks.host_reals(name, array)
    checks.shaped(name, array, (None, None), why)
    if 0 in array.shape:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    rows, columns = np.zeros(array.shape[0]), np.zeros(array.shape[1])
    step = min(max(ENTRIES // array.shape[1], 1), len(array))
    space = np.empty((step, array.shape[1]), array.dtype)
    for start in range(0, len(array), step):
        part = array[start : start + step]
        sizes = np.abs(part, out=space[: len(part)])
        rows[start : start + step] = sizes.max(axis=1)
        np.maximum(columns, sizes.max(axis=0), out=columns)
    if not np.isfinite(rows).all():
        bad = sum(int((~np.isfinite(row)).sum()) for row in array)
        raise ValueError(f"{name} must be finite, got {bad} that are not")
    for what, sizes in (("row", rows), ("column", columns)):
        like_sizes(name, sizes, what)
    return array


def like_sizes(name: str, sizes: np.ndarray, what: str = "row") -> None:
    """Refuses rows, by their largest entries, of which one is a million times the median."""
    if len(sizes) and sizes.max() > UNUSUAL * np.median(sizes) > 0:
        worst = int(np.argmax(sizes))
        raise ValueError(
            f"{name} must be of similar sizes: {what} {worst} has {sizes[worst]:g}, the median is "
            f"{np.median(sizes):g}; leave it out"
        )


def offsets_of(
    center: Center | None, scores: np.ndarray, name: str = "anchor_scores"
) -> np.ndarray:
    """Computes the offset of each column by `center`: float [columns]; zeros for None."""
    if center is None:
        return np.zeros(scores.shape[1])
    checks.function("center", center, "[k_q, n] -> [n], such as search.global_mean, or None")
    offsets = checks.host_reals(f"center({name})", center(scores))
    checks.shaped(f"center({name})", offsets, scores.shape[1:], "one offset per item")
    if not np.isfinite(offsets).all():
        raise ValueError(f"center({name}) must be finite, got NaN or infinity")
    return offsets


def distinct(name: str, ids: Any, count: int) -> np.ndarray:
    """Checks distinct numbers int [k] from 0 to count - 1.

    Raises: ValueError for anything else.
    """
    ids = checks.one_array(name, ids)
    if ids.ndim != 1 or len(ids) == 0 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"{name} must be int [k_i], got {ids.dtype} {ids.shape}")
    checks.outside(name, ids, count)
    if repeated := len(ids) - len(np.unique(ids)):
        raise ValueError(f"{name} must be distinct, got {repeated} repeated")
    return ids
