"""Names in prose are current: `jaxsim.x.y` resolves, and files that are named are there."""

import ast
import importlib
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOTTED = re.compile(r"\bjaxsim(?:\.[a-z_]\w*)+")
ROOMS = "jaxsim", "experiments", "benchmarks", "docs", "notebooks", "tests", "results"
PATH = re.compile(rf"\b(?:{'|'.join(ROOMS)})/[\w/.-]*\w\.(?:py|md|toml|ipynb|sh|png)\b")
BACKTICKED = re.compile(r"`([\w/.-]+\.(?:py|md|toml|cfg|ipynb|sh))`")
WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Files that a reader is to write.
EXAMPLES = {"linear.py", "run.py", "tuned/README.md"}  # which a reader or a command makes


def prose_of_python(path):
    """The docstrings and comments of a file."""
    text = path.read_text(encoding="utf-8")
    documented = (n for n in ast.walk(ast.parse(text)) if isinstance(n, WITH_DOCSTRING))
    comments = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join(
        [ast.get_docstring(node) or "" for node in documented]
        + [token.string for token in comments if token.type == tokenize.COMMENT]
    )


def pages():
    """{file: its prose}: all Python files but tests, and all pages."""
    python = [
        p
        for room in ("jaxsim", "experiments", "benchmarks")
        for p in ROOT.joinpath(room).rglob("*.py")
    ]
    written = [*ROOT.joinpath("docs").rglob("*.md"), *ROOT.joinpath("notebooks").glob("*.ipynb")]
    written += [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md"]
    return {str(p.relative_to(ROOT)): prose_of_python(p) for p in python} | {
        str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in written
    }


PAGES = pages()


def dotted_names(text):
    """The dotted names of a page; `jaxsim.json` is a file."""
    return [name for name in dict.fromkeys(DOTTED.findall(text)) if name != "jaxsim.json"]


def resolves(dotted):
    """Whether a dotted name leads from jaxsim to a module or to what it has."""
    what, path = importlib.import_module("jaxsim"), "jaxsim"
    for part in dotted.split(".")[1:]:
        path = f"{path}.{part}"
        if not hasattr(what, part):
            try:
                importlib.import_module(path)
            except ImportError:
                return False
        what = getattr(what, part)
    return True


def test_there_are_names_to_resolve():
    assert sum(len(dotted_names(text)) for text in PAGES.values()) > 30


def test_a_stale_name_is_seen():
    assert resolves("jaxsim.losses.miners")
    assert resolves("jaxsim.numerics.masked.log_sum_exp")
    assert not resolves("jaxsim.training.sparse_rows")


@pytest.mark.parametrize("room", sorted({page.split("/")[0] for page in PAGES}))
def test_dotted_names_resolve(room):
    stale = [
        (page, name)
        for page, text in PAGES.items()
        for name in dotted_names(text)
        if page.split("/")[0] == room and not resolves(name)
    ]
    assert stale == []


def test_files_that_are_named_exist():
    names = {path.name for room in ROOMS for path in ROOT.joinpath(room).rglob("*.*")}
    names |= {path.name for path in ROOT.glob("*.*")}
    stale = []
    for page, text in PAGES.items():
        for name in dict.fromkeys([*PATH.findall(text), *BACKTICKED.findall(text)]):
            near = ROOT, ROOT / "jaxsim", (ROOT / page).parent
            there = any((folder / name).exists() for folder in near)
            if not (there or name in names | EXAMPLES):
                stale.append((page, name))
    assert stale == []
