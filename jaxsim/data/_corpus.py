"""The docstrings corpus: summary lines as queries, the bodies below them as documents.

From a fixed list of packages that are installed with jaxsim's `data` extra, and the standard library.
Sources are parsed, never imported. What comes out depends on the versions installed, and on nothing
else.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

TRAIN = ("jax", "numpy", "standard library")
TEST = ("scipy", "sklearn")
DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where a package's name is not its distribution's
# The small corpus: folders of these names.
SMALL_FOLDERS = ("asyncio", "email", "linalg", "cluster")
LIMIT = 8000  # pairs in all
VALIDATION = 300  # of the training packages
CHARACTERS = 600  # of a document
SKIPPED = {
    "_vendor",
    "array_api_compat",
    "array_api_extra",
    "ensurepip",
    "externals",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "testing",
    "turtledemo",
}


def pairs(*, small: bool = False) -> dict[str, list[dict]]:
    """Returns all pairs of all splits, near-duplicates removed.

    Test functions are never seen in training: packages are disjoint, and a training pair whose name
    or query occurs in test is dropped.

    Args:
      small: a few folders only, in about a second, for tests.

    Returns: {"train", "validation", "test"}: lists of {"query", "document", "name", "package",
    "path"}, in an order that follows from the paths alone.
    """
    test = distinct(_documented(TEST, small))
    names, queries = ({row[key].lower() for row in test} for key in ("name", "query"))
    train = [
        row
        for row in distinct(_documented(TRAIN, small), against=test)
        if row["name"].lower() not in names and row["query"].lower() not in queries
    ]
    test, train = (sorted(rows, key=_shuffled) for rows in (test, train))
    test = test[: LIMIT * 2 // 5]
    train = train[: LIMIT - len(test)]
    held_out = min(VALIDATION, len(train) // 10)
    return {"train": train[held_out:], "validation": train[:held_out], "test": test}


def distinct(
    rows: Iterable[dict], *, against: Sequence[dict] = (), threshold: float = 0.5
) -> list[dict]:
    """Near-duplicate removal: keeps the first row of each group, in the order given.

    Two rows are near-duplicates where their queries are equal up to case and punctuation, or where
    the sets of three-word runs of their texts have a Jaccard similarity of `threshold` or more.

    Args:
      rows: dicts with "query" and "document".
      against: rows that are kept already, and that none may repeat.
      threshold: of the similarity, in (0, 1].
    """
    seen_queries, holders, sizes, result = set(), {}, [], []
    for place, row in enumerate([*against, *rows]):
        words = re.findall(r"\w+", f"{row['query']} {row['document']}".lower())
        runs = {hash(tuple(words[i : i + 3])) for i in range(max(1, len(words) - 2))}
        query = " ".join(re.findall(r"\w+", row["query"].lower()))
        if place >= len(against):
            shared = {}
            for run in runs:
                for other in holders.get(run, ()):
                    shared[other] = shared.get(other, 0) + 1
            close = any(
                both >= threshold * (len(runs) + sizes[other] - both)
                for other, both in shared.items()
            )
            if close or query in seen_queries:
                continue
            result.append(row)
        seen_queries.add(query)
        for run in runs:
            holders.setdefault(run, []).append(len(sizes))
        sizes.append(len(runs))
    return result


def versions() -> dict[str, str]:
    """What the corpus depends on: {"python": ..., package: version}."""
    packages = sorted({*TRAIN, *TEST} - {"standard library"})
    installed = {p: importlib.metadata.version(DISTRIBUTIONS.get(p, p)) for p in packages}
    return {"python": platform.python_version(), **installed}


def _documented(packages, small) -> list[dict]:
    return [row for package in packages for row in _rows(package, small)]


def _rows(package, small) -> Iterator[dict]:
    root = _root(package)
    for file in sorted(_sources(root)):
        folders = file.relative_to(root).parts[:-1]
        if small and not set(SMALL_FOLDERS) & set(folders):
            continue
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue  # templates and files for another Python
        module = ".".join((*folders, file.stem))
        for path, name, docstring in _docstrings(tree, f"{package}.{module}"):
            if pair := _pair(docstring):
                yield dict(zip(("query", "document"), pair, strict=True)) | {
                    "name": name,
                    "package": package,
                    "path": path,
                }


def _sources(root) -> Iterator[Path]:
    """Python files below a folder, without tests and without what others put there."""
    for here, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED]
        yield from (
            Path(here, name)
            for name in names
            if name.endswith(".py") and not name.startswith("test_")
        )


def _root(package) -> Path:
    if package == "standard library":
        return Path(sysconfig.get_paths()["stdlib"])
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(
            f"the docstrings corpus needs {package}: install jaxsim's extra, pip install jaxsim-similarity[data]"
        )
    return Path(spec.origin).parent


def _docstrings(node, path):
    for child in node.body:
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if child.name.startswith("_"):
                continue
            dotted = f"{path}.{child.name}"
            if docstring := ast.get_docstring(child):
                yield dotted, child.name, docstring
            if isinstance(child, ast.ClassDef):
                yield from _docstrings(child, dotted)


def _pair(docstring):
    """(summary, body), or None where either says too little or the body repeats the summary."""
    summary, _, body = docstring.strip().partition("\n\n")
    summary = " ".join(summary.split())
    # Underlines of headings and tables are not words.
    body = " ".join(re.sub(r"[-=~^*#+|]{3,}", " ", body).split())[:CHARACTERS]
    if len(body) == CHARACTERS:
        body = body.rpartition(" ")[0]
    few = (
        len(re.findall(r"[A-Za-z]{2,}", summary)) < 3 or len(re.findall(r"[A-Za-z]{2,}", body)) < 8
    )
    if few or len(summary) > 300 or summary.lower().rstrip(".") in body.lower():
        return None
    return summary, body


def _shuffled(row):
    """An order that mixes the packages, the same everywhere."""
    return hashlib.sha256(row["path"].encode()).digest(), row["query"]
