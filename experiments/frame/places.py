"""Where experiments and their results are, and what the files say of themselves; loads none of them."""

import ast
import inspect
import tokenize
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
RUNS, RESULTS, PAGES = Path("runs"), Path("results"), Path("docs/results")


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
