"""Pictures as commands take them: a folder of them, or a column of their paths."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxsim.commands.inputs.columns import column_of, row_at

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")


def in_folder(folder: str | os.PathLike) -> list[Path]:
    """The pictures below a folder, by their names' endings, sorted.

    Raises: ValueError for a folder without any.
    """
    folder = Path(folder)
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
    paths = sorted(path for path in paths if path.is_file())
    if not paths:
        raise ValueError(f"{folder}: holds no pictures ({', '.join(SUFFIXES)})")
    return paths


def names_in(folder: str | os.PathLike, paths: Iterable[Path]) -> list[str]:
    """What pictures are called: their paths inside the folder."""
    return [path.relative_to(folder).as_posix() for path in paths]


def in_column(rows: Sequence[dict], path: str | os.PathLike, name: str) -> list[Path]:
    """The pictures of a column of paths, which are relative to the table's folder.

    Args:
      rows: dicts.
      path: of the table.
      name: of the column.

    Raises: ValueError naming the file and the row of what is not a path, or of a picture that is not there.
    """
    pictures = [Path(path).parent / text for text in column_of(rows, path, name)]
    for place, picture in enumerate(pictures):
        if not picture.is_file():
            raise ValueError(
                f"{path}: {row_at(rows, place)} names {str(picture)!r} in {name!r}, and there is no such file"
            )
    return pictures


def digest(names: Sequence[str], pictures: Sequence[Path]) -> str:
    """A string of the names and the sizes of pictures, which tells one collection from another."""
    about = [(name, os.stat(path).st_size) for name, path in zip(names, pictures, strict=True)]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
