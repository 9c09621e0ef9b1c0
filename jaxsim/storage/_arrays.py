"""Files of named arrays with a checksum of everything in them. No pickle.

    jaxsim arrays 2 <sha256 of all that follows>
    {"kind", "version", "bytes", "arrays": {name: {"dtype", "shape", "offset"}}, "meta"}, and spaces
    the arrays, each at a multiple of 64 bytes, so that they can be memory-mapped

A file is read only where its checksum holds and its header describes exactly the bytes that are there.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxsim.numerics.types import Array
from jaxsim.storage._atomic import write_aside
from jaxsim.storage._fields import Fields, parsed_json
from jaxsim.storage._targets import owned

MAGIC = b"jaxsim arrays 2 "
OLD = b'{"format": "jaxsim arrays 1"'  # whose checksum left out the header
FIRST = len(MAGIC) + 65  # bytes of the first line
ALIGNMENT = 64
LONGEST = 2**24  # bytes of a header
PIECE = 2**20  # bytes written, read and hashed at once: they stay in the cache
PLAIN = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
)
SMALL = (
    "bfloat16",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
)


def save_arrays(
    path: str | os.PathLike,
    arrays: Mapping[str, Array],
    *,
    kind: str,
    version: int,
    meta: Any = None,
) -> None:
    """Writes named arrays to one file with a checksum.

    Args:
      path: the file.
      arrays: {name: array}, of booleans, integers, floats (those of ml_dtypes too) or complex numbers;
        none is narrowed.
      kind: what the file is, such as "cur index"; reading asks for the same.
      version: int, of that kind's layout.
      meta: a JSON tree to keep with it.

    Raises: ValueError for arrays of another type, a tree that is not JSON, or a target that another
    process writes; OSError naming the file where it cannot be written.
    """
    with owned(path, "file"):
        write_arrays(path, arrays, kind=kind, version=version, meta=meta)


def write_arrays(
    path: str | os.PathLike,
    arrays: Mapping[str, Array],
    *,
    kind: str,
    version: int,
    meta: Any = None,
) -> None:
    """Writes arrays as `save_arrays` does, for a caller that owns the target."""
    arrays = {name: _numbers(name, array) for name, array in arrays.items()}
    shapes = {name: (array.dtype, array.shape) for name, array in arrays.items()}
    blocks = {name: [array] for name, array in arrays.items()}
    write_blocks(path, shapes, blocks, kind=kind, version=version, meta=meta)


def write_blocks(
    path: str | os.PathLike,
    shapes: Mapping[str, tuple],
    blocks: Mapping[str, Iterable[Array]],
    *,
    kind: str,
    version: int,
    meta: Any = None,
) -> None:
    """Writes arrays block by block, for arrays that do not fit in memory.

    Args:
      shapes: {name: (dtype, shape)}.
      blocks: {name: iterable of arrays}, an array's rows in their order.
    """
    entries, size = {}, 0
    for name, (dtype, shape) in shapes.items():
        entries[name] = {"dtype": dtype.name, "shape": list(shape), "offset": size}
        size += _aligned(math.prod(shape) * dtype.itemsize)
    header = {
        "kind": kind,
        "version": version,
        "bytes": size,
        "arrays": entries,
        "meta": meta or {},
    }
    try:
        line = json.dumps(header, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: meta must be JSON: {error}") from error
    start = _aligned(FIRST + len(line) + 1)
    line = line.ljust(start - FIRST - 1) + b"\n"
    digest = hashlib.sha256()
    with write_aside(path, start + size) as file:

        def put(data):
            file.write(data)
            digest.update(data)

        file.write(b" " * FIRST)
        put(line)
        for name, (dtype, shape) in shapes.items():
            left = math.prod(shape) * dtype.itemsize
            for block in blocks[name]:
                for data in byte_pieces(block.astype(dtype, copy=False)):
                    put(data)
                    left -= len(data)
            if left:
                raise ValueError(f"{path}: the blocks of {name} are not its {shape}")
            put(b"\0" * (-file.tell() % ALIGNMENT))
        file.seek(0)
        file.write(MAGIC + digest.hexdigest().encode() + b"\n")


def load_arrays(
    path: str | os.PathLike, *, kind: str, version: int, mmap: bool = False
) -> tuple[dict[str, np.ndarray], Any]:
    """Reads what `save_arrays` wrote, and verifies its checksum.

    Args:
      path: the file.
      kind, version: what it must be.
      mmap: map the arrays read-only from the file in place of reading them; the checksum is verified
        all the same.

    Returns: ({name: array}, meta).
    Raises: FileNotFoundError; ValueError naming the file where it is damaged, of another kind or
    version, or not an array file at all.
    """
    path = regular(path)
    with path.open("rb") as file:
        digest, line = _opening(path, file)
        try:
            header = Fields(path, parsed_json(path, line))
            stamp = header.text("kind"), header.whole("version")
            size, arrays = _entries(header)
        except ValueError as error:
            raise ValueError(f"{error}; the file is damaged, rebuild it") from error
        if stamp[0] != kind:
            raise ValueError(f"{path}: holds a {stamp[0]!r}, wanted a {kind!r}")
        if stamp[1] != version:
            raise ValueError(
                f"{path}: has version {stamp[1]}, this jaxsim reads {version}; rebuild it"
            )
        start = FIRST + len(line)
        there = os.fstat(file.fileno()).st_size - start
        if there != size:
            raise ValueError(
                f"{path}: has {there} bytes of arrays where its header says {size}; "
                "the file is truncated, rebuild it"
            )
        sums = hashlib.sha256(line)
        if mmap:
            for data in iter(lambda: file.read(PIECE), b""):
                sums.update(data)
        else:
            arrays = {name: _read(file, sums, *about) for name, about in arrays.items()}
        if sums.hexdigest() != digest:
            raise ValueError(
                f"{path}: checksum does not match its header; the file is damaged, rebuild it"
            )
        if mmap:
            arrays = {name: _mapped(file, start, *about) for name, about in arrays.items()}
    return arrays, header.raw("meta")


def regular(path: str | os.PathLike) -> Path:
    """Returns the path of an existing file.

    Raises: FileNotFoundError; ValueError for a folder or a device.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if not path.is_file():
        raise ValueError(f"{path}: must be a file, is a {'folder' if path.is_dir() else 'device'}")
    return path


def _opening(path, file):
    """(checksum, the line of the header) of a file, which is then at its arrays."""
    first = file.read(FIRST)
    if first.startswith(OLD):
        raise ValueError(f"{path}: was written by an older jaxsim; rebuild it")
    match = re.fullmatch(re.escape(MAGIC) + rb"([0-9a-f]{64})\n", first)
    if not match:
        raise ValueError(f"{path}: not an array file of jaxsim, or damaged")
    line = file.readline(LONGEST)
    if not line.endswith(b"\n") or (FIRST + len(line)) % ALIGNMENT:
        raise ValueError(f"{path}: its header is incomplete; the file is damaged, rebuild it")
    return match[1].decode(), line


def _entries(header):
    """(bytes, {name: (dtype, shape, offset)}) that a header describes, one array after the other."""
    arrays, size = {}, 0
    about = header.object("arrays")
    for name in about:
        entry = about.object(name)
        dtype = _dtype(entry.text("dtype", choices=PLAIN + SMALL))
        shape = tuple(entry.wholes("shape"))
        # Lengths are bounded one by one: NumPy also refuses a huge one next to a 0.
        most = 2**62 // (dtype.itemsize * math.prod(length or 1 for length in shape) or 1)
        if len(shape) > 32 or not most:
            raise entry.wrong("shape", "of an array")
        if entry.whole("offset", most=2**62) != size:
            raise entry.wrong("offset", f"{size}, after the arrays before")
        arrays[name] = dtype, shape, size
        size += _aligned(math.prod(shape) * dtype.itemsize)
    if header.whole("bytes", most=2**62) != size:
        raise header.wrong("bytes", f"{size}, of all arrays")
    return size, arrays


def _read(file, sums, dtype, shape, offset):
    array = np.empty(shape, dtype)
    data = memoryview(array.reshape(-1).view(np.uint8))
    for begin in range(0, len(data), PIECE):
        piece = data[begin : begin + PIECE]
        if file.readinto(piece) != len(piece):
            break  # cut since its size was asked: the checksum will say so
        sums.update(piece)
    sums.update(file.read(-len(data) % ALIGNMENT))
    return array


def _mapped(file, start, dtype, shape, offset):
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(file, dtype, "r", start + offset, shape)


def byte_pieces(array: np.ndarray) -> Iterator[memoryview]:
    """Yields the bytes of an array in C order, some rows at a time, so that nothing large is copied."""
    array = array.reshape(-1) if array.ndim == 0 else array
    rows = max(1, PIECE // max(1, array.nbytes // max(1, len(array))))
    for start in range(0, len(array), rows):
        # Through a view: ml_dtypes arrays do not give their buffer.
        yield np.ascontiguousarray(array[start : start + rows]).reshape(-1).view(np.uint8).data


def _numbers(name, array):
    array = np.asarray(array)
    if array.dtype.name not in PLAIN + SMALL:
        raise ValueError(f"{name} must be an array of numbers or booleans, got {array.dtype}")
    return (
        array if array.dtype.name in SMALL else array.astype(_dtype(array.dtype.name), copy=False)
    )


def _dtype(name):
    if name in PLAIN:
        return np.dtype(name).newbyteorder("<")
    import ml_dtypes  # comes with jax

    return np.dtype(getattr(ml_dtypes, name))


def _aligned(size):
    return size + -size % ALIGNMENT
