"""Checked reading of .npy files: the header is compared with the bytes that are there."""

import hashlib
import io
import math
import os
from typing import Any

import numpy as np

from jaxsim.storage._arrays import PIECE, regular

KINDS = "biuf"  # of dtypes: booleans, integers and floats


def npy_header(shape: tuple[int, ...], dtype: Any = np.float32) -> bytes:
    """The .npy header: the bytes before the values of an array in C order."""
    file = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    about = {"descr": descr, "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(file, about)
    return file.getvalue()


def read_npy(
    path: str | os.PathLike, *, mmap: bool = False, sha256: str | None = None
) -> np.ndarray:
    """Reads the matrix in a .npy file.

    Args:
      path: the file.
      mmap: map it read-only instead of reading it.
      sha256: of the whole file where it is known; None compares no checksum.

    Returns: numpy [n, dim] of numbers or booleans, in this machine's byte order.
    Raises: FileNotFoundError; ValueError naming a file that does not hold a matrix of numbers, that is cut
    or longer than its header says, or whose checksum is another one.
    """
    path = regular(path)
    with path.open("rb") as file:
        shape, by_columns, dtype = _header(path, file)
        start, count = file.tell(), math.prod(shape)
        there = os.fstat(file.fileno()).st_size - start
        if there != count * dtype.itemsize:
            raise ValueError(
                f"{path}: has {there} bytes of values where its header says {count * dtype.itemsize}; "
                "the file is truncated or damaged"
            )
        if mmap and not dtype.isnative:
            raise ValueError(
                f"{path}: has another machine's byte order, {dtype.str}: read it without mmap"
            )
        file.seek(0)
        sums = hashlib.sha256(file.read(start))
        if mmap:
            if sha256 is not None:
                for piece in iter(lambda: file.read(PIECE), b""):
                    sums.update(piece)
        else:
            values = np.empty(count, dtype)
            data = memoryview(values.view(np.uint8))
            for begin in range(0, len(data), PIECE):
                piece = data[begin : begin + PIECE]
                if file.readinto(piece) != len(piece):
                    raise ValueError(f"{path}: was truncated while it was read")
                if sha256 is not None:
                    sums.update(piece)
        if sha256 is not None and sums.hexdigest() != sha256:
            raise ValueError(
                f"{path}: its checksum differs from the recorded one; the file is damaged or another one"
            )
        if not mmap:
            values = values.astype(dtype.newbyteorder("="), copy=False)
            return values.reshape(shape[::-1]).T if by_columns else values.reshape(shape)
        if count == 0:
            return np.empty(shape, dtype)
        return np.memmap(file, dtype, "r", start, shape, order="F" if by_columns else "C")


def _header(path, file):
    try:
        version = np.lib.format.read_magic(file)
        readers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, by_columns, dtype = readers[version](file)
    except Exception as error:
        # NumPy's parser raises what Python's does: SyntaxError, TokenError and more.
        why = " ".join(str(error).split())
        raise ValueError(f"{path}: not an array of numbers, or damaged: {why:.200}") from error
    if len(shape) != 2:
        raise ValueError(f"{path}: must hold vectors [n, dim], got shape {shape}")
    if dtype.kind not in KINDS or dtype.name in ("float128", "longdouble"):
        raise ValueError(f"{path}: must hold numbers, got {dtype}")
    most = 2**62 // (dtype.itemsize * math.prod(length or 1 for length in shape) or 1)
    if min(shape) < 0 or shape[1] == 0 or not most:
        raise ValueError(f"{path}: must hold vectors [n, dim] of at least one column, got {shape}")
    return shape, by_columns, dtype
