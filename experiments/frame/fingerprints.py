"""A short name for data: the same for equal trees of strings, numbers and arrays, and for equal folders."""

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

DIGITS = 16


def of_tree(tree: Any) -> str:
    """The fingerprint of a tree of dicts, lists, tuples, dataclasses, strings, numbers, None and arrays.

    The order of lists counts, that of dicts does not; 1, 1.0, True and "1" differ, as do types of arrays.

    Returns: 16 hexadecimal digits.
    Raises: TypeError naming the kind of anything else, such as a set, which has no order.
    """
    digest = hashlib.sha256()
    for part in _parts(tree):
        digest.update(len(part).to_bytes(8, "little") + part)  # no two trees have the same bytes
    return digest.hexdigest()[:DIGITS]


def folder_fingerprint(path: str | os.PathLike) -> str:
    """Fingerprint of what a folder, such as a pretrained model's, holds: the names and bytes of all files.

    Where it lies does not count; hidden files and folders (.cache, .lock) do not either.

    Args:
      path: a folder, or one file.

    Returns: 16 hexadecimal digits.
    Raises: FileNotFoundError where there is none; ValueError for a folder without files.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no folder {path}")
    digest, count = hashlib.sha256(), 0
    for name, file in _files(path):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        digest.update(f"{len(name)} {name} {content}\n".encode())
        count += 1
    if not count:
        raise ValueError(f"{path}: must hold a file at least, to have a fingerprint")
    return digest.hexdigest()[:DIGITS]


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield path.name, path
        return
    names = {}
    for place, folders, files in os.walk(path, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                file = Path(place) / name
                names[file.relative_to(path).as_posix()] = file
    yield from sorted(names.items())


def _parts(tree: Any) -> Iterator[bytes]:
    """The bytes of a tree, piece by piece, each with its kind and size before it."""
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        tree = {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
    if isinstance(tree, str):
        yield b"str" + tree.encode(errors="surrogatepass")
    elif isinstance(tree, bytes):
        yield b"bytes" + tree
    elif tree is None or isinstance(tree, (bool, int, float)):
        yield f"{type(tree).__name__} {tree!r}".encode()
    elif isinstance(tree, os.PathLike):
        yield b"str" + os.fsencode(tree)
    elif isinstance(tree, Mapping):
        yield f"dict {len(tree)}".encode()
        for name in sorted(tree, key=lambda name: (type(name).__name__, name)):
            yield from _parts(name)
            yield from _parts(tree[name])
    elif isinstance(tree, (list, tuple)):
        yield f"list {len(tree)}".encode()
        for one in tree:
            yield from _parts(one)
    elif hasattr(tree, "dtype") and hasattr(tree, "shape"):
        array = np.asarray(tree)
        if array.dtype.kind == "O":
            yield f"objects {array.shape}".encode()
            yield from _parts(array.tolist())
        else:
            yield f"array {array.dtype.str} {array.shape}".encode()
            yield np.ascontiguousarray(array).tobytes()
    else:
        raise TypeError(f"{type(tree).__name__} {tree!r:.60}")
