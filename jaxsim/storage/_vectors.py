"""Vectors in files that other tools read: .npy, and parquet with ids.

    ids [n], vectors float32 [n, dim]   <->   vectors.npy, or vectors.parquet with columns "id", "vector"

A .npy file is what `numpy.load`, FAISS and `search.exact` take; it can be memory-mapped. Values are taken
as they are: a NaN stays one.
"""

import numbers
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxsim.numerics.types import Array
from jaxsim.storage._arrays import PLAIN, SMALL, byte_pieces, regular
from jaxsim.storage._atomic import write_aside
from jaxsim.storage._fields import read_object
from jaxsim.storage._npy import npy_header, read_npy
from jaxsim.storage._targets import owned

ROWS = 2**14  # rows of parquet written or read at once


def save_vectors(path: str | os.PathLike, vectors: Array, ids: Any = None) -> None:
    """Writes vectors to .npy or parquet, atomically.

    Args:
      path: ending in .npy or .parquet.
      vectors: [n, dim]; kept in their dtype in .npy (bfloat16 and smaller, which NumPy does not read back,
        become float32), float32 in parquet.
      ids: [n] of strings or integers of up to 64 bits, for parquet alone; None numbers the rows there.

    Raises: ValueError for another ending, what is not a matrix of real numbers, ids that do not fit or for
    .npy, or a path that another process writes; OSError naming the file; ModuleNotFoundError without
    pyarrow, for parquet.
    """
    path, vectors = Path(path), _matrix(vectors)
    if path.suffix == ".npy":
        if ids is not None:
            raise ValueError(
                "ids have no place in .npy: take .parquet, or keep them in another file"
            )
        header = npy_header(vectors.shape, vectors.dtype)
        with owned(path, "file"), write_aside(path, len(header) + vectors.nbytes) as file:
            file.write(header)
            for piece in byte_pieces(vectors):
                file.write(piece)
        return
    _parquet(path)
    import pyarrow as pa
    from pyarrow import parquet

    kind, ids = _ids(ids, len(vectors))
    kind, width = getattr(pa, kind)(), vectors.shape[1]
    schema = pa.schema([("id", kind), ("vector", pa.list_(pa.float32(), width))])
    with (
        owned(path, "file"),
        write_aside(path) as file,
        parquet.ParquetWriter(file, schema, write_page_checksum=True) as writer,
    ):
        for start in range(0, len(vectors), ROWS):
            flat = pa.array(_float32("vectors", vectors[start : start + ROWS]).ravel())
            columns = [
                pa.array(ids[start : start + ROWS], kind),
                pa.FixedSizeListArray.from_arrays(flat, width),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def load_vectors(
    path: str | os.PathLike, *, mmap: bool = False
) -> tuple[np.ndarray | None, np.ndarray]:
    """Reads vectors from .npy or parquet, as `save_vectors`, `encode_corpus` or another tool wrote them.

    Where a .npy file comes with PATH.json, as `encode_corpus` writes it, its checksum is verified.

    Args:
      path: ending in .npy or .parquet.
      mmap: map a .npy file instead of reading it.

    Returns: (ids, vectors [n, dim]); ids are None for .npy, otherwise strings or integers, not narrowed.
    Raises: FileNotFoundError; ValueError naming the file where it does not hold vectors, or is damaged.
    """
    path = regular(path)
    if path.suffix == ".npy":
        record = read_object(path.with_name(path.name + ".json"), missing=None)
        sha256 = None if record is None else record.text("sha256", None)
        return None, read_npy(path, mmap=mmap, sha256=sha256)
    _parquet(path)
    if mmap:
        raise ValueError(f"{path}: only .npy can be mapped: take mmap=False")
    return _read_parquet(path)


def _read_parquet(path):
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            table = file.read([name for name in ("id", "vector") if name in names])
            table.validate(full=True)
    except Exception as error:  # pyarrow has a class for each kind of damage
        why = " ".join(str(error).split())
        raise ValueError(f"{path}: not a parquet file, or damaged: {why:.200}") from error
    for name in ("id", "vector"):
        if names.count(name) != 1:
            what = "lacks the column" if name not in names else "has twice the column"
            raise ValueError(f"{path}: {what} {name!r}, has {names}")
    return _ids_of(path, table["id"]), _vectors_of(path, table["vector"])


def _ids_of(path, column):
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not texts and not pa.types.is_integer(kind):
        raise ValueError(f"{path}: id must be a column of strings or integers, got {column.type}")
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise ValueError(f"{path}: row {row} has no id")
    if not texts:
        return column.to_numpy()
    values = column.to_pylist()
    ids = np.asarray(values, str)
    if any(value.endswith("\0") for value in values):  # which NumPy would cut off
        raise ValueError(f"{path}: ids must not end in a zero character")
    return ids


def _vectors_of(path, column):
    import pyarrow as pa

    kind = column.type
    lists = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    if not lists or not (
        pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
    ):
        raise ValueError(f"{path}: vector must be a column of lists of numbers, got {kind}")
    width, result, start = getattr(kind, "list_size", None), None, 0
    for chunk in column.chunks:
        lengths = np.unique(chunk.value_lengths().to_numpy(zero_copy_only=False))
        if width is None and len(lengths):
            width = int(lengths[0])
        flat = chunk.flatten()
        if chunk.null_count or flat.null_count or any(lengths != width):
            raise ValueError(
                f"{path}: vectors must be of one length, with none and no number missing"
            )
        if result is None:
            result = np.empty((len(column), width), np.float32)
        values = flat.to_numpy(zero_copy_only=False).reshape(len(chunk), width)
        result[start : start + len(chunk)] = _float32(f"{path}: vectors", values)
        start += len(chunk)
    if width == 0:
        raise ValueError(f"{path}: vectors must have at least one number, got lists of 0")
    return np.empty((0, width or 0), np.float32) if result is None else result


def _float32(name, values):
    with np.errstate(over="ignore"):
        narrow = np.asarray(values, np.float32)
    if narrow.dtype != values.dtype and (np.isinf(narrow) & np.isfinite(values)).any():
        raise ValueError(f"{name} must fit float32, got numbers beyond it")
    return narrow


def _matrix(vectors):
    try:
        vectors = np.asanyarray(vectors)
    except ValueError as error:
        raise ValueError("vectors must be [n, dim], got rows of different lengths") from error
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        raise ValueError(f"vectors must be [n, dim], got shape {vectors.shape}")
    if vectors.dtype.name in SMALL:
        return vectors.astype(np.float32)
    if vectors.dtype.name not in PLAIN or vectors.dtype.kind == "c":
        raise ValueError(f"vectors must be real numbers, got {vectors.dtype}")
    return vectors.astype(vectors.dtype.newbyteorder("="), copy=False)


def _ids(ids, count):
    """(type of the column, list of ids)."""
    if ids is None:
        return "int64", list(range(count))
    if len(ids) != count:
        raise ValueError(f"ids must be [{count}], one per vector, got {len(ids)}")
    ids = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    kinds = {str if isinstance(one, str) else int if _whole(one) else type(one) for one in ids}
    if len(kinds) > 1 or not kinds <= {str, int}:
        got = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"ids must be all strings or all whole numbers, got {got}")
    if kinds == {int}:
        low, high = min(ids), max(ids)
        if low < -(2**63) or high >= 2**64 or (low < 0 and high >= 2**63):
            raise ValueError(f"ids must fit 64 bits, got {low} to {high}: take strings")
        return "uint64" if high >= 2**63 else "int64", [int(one) for one in ids]
    return "string", ids


def _whole(one):
    return isinstance(one, numbers.Integral) and not isinstance(one, bool)


def _parquet(path):
    if path.suffix != ".parquet":
        raise ValueError(f"path must end in .npy or .parquet, got {str(path)!r}")
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ModuleNotFoundError(
            f'{path}: parquet needs pyarrow: pip install "jaxsim-similarity[parquet]"'
        ) from error
