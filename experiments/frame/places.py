"""Where experiments and their results are, and what the files say of themselves; loads none of them."""

import ast
import inspect
import tokenize
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent
RUNS, RESULTS, PAGES = Path("runs"), Path("results"), Path("docs/results")
RESULTS_JSON = "results.json"  # in a workdir


def slugs() -> list[str]:
    """The experiments' names: the modules of the folder above that make a claim."""
    return sorted(
        path.stem
        for path in HERE.glob("*.py")
        if "\ndef claim(" in path.read_text(encoding="utf-8")
    )


def title(slug: str) -> str:
    """The first line of an experiment's docstring."""
    return docstring(HERE / f"{slug}.py").partition("\n")[0]


def docstring(path: Path) -> str:
    """The docstring of a file; "" of one without. Only its beginning is parsed, since a list asks many files."""
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.STRING:
                return inspect.cleandoc(ast.literal_eval(token.string))
            if token.type not in (tokenize.COMMENT, tokenize.NL):
                break
    return ""


def workdir(slug: str, preset: str) -> Path:
    """The workdir of a run that names none."""
    return RUNS / f"{slug}-{preset}"


def newest(slug: str, preset: str, read: Callable[[Path], dict[str, Any]]) -> dict[str, Any] | None:
    """The newest results of an experiment's preset, among those of this folder and of the repository.

    Args:
      slug, preset: the experiment's and the preset's names.
      read: from a file to the tree that it holds.

    Returns: a tree as results.json holds it, or None.
    """
    name = f"{slug}-{preset}.json"
    files = workdir(slug, preset) / RESULTS_JSON, RESULTS / name, ROOT / RESULTS / name
    trees = [read(file) for file in dict.fromkeys(files) if file.exists()]
    trees = [tree for tree in trees if not tree.get("changed")]
    return max(trees, key=lambda tree: tree["date"], default=None)


def minutes(tree: dict[str, Any]) -> float:
    """What all parts of a run took, over all its sittings."""
    return sum(v for n, v in tree["seconds"].items() if n != "this run") / 60
