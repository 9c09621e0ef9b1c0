"""Every promise of docs/promises.md names a test that holds it, and the test is there."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"^- (.*?)(?=^- |^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@functools.cache
def names_in(path):
    """The names of a file's tests."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}


def test_there_are_promises_of_every_kind():
    sections = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert sections == ["Files", "Resuming", "Numbers", "NaN", "Input", "Limits"]
    assert len(PROMISES) >= 20


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[:40])
def test_a_promise_is_held_by_a_test_that_exists(promise):
    named = TEST.findall(promise)
    assert named, promise
    for path, name in named:
        assert name in names_in(path), f"{path} has no {name}"
