"""Files on the host: written aside and renamed, checksummed, resumable; and progress."""

from jaxsim.storage.arrays import load_arrays, save_arrays
from jaxsim.storage.atomic import (
    recovered,
    write_bytes,
    write_folder,
    write_json,
    write_text,
)
from jaxsim.storage.checksums import checksum
from jaxsim.storage.fields import Fields, parsed_json, read_json, read_object
from jaxsim.storage.progress import bar
from jaxsim.storage.settings import changed_settings, plain_settings
from jaxsim.storage.targets import check_file, check_folder, check_place, owned
from jaxsim.storage.tiles import fill
from jaxsim.storage.trec import load_qrels, load_run, ranking_arrays, save_qrels, save_run
from jaxsim.storage.vectors import load_vectors, save_vectors

__all__ = [
    "Fields",
    "bar",
    "changed_settings",
    "check_file",
    "check_folder",
    "check_place",
    "checksum",
    "fill",
    "load_arrays",
    "load_qrels",
    "load_run",
    "load_vectors",
    "owned",
    "parsed_json",
    "plain_settings",
    "ranking_arrays",
    "read_json",
    "read_object",
    "recovered",
    "save_arrays",
    "save_qrels",
    "save_run",
    "save_vectors",
    "write_bytes",
    "write_folder",
    "write_json",
    "write_text",
]
