"""Where data comes from: what is found on disk first, never a download that nobody asked for.

A source is a grain MapDataset of dicts: `len(source)`, `source[i]`, `.map`, `.shuffle`.

JAXSIM_DATA names a folder of prepared sets (a folder per set, TFDS's own in `tfds/`); JAXSIM_CACHE
says where what is built here is kept, ~/.cache/jaxsim unless set.
"""

import gzip
import hashlib
import json
import os
from pathlib import Path

from jaxsim.data import corpus
from jaxsim.numerics import checks
from jaxsim.storage import write_folder

SPLITS = ("train", "validation", "test")


def docstrings(split, *, config="all"):
    """The docstrings corpus: built on first use in some seconds, then read from the cache.

    Args:
      split: "train" or "validation" (jax, numpy, the standard library) or "test" (scipy, scikit-learn:
        no package, function name or query of the others).
      config: "all", at most 8,000 pairs, or "small", some hundreds, for tests.

    Returns: a source of {"query": summary line, "document": body, "name", "package", "path"}, strings.
    Raises: ValueError for an unknown split or config; ModuleNotFoundError without the `data` extra.
    """
    checks.one_of("split", split, SPLITS)
    checks.one_of("config", config, ("all", "small"))
    import tensorflow_datasets as tfds

    found = "-".join(f"{name}{version}" for name, version in corpus.versions().items())
    folder = cache_folder() / "docstrings" / f"{config}-{found}"
    if not folder.exists():
        from jaxsim.data.builders import build

        with write_folder(folder, kind="corpus") as aside:
            build(aside, config)
    (prepared,) = folder.glob(f"*/{config}/*/dataset_info.json")
    return _strings(tfds.builder_from_directory(prepared.parent).as_data_source(split))


def entity_mentions(split):
    """Words in context, each linked to its WordNet gloss (SemCor 3.0): from JAXSIM_DATA.

    Args:
      split: "train", "validation" or "test"; genres are disjoint.

    Returns: a list of {"left", "mention", "right", "synset"}, strings; `synset` is an id of
    `glosses()`.
    Raises: ValueError for an unknown split; FileNotFoundError without the data.
    """
    checks.one_of("split", split, SPLITS)
    rows = []
    for sentence in _json_lines("semcor", f"{split}.jsonl.gz"):
        tokens = sentence["tokens"]
        for place, _, _, synset in sentence["mentions"]:
            rows.append(
                {
                    "left": " ".join(tokens[:place]),
                    "mention": tokens[place],
                    "right": " ".join(tokens[place + 1 :]),
                    "synset": synset,
                }
            )
    return rows


def glosses():
    """The 117,659 synsets of WordNet 3.0 with their definitions: from JAXSIM_DATA.

    Returns: a list of {"id", "title": the words, "document": the definition}, strings.
    Raises: FileNotFoundError without the data.
    """
    return [
        {
            "id": row["id"],
            "title": ", ".join(lemma.replace("_", " ") for lemma in row["lemmas"]),
            "document": row["definition"],
        }
        for row in _json_lines("wordnet", "synsets.jsonl.gz")
    ]


def fingerprint(source):
    """A hash of everything in a source, in its order: what results record of their data.

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


def prepared_path(folder, name):
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


def prepared_tfds(name):
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


def lines_of(folder, name):
    """The lines of a gzipped text file of JAXSIM_DATA, without their ends.

    Raises: FileNotFoundError as `prepared_path`.
    """
    with gzip.open(prepared_path(folder, name), "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file]


def cache_folder():
    """Where what is built here is kept: JAXSIM_CACHE, or ~/.cache/jaxsim."""
    return Path(os.environ.get("JAXSIM_CACHE") or Path.home() / ".cache/jaxsim")


def _json_lines(folder, name):
    return [json.loads(line) for line in lines_of(folder, name)]
