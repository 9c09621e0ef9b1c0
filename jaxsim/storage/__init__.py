"""Files on the host: written aside and renamed, checksummed, resumable; and progress."""

from jaxsim.storage.atomic import (
    load_arrays,
    save_arrays,
    write_bytes,
    write_folder,
    write_json,
    write_text,
)
from jaxsim.storage.progress import bar
from jaxsim.storage.tiles import fill

__all__ = [
    "bar",
    "fill",
    "load_arrays",
    "save_arrays",
    "write_bytes",
    "write_folder",
    "write_json",
    "write_text",
]
