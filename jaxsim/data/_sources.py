"""Data sources: what is on disk is used first, and nothing is downloaded without being asked for.

A source is a grain MapDataset of dicts: `len(source)`, `source[i]`, `.map`, `.shuffle`.

JAXSIM_DATA names a folder of prepared sets (a folder per set, TFDS's own in `tfds/`); JAXSIM_CACHE
says where what is built here is kept, ~/.cache/jaxsim unless set.
"""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxsim.data import _corpus as corpus
from jaxsim.numerics import checks
from jaxsim.storage import owned, recovered, write_folder
from jaxsim.storage._atomic import FULL
from jaxsim.storage._fields import Fields, shown
from jaxsim.storage._texts import json_lines, opened_text

if TYPE_CHECKING:
    import grain


SPLITS = ("train", "validation", "test")
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, *FULL)
PATIENCE = 3600.0  # seconds to wait for another process that builds the same


def docstrings(split: str, *, config: str = "all") -> "grain.MapDataset":
    """Docstrings corpus of installed packages: built on first use in some seconds, then read from the cache.

    Args:
      split: "train" or "validation" (jax, numpy, the standard library) or "test" (scipy, scikit-learn:
        no package, function name or query of the others).
      config: "all", at most 8,000 pairs, or "small", some hundreds, for tests.

    Returns: a source of {"query": summary line, "document": body, "name", "package", "path"}, strings.
    Raises: ValueError for an unknown split or config, or a damaged cache; ModuleNotFoundError without the
    `data` extra.
    """
    checks.one_of("split", split, SPLITS)
    checks.one_of("config", config, ("all", "small"))
    versions = "-".join(f"{name}{version}" for name, version in corpus.versions().items())
    folder = recovered(cache_folder() / "docstrings" / f"{config}-{versions}")

    def build_folder():
        from jaxsim.data._builders import build

        with write_folder(folder, kind="corpus") as aside:
            build(aside, config)

    built_once(folder, build_folder)
    prepared = next(folder.glob(f"*/{config}/*/dataset_info.json"), folder / "dataset_info.json")
    remedy = f"remove {folder}, it is built again"
    return _strings(tfds_source(prepared.parent, split, remedy=remedy))


def glosses() -> list[dict[str, str]]:
    """WordNet 3.0 glosses: 117,659 synsets with their definitions, from JAXSIM_DATA.

    Returns: a list of {"id", "title": the words, "document": the definition}, strings.
    Raises: FileNotFoundError without the data; ValueError for damaged data.
    """
    rows = []
    fields = {"id": str, "lemmas": list, "definition": str}
    for at, row in prepared_rows("wordnet", "synsets.jsonl.gz", **fields):
        if not all(isinstance(lemma, str) for lemma in row["lemmas"]):
            raise Fields(at, row).wrong("lemmas", "strings")
        title = ", ".join(lemma.replace("_", " ") for lemma in row["lemmas"])
        rows.append({"id": row["id"], "title": title, "document": row["definition"]})
    return rows


def fingerprint(source: Any) -> str:
    """Fingerprint of a source: a hash of all its rows in order, which results record.

    Args:
      source: a sequence of JSON-like dicts.

    Returns: 16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for place in range(len(source)):
        digest.update(json.dumps(source[place], sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _strings(source):
    import grain

    return grain.MapDataset.source(source).map(
        lambda row: {name: value.decode() for name, value in row.items()}
    )


def prepared_path(folder: str, name: str) -> Path:
    """The path of a file in JAXSIM_DATA.

    Raises: FileNotFoundError that says what is missing and where to put it.
    """
    root = os.environ.get("JAXSIM_DATA")
    path = Path(root or "JAXSIM_DATA") / folder / name
    if root is None or not path.exists():
        where = "JAXSIM_DATA is not set" if root is None else f"there is no {path}"
        raise FileNotFoundError(
            f'no prepared dataset "{folder}": {where}; point JAXSIM_DATA at a folder that holds '
            f"{folder}/{name}, or take the preset that needs no data"
        )
    return path


def prepared_tfds(name: str) -> Path:
    """The folder of a TFDS set that is there in array_record form, such as "omniglot/3.0.0".

    Looked for in JAXSIM_DATA's tfds/, TFDS_DATA_DIR and ~/tensorflow_datasets; nothing is downloaded.

    Raises: FileNotFoundError that says what is missing and where to put it.
    """
    data = os.environ.get("JAXSIM_DATA")
    roots = [Path(data) / "tfds"] if data else []
    roots.append(Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"))
    for root in roots:
        if any((root / name).glob("*.array_record*")):
            return root / name
    raise FileNotFoundError(
        f'no prepared dataset "{name}" in {" or ".join(map(str, roots))}: point JAXSIM_DATA at a '
        f"folder that holds tfds/{name} in array_record form, or take the preset that needs no data"
    )


def lines_of(folder: str, name: str) -> list[str]:
    """The lines of a gzipped text file of JAXSIM_DATA, without their ends.

    Raises: FileNotFoundError as `prepared_path`; ValueError naming a file that is damaged.
    """
    with opened_text(prepared_path(folder, name)) as file:
        return [line.rstrip("\r\n") for line in file]


def prepared_rows(folder: str, name: str, **fields: type) -> Iterator[tuple[str, dict]]:
    """The objects of a gzipped file of JSON lines of JAXSIM_DATA, one by one.

    Args:
      folder, name: as in `prepared_path`.
      fields: {name: type}, str or list, of the fields that each must have.

    Yields: pairs of a row's place for errors, "FILE: line 3", and the row, a dict.
    Raises: FileNotFoundError as `prepared_path`; ValueError naming the file, the line and the field of what
    is damaged.
    """
    path = prepared_path(folder, name)
    with opened_text(path) as file:
        for number, row in json_lines(path, file):
            at = f"{path}: line {number}"
            if not isinstance(row, dict):
                raise ValueError(f"{at} must be an object, got {shown(row)}")
            for field, kind in fields.items():
                if not isinstance(row.get(field), kind):
                    wanted = "a string" if kind is str else "a list"
                    raise Fields(at, row).wrong(field, wanted)
            yield at, row


@contextlib.contextmanager
def damage_named(path: str | os.PathLike, remedy: str = "fetch it again") -> Iterator[None]:
    """Turns whatever a library raises while it reads prepared data into one sentence that names the path."""
    try:
        yield
    except (MemoryError, ModuleNotFoundError):
        raise
    except Exception as error:  # each library has its own class, without a common base
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: cannot be read, {remedy}: {why:.200}") from error


def tfds_source(
    folder: str | os.PathLike, split: str, *, remedy: str = "fetch it again", **options: Any
) -> "_Rows":
    """A split of a TFDS set in array_record form: a sequence whose errors name its folder.

    Args:
      folder: as `prepared_tfds` gives it.
      split: its name.
      remedy: what to do where it is damaged.
      options: of `as_data_source`.
    """
    import tensorflow_datasets as tfds

    with damage_named(folder, remedy):
        source = tfds.builder_from_directory(folder).as_data_source(split, **options)
        return _Rows(source, folder, remedy)


class _Rows:
    """The rows of a data source; one that cannot be read is named by its folder."""

    def __init__(self, source, folder, remedy):
        self.source, self.folder, self.remedy = source, folder, remedy
        self.length = len(source)

    def __len__(self):
        return self.length

    def __getitem__(self, place):
        if not 0 <= place < self.length:
            raise IndexError(place)
        with damage_named(self.folder, self.remedy):
            return self.source[place]


def cache_folder() -> Path:
    """Where what is built here is kept: JAXSIM_CACHE, or ~/.cache/jaxsim."""
    return Path(os.environ.get("JAXSIM_CACHE") or Path.home() / ".cache/jaxsim")


def built_once(path: Path, build: Callable[[], None]) -> None:
    """Builds what is not in the cache; a process that needs the same meanwhile waits for it.

    Args:
      path: of the file or folder that `build` makes.
      build: () -> None.

    Raises: ValueError that says so where the cache cannot be written to.
    """
    if path.exists():
        return
    try:
        with owned(path.with_name(f"{path.name}.build"), "file", wait=PATIENCE):
            if not path.exists():
                build()
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise ValueError(
            f"{path}: cannot be built ({error}): set JAXSIM_CACHE to a folder that can be written to"
        ) from error
