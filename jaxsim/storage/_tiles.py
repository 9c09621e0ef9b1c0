"""Resumable matrices, computed tile by tile: each tile is on disk as soon as it is finished."""

import contextlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxsim.numerics import checks
from jaxsim.storage._arrays import load_arrays, write_arrays, write_blocks
from jaxsim.storage._fields import Fields
from jaxsim.storage._progress import bar
from jaxsim.storage._targets import check_file, owned

VERSION = 1  # of both files
FLOAT = np.dtype(np.float32)
OURS = re.compile(r"\d{9,}|\.\d{9,}\.\w+\.part")  # what the folder of tiles holds


def fill(
    path: str | os.PathLike | None,
    shape: tuple[int, int],
    compute: Callable[[np.ndarray, np.ndarray], Any],
    *,
    rows: int,
    fingerprint: Any = "",
    label: str = "computing",
    unit: str = "entries",
    mmap: bool = False,
) -> np.ndarray:
    """Computes a float32 matrix [m, n] tile by tile and resumes where it stopped; a finished file is read.

    Args:
      path: the finished file; its tiles are in the folder `path + ".tiles"` until it is whole.
        None computes in memory and writes nothing.
      shape: (m, n).
      compute: (row ids int [r], column ids int [n]) -> float [r, n].
      rows: rows per tile: what a kill may lose.
      fingerprint: of all that the numbers depend on, a JSON value; files of another one are refused.
      label, unit: for the progress bar, which counts entries.
      mmap: return the finished file mapped, and put it together without holding it; needs a path.

    Returns: numpy float32 [m, n]; the file has the same bytes however often the job was killed.
    Raises: ValueError for a tile with NaN or with numbers beyond float32 (finished tiles stay), for files
    that are damaged, of another shape or of another fingerprint, by name, and for a path that another
    process fills.
    """
    for length in shape:
        checks.whole("shape", length, 0)
    checks.whole("rows", rows)
    height, width = map(int, shape)
    tiles = [(start, min(rows, height - start)) for start in range(0, height, rows)]
    if path is None:
        if mmap:
            raise ValueError("mmap=True needs a path")
        result = np.empty((height, width), FLOAT)
        with bar(height * width, label, unit) as progress:
            for start, count in tiles:
                result[start : start + count] = _computed(compute, start, count, width, label)
                progress.advance(count * width)
        return result

    path = Path(path)
    folder = path.with_name(path.name + ".tiles")
    # As it comes back from a file: tuples are lists there.
    about = json.loads(json.dumps({"shape": [height, width], "fingerprint": fingerprint}))
    if path.exists():
        matrix = _matrix(path, about, mmap)
        if folder.exists():  # killed before it could remove them, or about to
            with contextlib.suppress(OSError, ValueError), owned(path, "file"):
                _remove(folder)
        return matrix
    check_file("path", path)
    with owned(path, "file"):
        if path.exists():  # finished by another process a moment ago
            return _matrix(path, about, mmap)
        result = None if mmap else np.empty((height, width), FLOAT)
        with bar(height * width, label, unit) as progress:
            for start, count in tiles:
                block = _tile(folder, about, start, count)
                if block is not None:
                    progress.skip(block.size)
                else:
                    block = _computed(compute, start, count, width, label, folder)
                    meta = {**about, "rows": [start, count]}
                    write_arrays(
                        _named(folder, start),
                        {"values": block},
                        kind="tile",
                        version=VERSION,
                        meta=meta,
                    )
                    progress.advance(block.size)
                if result is not None:
                    result[start : start + count] = block
        blocks = (_tile(folder, about, *tile) for tile in tiles) if mmap else [result]
        write_blocks(
            path,
            {"values": (FLOAT, (height, width))},
            {"values": blocks},
            kind="matrix",
            version=VERSION,
            meta=about,
        )
        _remove(folder)
    return _matrix(path, about, mmap) if mmap else result


def _computed(compute, start, count, width, label, folder=None):
    """One tile, checked."""
    note = "" if folder is None else f"; finished tiles are kept in {folder}"
    where = f"rows {start} to {start + count - 1}"
    values = np.asarray(compute(np.arange(start, start + count), np.arange(width)))
    if values.shape != (count, width):
        raise ValueError(
            f"compute must return [{count}, {width}] for {where}, got shape {values.shape}"
        )
    if values.dtype.kind not in "biuf" and values.dtype.name != "bfloat16":
        raise ValueError(f"compute must return real numbers for {where}, got {values.dtype}")
    with np.errstate(over="ignore"):
        block = values.astype(FLOAT)
    if bad := np.isnan(block).sum():
        raise ValueError(f"{label}: {bad} of {block.size} entries are NaN in {where}{note}")
    if bad := (np.isinf(block) & np.isfinite(values)).sum():
        raise ValueError(
            f"{label}: {bad} of {block.size} entries are beyond float32 in {where}{note}"
        )
    return block


def _tile(folder, about, start, count):
    """A finished tile; None where there is none."""
    path = _named(folder, start)
    if not path.exists():
        return None
    try:
        return _read(path, "tile", {**about, "rows": [start, count]}, (count, about["shape"][1]))
    except ValueError as error:
        raise ValueError(f"{error} (that tile alone: the others stay)") from error


def _matrix(path, about, mmap):
    return _read(path, "matrix", about, tuple(about["shape"]), mmap)


def _read(path, kind, about, shape, mmap=False):
    arrays, meta = load_arrays(path, kind=kind, version=VERSION, mmap=mmap)
    meta = Fields(path, meta, "meta")
    for name, wanted in about.items():
        if meta.raw(name) != wanted:
            raise ValueError(
                f"{path}: was computed for {name} {meta.raw(name)!r}, wanted {wanted!r}; "
                "remove it or use another path"
            )
    values = arrays.get("values")
    if values is None or len(arrays) > 1 or (values.dtype, values.shape) != (FLOAT, shape):
        raise ValueError(f"{path}: must hold values, float32 {list(shape)}, alone; rebuild it")
    return values


def _named(folder, start):
    return folder / f"{start:09d}"


def _remove(folder):
    """Removes the tiles; what else somebody put into their folder stays, and the folder with it."""
    for path in folder.iterdir() if folder.exists() else ():
        if OURS.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
