"""Output files and folders: checked before any work, locked by one process; files of others are never deleted.

A folder that we write holds a file `jaxsim.json`, which names its kind and its files. Only a folder whose
every file is named there is ever replaced; anything else is refused with a sentence.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxsim.storage._fields import read_object

MARK = "jaxsim.json"  # in every folder of ours
FORMAT = "jaxsim folder 1"
LOCK = ".lock"  # in a workdir, or ".NAME.lock" next to a file

_held = {}  # {path of a lock that this process owns: its open file, None without such locks}
_guard = threading.Lock()


def check_file(name: str, path: str | os.PathLike) -> Path:
    """Refuses a target that no file can be written to.

    Args:
      name: of the argument, for the error.
      path: where the file is to be.

    Returns: the path, a `Path`.
    Raises: ValueError for an empty name, a folder, a device, a parent that is a file or read-only.
    """
    path = _named(name, path)
    if path.exists() and not path.is_file():
        what = "folder" if path.is_dir() else "device"
        raise ValueError(f"{name} must be a file, got the {what} {str(path)!r}")
    _check_parents(name, path)
    return path


def check_folder(
    name: str, path: str | os.PathLike, *, kind: str, outside: Mapping[str, Any] | tuple = ()
) -> Path:
    """Refuses a target folder that must not be replaced.

    Free is what does not exist, an empty folder, and a folder of the same kind that holds nothing but
    the files that we wrote into it.

    Args:
      name: of the argument, for the error.
      path: where the folder is to be.
      kind: what it will be, such as "model"; a folder of ours of another kind is refused.
      outside: {name: path} of what must not be inside it, such as the workdir.

    Returns: the path, a `Path`.
    Raises: ValueError for an empty name, a file, a link, the current folder or one of its parents, a
    folder that holds anything else, one of `outside`, or a mounted disk, which cannot be renamed.
    """
    path = _named(name, path)
    if path.is_symlink():
        raise ValueError(f"{name} must not be a link, got {str(path)!r}: name the folder itself")
    if path.exists() and not path.is_dir():
        raise ValueError(f"{name} must be a folder, got the file {str(path)!r}")
    full = path.resolve()
    if full in (Path.cwd(), *Path.cwd().parents):
        raise ValueError(
            f"{name} must be a separate folder, got {str(path)!r}, which holds the current folder"
        )
    if os.path.ismount(path):
        raise ValueError(
            f"{name} must not be a mounted disk, got {str(path)!r}: name a folder inside it"
        )
    for other, inner in dict(outside).items():
        inner = Path(inner).resolve()
        if full == inner or full in inner.parents:
            raise ValueError(f"{name} must not hold {other}={str(inner)!r}, got {str(path)!r}")
    _check_parents(name, path)
    if path.is_dir() and (foreign := foreign_file(path, kind)):
        raise ValueError(
            f"{name}={str(path)!r} is not empty and not a {kind} that jaxsim wrote: it holds "
            f"{foreign!r}; choose another folder, or move that away"
        )
    return path


def check_place(
    name: str, path: str | os.PathLike, *, mark: str, kind: str, writing: bool = True
) -> Path:
    """Refuses a folder to work in that is not ours: one that is not empty and lacks our mark.

    Such a folder grows and is never replaced: the workdir of a run, an index.

    Args:
      name: of the argument, for the error.
      path: the folder; it may be a link to one.
      mark: the name of the file that every such folder of ours holds, such as "run.json".
      kind: what it is, such as "the workdir of a run".
      writing: whether it must be writable.

    Returns: the path, a `Path`.
    Raises: ValueError for an empty name, a file, a folder that holds anything else, or that cannot be
    written to.
    """
    path = _named(name, path)
    if not path.is_dir() and (path.exists() or path.is_symlink()):
        raise ValueError(f"{name} must be a folder, got the file {str(path)!r}")
    if path.is_dir() and not (path / mark).is_file():
        ours = LOCK, f".{mark}."  # the lock, and what a killed write of the mark left
        names = sorted(p.name for p in path.iterdir() if not p.name.startswith(ours))
        if names:
            raise ValueError(
                f"{name}={str(path)!r} is not empty and not {kind} (it lacks {mark}): it holds "
                f"{names[0]!r}; choose another folder"
            )
    if writing:
        _check_parents(name, path, [path])
    return path


def foreign_file(folder: str | os.PathLike, kind: str) -> str | None:
    """The first file of a folder that we did not write into it as one of `kind`; None where all are ours."""
    try:
        about = read_object(Path(folder) / MARK)
        known = (about.text("format"), about.text("kind")) == (FORMAT, kind)
        ours = set(about.strings("files")) if known else set()
    except (OSError, ValueError):
        ours = set()
    return next((name for name in _files(folder) if name not in ours), None)


def marked(folder: str | os.PathLike, kind: str) -> None:
    """Writes the mark of a folder: its kind and the files that it holds now."""
    about = {"format": FORMAT, "kind": kind, "files": sorted({*_files(folder), MARK})}
    mark = Path(folder) / MARK
    mark.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


@contextlib.contextmanager
def owned(path: str | os.PathLike, what: str = "folder", *, wait: float = 0.0) -> Iterator[None]:
    """Lock of a target for the length of a block: one process owns it; the system frees it when the owner dies.

        with owned("runs/mine"):
            ...

    Args:
      path: a folder, which is made; or the path of a file to be, locked by a file next to it.
      what: "folder" or "file".
      wait: seconds to wait for its owner to end.

    Raises: ValueError naming the owner where another process, or this one, owns it already; OSError naming
    the path where nothing can be written.
    """
    # Two names of one file, one of them a link, are one target.
    path = Path(path) if what == "folder" else Path(os.path.realpath(path))
    lock = path / LOCK if what == "folder" else path.with_name(f".{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    key, end = str(lock.resolve()), time.monotonic() + wait
    while True:
        try:
            with _guard:
                if key in _held:
                    raise ValueError(f"{path}: is in use by this process already")
                _held[key] = _locked(lock, path)
            break
        except ValueError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.02)
    try:
        yield
    finally:
        with _guard:
            handle = _held.pop(key, None)
            if handle is not None:
                # Removed while still locked: whoever waits for it sees that the file is gone.
                with contextlib.suppress(OSError):  # another user's, in a folder such as /tmp
                    lock.unlink(missing_ok=True)
                os.close(handle)


def _locked(lock, path):
    """An open file descriptor that holds the lock; None where the system has no such locks."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        return None
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            if not isinstance(error, PermissionError) or not lock.exists():
                raise OSError(error.errno, error.strerror, str(path)) from error
            handle = os.open(lock, os.O_RDONLY)  # left by another user: it locks all the same
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(handle)
            raise ValueError(
                f"{path}: is in use by {owner}; wait until it ends, or choose another"
            ) from None
        except OSError:  # a file system without locks
            os.close(handle)
            lock.unlink(missing_ok=True)
            return None
        if _is_open(lock, handle):
            break
        os.close(handle)  # its last owner removed it in between
    command = " ".join(Path(word).name if n == 0 else word for n, word in enumerate(sys.argv))
    owner = f"process {os.getpid()} on {socket.gethostname()} ({command:.120})"
    with contextlib.suppress(OSError):  # a full disk: the lock holds without its owner's name
        os.ftruncate(handle, 0)
        os.pwrite(handle, owner.encode(errors="replace"), 0)
    return handle


def _is_open(path, handle):
    """Whether an open file is the one that has this name now."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _disown():
    """In a process that was forked: what its parent owns is the parent's, until the parent ends."""
    global _guard
    _guard = threading.Lock()
    for handle in _held.values():
        if handle is not None:
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)


def _named(name, path):
    if not str(path).strip():
        raise ValueError(f"{name} must name a path, got {str(path)!r}")
    return Path(path)


def _check_parents(name, path, inner=()):
    """Refuses a path below what is not a folder, or where the first folder that exists is read-only."""
    for parent in (*inner, *path.absolute().parents):
        if parent.is_dir():
            if not os.access(parent, os.W_OK | os.X_OK):
                raise ValueError(
                    f"{name}={str(path)!r} cannot be written: {str(parent)!r} is read-only for this user"
                )
            break
        if parent.exists() or parent.is_symlink():
            raise ValueError(
                f"{name}={str(path)!r} lies below {str(parent)!r}, which is not a folder"
            )


def _files(folder):
    """The files below a folder, links to folders among them, one after the other."""

    def refused(error):
        raise ValueError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for place, folders, names in os.walk(folder, onerror=refused):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        folders.sort()
        for name in sorted(names + links):
            yield (Path(place) / name).relative_to(folder).as_posix()
