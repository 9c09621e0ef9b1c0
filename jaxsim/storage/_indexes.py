"""Vectors as the index files of FAISS and usearch: exact under the same measure, read without jaxsim."""

import os
from typing import Any

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array
from jaxsim.storage._atomic import write_aside
from jaxsim.storage._targets import owned
from jaxsim.storage._vectors import _float32, _matrix

ROWS = 2**16  # vectors that are added at once
METRICS = {"cosine": "cos", "dot": "ip", "euclidean": "l2sq"}  # as usearch calls them


def save_faiss(
    path: str | os.PathLike, vectors: Array, *, metric: str = "cosine", ids: Any = None
) -> None:
    """Writes vectors as a flat FAISS index, for `faiss.read_index`; atomically.

        storage.save_faiss("docs.faiss", vectors, metric="cosine")
        scores, rows = faiss.read_index("docs.faiss").search(queries, 10)   # as search.exact, up to ties

    Args:
      path: the file.
      vectors: [n, dim], written as float32.
      metric: "cosine" (vectors are divided by their norms, for inner products: divide queries too, with
        `faiss.normalize_L2`), "dot" or "euclidean", whose scores are squared distances.
      ids: [n] different whole numbers that fit int64, which a search gives in place of rows; None is the rows.

    Raises: ValueError for another metric, vectors that are not a finite matrix or ids that do not fit;
    ModuleNotFoundError without faiss.
    """
    matrix, ids = _checked(vectors, metric, ids)
    try:
        import faiss
    except ImportError as error:
        raise ModuleNotFoundError(
            f'{path}: an index of FAISS needs faiss: pip install "jaxsim-similarity[faiss]"'
        ) from error
    dim = matrix.shape[1]
    flat = faiss.IndexFlatL2(dim) if metric == "euclidean" else faiss.IndexFlatIP(dim)
    index = flat if ids is None else faiss.IndexIDMap2(flat)
    for start in range(0, len(matrix), ROWS):
        piece = _float32("vectors", matrix[start : start + ROWS])
        if metric == "cosine":
            norms = np.linalg.norm(piece, axis=1, keepdims=True)
            piece = piece / np.where(norms == 0, 1, norms)
        piece = np.ascontiguousarray(piece)
        if ids is None:
            index.add(piece)
        else:
            index.add_with_ids(piece, ids[start : start + ROWS])
    with owned(path, "file"), write_aside(path) as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))


def save_usearch(
    path: str | os.PathLike, vectors: Array, *, metric: str = "cosine", ids: Any = None
) -> None:
    """Writes vectors as a usearch index, a graph (HNSW), for `usearch.index.Index.restore`; atomically.

        storage.save_usearch("docs.usearch", vectors, metric="cosine")
        found = Index.restore("docs.usearch").search(queries, 10, exact=True)   # without exact: nearly the same

    Args:
      path, vectors: as for `save_faiss`.
      metric: "cosine", "dot" or "euclidean", whose distances in usearch are 1 - cosine, 1 - dot and squared.
      ids: [n] different whole numbers from 0; None is the rows.

    Raises: ValueError as `save_faiss`; ModuleNotFoundError without usearch.
    """
    matrix, ids = _checked(vectors, metric, ids)
    if ids is not None and ids.size and ids.min() < 0:
        raise ValueError(f"ids must be at least 0 for usearch, got {ids.min()}")
    try:
        from usearch.index import Index
    except ImportError as error:
        raise ModuleNotFoundError(
            f'{path}: an index of usearch needs it: pip install "jaxsim-similarity[usearch]"'
        ) from error
    index = Index(ndim=matrix.shape[1], metric=METRICS[metric], dtype="f32")
    keys = np.arange(len(matrix)) if ids is None else ids
    for start in range(0, len(matrix), ROWS):
        piece = _float32("vectors", matrix[start : start + ROWS])
        index.add(keys[start : start + ROWS].astype(np.uint64), np.ascontiguousarray(piece))
    data = index.save()
    with owned(path, "file"), write_aside(path, len(data)) as file:
        file.write(data)


def _checked(vectors: Any, metric: str, ids: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """(vectors [n, dim], ids int64 [n] or None)"""
    checks.one_of("metric", metric, METRICS)
    vectors = _matrix(vectors)
    for start in range(0, len(vectors), ROWS):
        bad = ~np.isfinite(vectors[start : start + ROWS]).all(axis=1)
        if bad.any():
            row = start + int(bad.argmax())
            raise ValueError(f"vectors must be finite, got NaN or infinity in row {row}")
    if ids is None:
        return vectors, None
    numbers = np.asarray(ids)
    if numbers.dtype.kind not in "iu" or numbers.shape != (len(vectors),):
        raise ValueError(
            f"ids must be whole numbers [{len(vectors)}], one per vector, got {numbers.dtype} {numbers.shape}"
        )
    if numbers.size and int(numbers.max()) > np.iinfo(np.int64).max:
        raise ValueError(f"ids must fit int64, got {numbers.max()}")
    if len(np.unique(numbers)) < len(numbers):
        raise ValueError("ids must be different, got one twice")
    return vectors, numbers.astype(np.int64)
