"""Vectors in files that other tools read: .npy, and parquet with ids.

    ids [n], vectors float32 [n, dim]   <->   vectors.npy, or vectors.parquet with columns "id", "vector"

A .npy file is what `numpy.load`, FAISS and `search.exact` take; it can be memory-mapped.
"""

from pathlib import Path

import numpy as np

from jaxsim.storage.atomic import write_aside

ROWS = 2**14  # rows of parquet written at once


def save_vectors(path, vectors, ids=None):
    """Writes vectors aside and renames the file.

    Args:
      path: ending in .npy or .parquet.
      vectors: [n, dim]; kept in their dtype in .npy, float32 in parquet.
      ids: [n] of strings or integers, for parquet alone; None numbers the rows there.

    Raises: ValueError for another ending, shapes that do not fit or ids for .npy; ModuleNotFoundError
    without pyarrow, for parquet.
    """
    path, vectors = Path(path), np.asanyarray(vectors)
    if vectors.ndim != 2:
        raise ValueError(f"vectors must be [n, dim], got shape {vectors.shape}")
    if path.suffix == ".npy":
        if ids is not None:
            raise ValueError(
                "ids have no place in .npy: take .parquet, or keep them in another file"
            )
        with write_aside(path) as file:
            np.lib.format.write_array(file, np.ascontiguousarray(vectors), allow_pickle=False)
        return
    _parquet(path)
    import pyarrow as pa
    from pyarrow import parquet

    ids = np.arange(len(vectors)) if ids is None else np.asarray(ids)
    if ids.shape != vectors.shape[:1]:
        raise ValueError(f"ids must be [{len(vectors)}], one per vector, got shape {ids.shape}")
    kind = pa.int64() if np.issubdtype(ids.dtype, np.integer) else pa.string()
    width = vectors.shape[1]
    schema = pa.schema([("id", kind), ("vector", pa.list_(pa.float32(), width))])
    with write_aside(path) as file, parquet.ParquetWriter(file, schema) as writer:
        for start in range(0, len(vectors), ROWS):
            some = slice(start, start + ROWS)
            flat = pa.array(np.asarray(vectors[some], np.float32).ravel())
            columns = [
                pa.array(ids[some].tolist(), kind),
                pa.FixedSizeListArray.from_arrays(flat, width),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def load_vectors(path, *, mmap=False):
    """Reads what `save_vectors` wrote, or another tool.

    Args:
      path: ending in .npy or .parquet.
      mmap: map a .npy file in place of reading it.

    Returns: (ids, vectors [n, dim]); ids are None for .npy.
    Raises: FileNotFoundError; ValueError naming the file where it does not hold vectors.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if path.suffix == ".npy":
        try:
            vectors = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
        except ValueError as error:
            raise ValueError(f"{path}: not an array of numbers, or damaged: {error}") from error
        if vectors.ndim != 2:
            raise ValueError(f"{path}: must hold vectors [n, dim], got shape {vectors.shape}")
        return None, vectors
    _parquet(path)
    from pyarrow import parquet

    table = parquet.read_table(path)
    if missing := {"id", "vector"} - set(table.column_names):
        raise ValueError(
            f"{path}: lacks the column {sorted(missing)[0]!r}, has {table.column_names}"
        )
    vectors = table["vector"].combine_chunks()
    lengths = np.asarray(vectors.value_lengths())
    if vectors.null_count or (len(lengths) and (lengths != lengths[0]).any()):
        raise ValueError(f"{path}: vectors must be of one length, with none missing")
    flat = vectors.flatten().to_numpy(zero_copy_only=False)
    width = int(lengths[0]) if len(lengths) else 0
    return np.asarray(table["id"].to_pylist()), flat.astype(np.float32).reshape(len(lengths), width)


def _parquet(path):
    if path.suffix != ".parquet":
        raise ValueError(f"path must end in .npy or .parquet, got {str(path)!r}")
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ModuleNotFoundError(
            f'{path}: parquet needs pyarrow: pip install "jaxsim[parquet]"'
        ) from error
