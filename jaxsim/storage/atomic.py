"""Files that are whole or not there: written aside, synced, renamed; arrays with a checksum.

An array file is a JSON header in a line (kind, version, names, dtypes, shapes, offsets, checksum) and
then the arrays, each at a multiple of 64 bytes, so that they can be memory-mapped. No pickle.
"""

import contextlib
import glob
import hashlib
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from jaxsim.storage.targets import check_folder, marked, owned

LOG = logging.getLogger("jaxsim")
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
def write_folder(path, *, kind):
    """A folder to fill, which takes its name only when the block ends well.

        with write_folder("cache/corpus", kind="corpus") as folder:
            (folder / "a.txt").write_text("...")

    A block that fails or is killed leaves what was at `path` as it was. What replaces a folder is renamed
    in, after the old one was renamed aside; only then is the old one deleted. What a kill leaves beside
    `path` (hidden folders that end in .part or .old) is swept by the next write, which says so.

    Args:
      path: the folder; `check_folder` says which are refused.
      kind: what it is, such as "model": written to the mark that lets it be replaced later.

    Yields: a folder beside it, with the permissions that the umask gives.
    Raises: ValueError for a folder that is not ours to replace.
    """
    path = check_folder("path", path, kind=kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    with owned(path, "file"):
        recovered(path)
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        os.chmod(aside, 0o777 & ~_umask())
        try:
            yield aside
            marked(aside, kind)
            _sync(aside)
            check_folder("path", path, kind=kind)
            old = path.with_name(f".{path.name}.{os.getpid()}.old")
            if path.exists():
                os.replace(path, old)
            os.replace(aside, path)
            _sync_folder(path.parent)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            recovered(path)
            raise
        shutil.rmtree(old, ignore_errors=True)


def recovered(path):
    """Sweeps what killed writes of a folder left beside it; brings back the old one where no new one came.

    Only folders whose hidden names `write_folder` gave are touched; each is named in the log.
    """
    path = Path(path)
    for old in sorted(path.parent.glob(f".{glob.escape(path.name)}.*.old")):
        if path.exists():
            LOG.info("%s: swept, the folder that %s replaced", old, path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            LOG.info("%s: brought back from %s, a write of it was killed", path, old)
            os.replace(old, path)
    for part in sorted(path.parent.glob(f".{glob.escape(path.name)}.*.part")):
        LOG.info("%s: swept, left by a write of %s that was killed", part, path)
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _sync(folder):
    """Every file and folder below is on the disk: a rename must not come before what it names."""
    for place, _, names in os.walk(folder):
        for name in names:
            handle = os.open(Path(place) / name, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        _sync_folder(place)


def _sync_folder(path):
    with contextlib.suppress(OSError):  # some file systems sync no folders
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
        _sync_folder(path.parent)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if (
            isinstance(error, OSError) and error.errno and error.filename is None
        ):  # such as a full disk
            error.filename = str(path)
        raise


def _umask():
    """The process's mask: mkstemp makes files that only their owner reads."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
