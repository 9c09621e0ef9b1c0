"""Atomic writes of files and folders: under a temporary name, synced, renamed.

What is being written has a hidden name next to its target, `.NAME.TOKEN.part`. A killed write leaves it
there; the next write of the same target removes it and logs that.
"""

import contextlib
import ctypes
import errno
import json
import logging
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from jaxsim.storage._targets import check_folder, marked, owned

LOG = logging.getLogger("jaxsim")
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)  # no more bytes are taken
EXCHANGE, HERE = 2, -100  # of Linux: RENAME_EXCHANGE, AT_FDCWD


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Writes a file atomically: a reader sees the old one or the whole new one."""
    with write_aside(path, len(data)) as file:
        file.write(data)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text atomically, as `write_bytes`."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise ValueError(
            f"{path}: {half!r} is half of a surrogate pair, which UTF-8 cannot hold"
        ) from error
    write_bytes(path, data)


def write_json(path: str | os.PathLike, tree: Any) -> None:
    """Writes a JSON tree atomically; tuples become lists, NaN and infinity, which JSON lacks, null."""
    write_text(path, json.dumps(_finite(tree), indent=1, allow_nan=False) + "\n")


@contextlib.contextmanager
def write_aside(path: str | os.PathLike, size: int | None = None) -> Iterator[BinaryIO]:
    """Opens a binary file to fill, which takes its name only when the block ends well.

    The file gets the permissions that the umask gives. A link stays a link: what it names is written.

    Args:
      path: the file.
      size: its bytes where they are known: they are allocated first, so that a full disk is noticed
        before the work.

    Yields: an open file.
    Raises: ValueError for a folder or a device; OSError naming the file where it cannot be written.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: must be a file, is a {'folder' if path.is_dir() else 'device'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    with errors_named(path, size), contextlib.ExitStack() as stack:
        part, file = _opened(path, stack)
        try:
            if size is not None:
                reserve(file.fileno(), size)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.name == "nt":  # which renames no open files
                file.close()
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


@contextlib.contextmanager
def write_folder(path: str | os.PathLike, *, kind: str) -> Iterator[Path]:
    """Makes a folder to fill, which takes its name only when the block ends well.

        with write_folder("cache/corpus", kind="corpus") as folder:
            (folder / "a.txt").write_text("...")

    A block that fails or is killed leaves what was at `path` as it was. A folder that is replaced changes
    places with the new one, in one step where the system can (Linux), otherwise in two renames; only then
    is the old one deleted. Where the new one cannot take its place after all, it is kept, and the error
    says where. What a kill leaves next to `path` is removed by the next write, which logs that.

    Args:
      path: the folder; `check_folder` says which are refused.
      kind: what it is, such as "model": written to the mark that lets it be replaced later.

    Yields: a folder next to it, with the permissions that the umask gives, as its files get.
    Raises: ValueError for a folder that is not ours to replace, or that another process writes.
    """
    path = check_folder("path", path, kind=kind).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with owned(path, "file"):
        _recover(path)
        aside = _aside(path, "part")
        aside.mkdir()
        try:
            yield aside
            marked(aside, kind)
            _settle(aside)
        except BaseException as error:
            shutil.rmtree(aside, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in FULL:
                # It names no file, or the one aside.
                raise OSError(error.errno, error.strerror, str(path)) from error
            raise
        try:
            check_folder("path", path, kind=kind)
            old = _swapped(aside, path)
        except (OSError, ValueError) as error:
            rescued = path.with_name(aside.name.removeprefix("."))
            with contextlib.suppress(OSError):
                os.replace(aside, rescued)
            where = f"what was written is in {str(rescued if rescued.exists() else aside)!r}"
            if isinstance(error, OSError) and error.errno is not None:
                raise OSError(error.errno, f"{error.strerror}; {where}", str(path)) from error
            raise ValueError(f"{error}; {where}") from error
        _sync_folder(path.parent)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)


def recovered(path: str | os.PathLike) -> Path:
    """Returns the path of a folder to read, which is brought back where a kill hid it.

    Where folders cannot change places in one step, a write that is killed between its two renames leaves
    the old one under a hidden name; a reader that arrives between them waits. A folder that is there
    costs one look.

    Args:
      path: the folder.

    Returns: the path, a `Path`; what was never there is still not there.
    """
    path = Path(path)
    if not path.exists() and _leftovers(path, "old"):
        # A disk that cannot be written to is left as it is.
        with contextlib.suppress(OSError, ValueError), owned(path, "file", wait=10):
            _recover(path)
    return path


def sweep(path: str | os.PathLike) -> None:
    """Removes what killed writes of a file left next to it; what a living one still writes is locked."""
    for part in _leftovers(path, "part"):
        if part.is_symlink() or not part.is_file():
            continue
        with contextlib.suppress(OSError), part.open("rb") as file:
            if _lock(file.fileno(), wait=False):
                part.unlink(missing_ok=True)
                LOG.info("%s: swept, left by a write of %s that was killed", part, path)


def reserve(handle: int, size: int) -> None:
    """Allocates an open file's bytes: a full disk is then an OSError now, not a SIGBUS or half a file later."""
    try:
        if size:
            os.posix_fallocate(handle, 0, size)
    except AttributeError:  # a system that cannot
        pass
    except OSError as error:  # a file system that cannot
        if error.errno in FULL:
            raise


@contextlib.contextmanager
def errors_named(path: str | os.PathLike, size: int | None = None) -> Iterator[None]:
    """Errors of writing a file, or its temporary one, name it, and those of a full disk the bytes that it takes."""
    try:
        yield
    except OSError as error:
        name = error.filename
        ours = name is None or os.path.dirname(str(name)) == str(path.parent)
        if error.errno is None or not ours:
            raise
        note = f": the file takes {size:,} bytes" if size and error.errno in FULL else ""
        raise OSError(error.errno, f"{error.strerror}{note}", str(path)) from error


def _finite(tree):
    if isinstance(tree, dict):
        return {name: _finite(value) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_finite(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def _opened(path, stack):
    """A new file next to a target and its path, locked for as long as it is written."""
    while True:
        part = _aside(path, "part")
        handle = os.open(
            part, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
        )
        file = stack.enter_context(os.fdopen(handle, "wb"))
        _lock(handle, wait=True)
        if part.exists():  # otherwise swept before it was locked
            return part, file
        file.close()


def _lock(handle, *, wait):
    """Whether an open file could be locked; never where the system has no such locks."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (ImportError, OSError):
        return False
    return True


def _aside(path, suffix):
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{suffix}")


def _leftovers(path, suffix):
    """What killed writes of a target left next to it. Other targets' names do not match: tokens have no dot."""
    path = Path(path)
    ours = re.compile(rf"\.{re.escape(path.name)}\.\w+\.{suffix}")
    try:
        return sorted(path.with_name(n) for n in os.listdir(path.parent) if ours.fullmatch(n))
    except OSError:
        return []


def _swapped(aside, path):
    """Puts a folder in another's place; returns where the old one is now, None where there was none."""
    if not path.exists():
        os.replace(aside, path)
        return None
    if _exchanged(aside, path):
        return aside
    old = _aside(path, "old")
    os.replace(path, old)
    try:
        os.replace(aside, path)
    except BaseException:
        if not path.exists():
            os.replace(old, path)
        raise
    gone = old.with_suffix(".part")
    os.replace(old, gone)  # so that half of it, once it is being deleted, is never brought back
    return gone


def _exchanged(one, other):
    """Whether two paths have changed places in one step: not every system or file system can."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return rename(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE) == 0


def _recover(path):
    """Sweeps what killed writes of a folder left next to it; brings back the old one where no new one came."""
    for old in _leftovers(path, "old"):
        if path.exists():
            LOG.info("%s: swept, the folder that %s replaced", old, path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            LOG.info("%s: brought back from %s, a write of it was killed", path, old)
            os.replace(old, path)
    for part in _leftovers(path, "part"):
        if part.is_dir() and not part.is_symlink():
            LOG.info("%s: swept, left by a write of %s that was killed", part, path)
            shutil.rmtree(part, ignore_errors=True)
    sweep(path)


def _settle(folder):
    """Every file below is on the disk, before a rename names it, and as readable as its folder.

    Some libraries write files that only their owner reads.
    """
    readable = folder.stat().st_mode & 0o666
    for place, _, names in os.walk(folder):
        for path in (Path(place) / name for name in names):
            if path.is_symlink() or not path.is_file():
                continue
            mode = path.stat().st_mode
            if mode | readable != mode:
                path.chmod(mode | readable)
            handle = os.open(path, os.O_RDONLY)
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
