"""Checksums of a checkpoint's files: orbax does not notice a flipped bit in an array.

The manifest is written into the folder before it gets its name, so that every checkpoint has
one. Checkpoints of earlier versions have none: what orbax finds in them counts.
"""

import json
import zlib
from typing import Any

from jaxsim import storage

NAME = "checksums.json"


def write_manifest(folder: Any) -> None:
    """Writes the sizes and checksums of all files in the folders of `folder`."""
    files = {name: checksum_of(path) for name, path in files_in(folder).items()}
    (folder / NAME).write_text(json.dumps({"files": files}, indent=1) + "\n")


def problem_of(folder: Any, within: str = "") -> str | None:
    """What is wrong with a checkpoint by its manifest, in a few words; None where nothing is.

    Args:
      folder: the checkpoint's.
      within: look only at files whose names begin so.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        known = storage.Fields(path, storage.parsed_json(path, path.read_bytes())).object("files")
        there = files_in(folder)
        for name in (name for name in known if name.startswith(within)):
            size, checksum = known.wholes(name)
            if name not in there:
                return f"{name} is missing"
            if there[name].stat().length != size:
                return f"{name} has {there[name].stat().length} bytes, not {size}"
            if checksum_of(there[name]) != [size, checksum]:
                return f"{name} has changed since it was written"
    except (OSError, ValueError) as error:
        return str(error)
    return None


def files_in(folder: Any) -> Any:
    """{name: path} of the files in the folders of a folder; orbax changes the others at the end."""
    files, waiting = {}, [p for p in folder.iterdir() if p.is_dir()]
    while waiting:
        for path in waiting.pop().iterdir():
            if path.is_dir():
                waiting.append(path)
            else:
                files[path.relative_to(folder).as_posix()] = path
    return dict(sorted(files.items()))


def checksum_of(path: Any) -> str:
    """[size, CRC-32] of a file."""
    size = checksum = 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            size, checksum = size + len(block), zlib.crc32(block, checksum)
    return [size, checksum]
