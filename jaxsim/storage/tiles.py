"""A matrix computed tile by tile, each tile on disk as soon as it is finished: kill it, and it goes on."""

import shutil
from pathlib import Path

import numpy as np

from jaxsim.storage.atomic import load_arrays, save_arrays
from jaxsim.storage.progress import bar

VERSION = 1  # of both files


def fill(
    path, shape, compute, *, rows, fingerprint="", label="computing", unit="entries", mmap=False
):
    """The float32 matrix [m, n] that `compute` gives, from a file, its tiles, or anew.

    Args:
      path: the finished file; its tiles stand in the folder `path + ".tiles"` until it is whole.
        None computes in memory and writes nothing.
      shape: (m, n).
      compute: (row ids int [r], column ids int [n]) -> float [r, n].
      rows: rows per tile: what a kill may lose.
      fingerprint: of all that the numbers depend on; files of another one are refused.
      label, unit: for the progress bar, which counts entries.
      mmap: return the finished file mapped, and put it together without holding it; needs a path.

    Returns: numpy float32 [m, n]; the file has the same bytes however often the job was killed.
    Raises: ValueError for a tile with NaN (finished tiles stay), and for files that are damaged, of
    another shape or of another fingerprint, by name.
    """
    height, width = shape
    about = {"shape": list(shape), "fingerprint": fingerprint}
    if mmap and path is None:
        raise ValueError("mmap=True needs a path")
    folder = None
    if path is not None:
        path = Path(path)
        folder = path.with_name(path.name + ".tiles")
        _sweep(path, folder)
        if path.exists():
            found = _read(path, "matrix", about, mmap)
            shutil.rmtree(folder, ignore_errors=True)  # killed before it could
            return found
    if mmap:
        folder.mkdir(parents=True, exist_ok=True)
        result = np.memmap(folder / "whole", np.float32, "w+", shape=shape)
    else:
        result = np.empty(shape, np.float32)
    columns = np.arange(width)
    with bar(height * width, label, unit) as progress:
        for start in range(0, height, rows):
            ids = np.arange(start, min(start + rows, height))
            tile = None if folder is None else folder / f"{start:09d}"
            if tile is not None and tile.exists():
                result[ids] = _read(tile, "tile", {**about, "rows": [start, len(ids)]})
                progress.skip(len(ids) * width)
                continue
            block = np.asarray(compute(ids, columns), np.float32)
            if block.shape != (len(ids), width):
                raise ValueError(
                    f"compute must return [{len(ids)}, {width}] for rows {start} to {ids[-1]}, "
                    f"got shape {block.shape}"
                )
            if bad := np.isnan(block).sum():
                kept = "" if folder is None else f"; finished tiles are kept in {folder}"
                raise ValueError(
                    f"{label}: {bad} of {block.size} entries are NaN in rows {start} to {ids[-1]}{kept}"
                )
            if tile is not None:
                meta = {**about, "rows": [start, len(ids)]}
                save_arrays(tile, {"values": block}, kind="tile", version=VERSION, meta=meta)
            result[ids] = block
            progress.advance(block.size)
    if path is not None:
        save_arrays(path, {"values": result}, kind="matrix", version=VERSION, meta=about)
        shutil.rmtree(folder)
    return _read(path, "matrix", about, mmap) if mmap else result


def _sweep(path, folder):
    """Removes what a killed write left beside a file and in its folder of tiles."""
    for place, pattern in ((path.parent, f".{path.name}.*.part"), (folder, ".*.part")):
        for stale in place.glob(pattern):
            stale.unlink(missing_ok=True)


def _read(path, kind, about, mmap=False):
    arrays, meta = load_arrays(path, kind=kind, version=VERSION, mmap=mmap)
    for name, wanted in about.items():
        if meta[name] != wanted:
            raise ValueError(
                f"{path}: was computed for {name} {meta[name]!r}, wanted {wanted!r}; "
                "remove it or use another path"
            )
    return arrays["values"]
