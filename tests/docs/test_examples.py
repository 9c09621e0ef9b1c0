"""Every example in a docstring runs and prints what it says."""

import ast
import doctest
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "jaxsim"
WHERE_THEY_STAND = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def examples():
    """All docstrings with an example, read from the sources: what a decorator makes of them is not asked."""
    parser = doctest.DocTestParser()
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            text = isinstance(node, WHERE_THEY_STAND) and ast.get_docstring(node)
            if text and ">>>" in text:
                name = getattr(node, "name", path.stem)
                place = f"{path.relative_to(PACKAGE.parent)}::{name}"
                yield pytest.param(parser.get_doctest(text, {}, place, str(path), 0), id=place)


EXAMPLES = list(examples())


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_prints_what_it_says(example):
    said = []
    failed = doctest.DocTestRunner().run(example, out=said.append).failed
    assert not failed, "".join(said)


@pytest.mark.parametrize(
    "name",
    [
        "losses/pairs/_info_nce.py::info_nce",
        "losses/_lift/_lifters.py::over_labels",
        "similarity/_dense.py::cosine",
    ],
)
def test_the_central_functions_have_one(name):
    assert f"jaxsim/{name}" in {example.id for example in EXAMPLES}
