"""Which row each text goes to where rows hold several, and the arrays of such rows."""

from collections.abc import Sequence

import numpy as np

from jaxsim.numerics.types import Array


def first_fit(lengths: Sequence[int] | Array, length: int) -> tuple[np.ndarray, int]:
    """First fit decreasing: where each text begins among rows of a length, and how many rows there are.

    Args:
      lengths: int [texts].
      length: of a row.

    Returns: int32 [texts], row * length + column, and an int.
    Raises: ValueError for a text longer than a row.
    """
    rows, columns, sizes = first_fit_rows(lengths, (length,))
    return (rows * length + columns).astype(np.int32), len(sizes)


def first_fit_rows(
    lengths: Sequence[int] | Array, ends: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First fit decreasing over rows of several lengths: a row is as long as the text that opens it needs.

    Args:
      lengths: int [texts].
      ends: increasing lengths of rows.

    Returns: the row of each text and its column, int [texts] each, and the length of each row, int [rows].
    Raises: ValueError for a text longer than a row.
    """
    sizes = np.asarray(lengths, np.int64)
    if sizes.size and sizes.max() > ends[-1]:
        raise ValueError(f"texts must be at most length={ends[-1]} long, got one of {sizes.max()}")
    rows, columns = np.zeros((2, len(sizes)), np.int64)
    whole, free = np.zeros((2, len(sizes) + 1), np.int64)
    count = 0
    for number in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[number])
        if not size:
            continue
        fits = free[:count] >= size
        row = int(fits.argmax()) if count else 0
        if not count or not fits[row]:
            row, count = count, count + 1
            whole[row] = free[row] = ends[int(np.searchsorted(ends, size))]
        rows[number], columns[number] = row, whole[row] - free[row]
        free[row] -= size
    return rows, columns, whole[:count]


def arrays_of(
    texts: Sequence[np.ndarray], starts: np.ndarray, rows: int, length: int
) -> dict[str, np.ndarray]:
    """The arrays of one device's rows, as `data.packed` describes them.

    Args:
      texts: int arrays [length].
      starts: int [texts], where each begins, row * length + column.
      rows, length: of the arrays.
    """
    sizes = np.array([len(text) for text in texts], np.int32)
    text = np.repeat(np.arange(len(texts)), sizes)
    place = np.arange(len(text)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    flat = np.asarray(starts)[text] + place
    tokens, segments, positions = (np.full(rows * length, fill, np.int32) for fill in (0, -1, 0))
    if len(text):
        tokens[flat], segments[flat], positions[flat] = np.concatenate(texts), text, place
    shape = rows, length
    return {
        "tokens": tokens.reshape(shape),
        "where": (segments >= 0).reshape(shape),
        "segments": segments.reshape(shape),
        "positions": positions.reshape(shape),
        "starts": np.asarray(starts, np.int32),
        "lengths": sizes,
    }
