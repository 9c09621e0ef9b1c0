"""Small files of a run, in a folder or on an object store."""

from typing import Any

from etils import epath

from jaxsim import storage


def is_local(path: Any) -> bool:
    """Whether a path is on a file system; otherwise it has a scheme, such as gs://."""
    return "://" not in str(path)


def write_bytes(path: Any, data: bytes) -> None:
    """Writes a file atomically: under a temporary name and renamed, or in one request on an object store."""
    if is_local(path):
        storage.write_bytes(path, data)
    else:
        path = epath.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_text(path: Any, text: str) -> None:
    """As `write_bytes`, for UTF-8 text."""
    write_bytes(path, text.encode())
