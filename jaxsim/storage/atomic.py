"""Files that are whole or not there: written aside, synced, renamed; arrays with a checksum.

An array file is a JSON header in a line (kind, version, names, dtypes, shapes, offsets, checksum) and
then the arrays, each at a multiple of 64 bytes, so that they can be memory-mapped. No pickle.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

MAGIC = "jaxsim arrays 1"
ALIGNMENT = 64


def write_bytes(path, data):
    """Writes a file aside and renames it: a reader sees the old one or the whole new one."""
    with write_aside(path) as file:
        file.write(data)


def write_text(path, text):
    """As `write_bytes`, for UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path, tree):
    """As `write_bytes`, for a JSON tree; tuples become lists."""
    write_text(path, json.dumps(tree, indent=1) + "\n")


@contextlib.contextmanager
def write_folder(path):
    """A folder to fill, which takes its name only when the block ends well.

        with write_folder("cache/corpus") as folder:
            (folder / "a.txt").write_text("...")

    A block that fails or is killed leaves nothing at `path`. What stood there before is replaced.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield aside
        if path.exists():
            shutil.rmtree(path)
        os.replace(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def save_arrays(path, arrays, *, kind, version, meta=None):
    """Writes named arrays to one file with a checksum.

    Args:
      path: the file.
      arrays: {name: array}, of any dtype that numpy or ml_dtypes names.
      kind: what the file is, such as "cur index"; reading asks for the same.
      version: int, of that kind's layout.
      meta: a JSON tree to keep with it.
    """
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    entries, offset = {}, 0
    for name, array in arrays.items():
        entries[name] = {"dtype": array.dtype.name, "shape": array.shape, "offset": offset}
        offset += array.nbytes + -array.nbytes % ALIGNMENT
    checksum = hashlib.sha256()
    for piece in _pieces(arrays):
        checksum.update(piece)
    header = {
        "format": MAGIC,
        "kind": kind,
        "version": version,
        "bytes": offset,
        "sha256": checksum.hexdigest(),
        "arrays": entries,
        "meta": meta or {},
    }
    line = json.dumps(header).encode()
    line += b" " * (-(len(line) + 1) % ALIGNMENT) + b"\n"
    with write_aside(path) as file:
        file.write(line)
        for piece in _pieces(arrays):
            file.write(piece)


def load_arrays(path, *, kind, version, mmap=False):
    """Reads what `save_arrays` wrote.

    Args:
      path: the file.
      kind, version: what it must be.
      mmap: map the arrays read-only from the file in place of reading them; the checksum is verified
        all the same.

    Returns: ({name: array}, meta).
    Raises: FileNotFoundError; ValueError naming the file where it is damaged, of another kind or
    version, or no array file at all.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    with path.open("rb") as file:
        line = file.readline()
        try:
            header = json.loads(line)
            known = header["format"] == MAGIC
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise ValueError(f"{path}: not an array file of jaxsim")
        if header["kind"] != kind:
            raise ValueError(f"{path}: holds a {header['kind']!r}, wanted a {kind!r}")
        if header["version"] != version:
            raise ValueError(
                f"{path}: has version {header['version']}, this jaxsim reads {version}; rebuild it"
            )
        size = path.stat().st_size - len(line)
        if size != header["bytes"]:
            raise ValueError(
                f"{path}: has {size} bytes of arrays where its header says {header['bytes']}; "
                "the file is cut, rebuild it"
            )
        if hashlib.file_digest(file, "sha256").hexdigest() != header["sha256"]:
            raise ValueError(
                f"{path}: checksum does not match its header; the file is damaged, rebuild it"
            )
        payload = None
        if not mmap:
            file.seek(len(line))
            payload = file.read()
    arrays = {}
    for name, entry in header["arrays"].items():
        dtype, shape = _dtype(entry["dtype"]), tuple(entry["shape"])
        count = int(np.prod(shape))
        if mmap and count:
            start = len(line) + entry["offset"]
            arrays[name] = np.memmap(path, dtype, "r", start, shape)
        elif mmap:
            arrays[name] = np.empty(shape, dtype)
        else:
            arrays[name] = (
                np.frombuffer(payload, dtype, count, entry["offset"]).reshape(shape).copy()
            )
    return arrays, header["meta"]


def _pieces(arrays):
    for array in arrays.values():
        # Bytes through a view: ml_dtypes arrays have no buffer of their own.
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        yield flat.data
        yield b"\0" * (-array.nbytes % ALIGNMENT)


def _dtype(name):
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes  # comes with jax; bfloat16 and its kin

        return np.dtype(getattr(ml_dtypes, name))


@contextlib.contextmanager
def write_aside(path):
    """A binary file to fill, which takes its name only when the block ends well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask():
    """The process's mask: mkstemp makes files that only their owner reads."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
