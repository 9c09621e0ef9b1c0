"""Every public name has a docstring, and those that take arrays give their shapes."""

import importlib
import inspect
import re

import pytest

import jaxsim

# Arguments that are arrays wherever they are named so.
ARRAYS = {
    *("embeddings", "labels", "queries", "documents", "positives", "negatives", "items", "vectors"),
    *("scores", "student", "teacher", "view", "other", "proxies", "class_weights"),
    *("ids", "relevant", "truth", "anchor_scores", "targets", "contexts"),
}
OF_ARRAYS = "losses", "similarity", "search", "evaluation", "analysis"
SHAPE = re.compile(r"\[[a-z0-9.][^\]`]*\]")  # [batch, dim]
LIKE = re.compile(r"\bas(?: in)? `\w+`")  # Args as in `info_nce`.


def public(room):
    """{name: what} of a room, with the public functions of its public modules."""
    module = importlib.import_module(f"jaxsim.{room}")
    found = {name: what for name, what in vars(module).items() if not name.startswith("_")}
    for name, inner in list(found.items()):
        if inspect.ismodule(inner):
            found |= {f"{name}.{n}": f for n, f in vars(inner).items() if of_its_own(inner, n, f)}
    return found


def of_its_own(module, name, function):
    own = inspect.isfunction(function) and function.__module__ == module.__name__
    return own and not name.startswith("_")


def text_of(what):
    """The docstring that somebody wrote, not the one that a dataclass makes."""
    doc = inspect.getdoc(what) or ""
    made = inspect.isclass(what) and doc.startswith(f"{what.__name__}(")
    return "" if made else doc


@pytest.mark.parametrize("room", jaxsim.__all__)
def test_every_public_name_has_a_docstring(room):
    undocumented = [
        name
        for name, what in public(room).items()
        if (callable(what) or inspect.ismodule(what)) and not text_of(what)
    ]
    assert undocumented == []


@pytest.mark.parametrize("room", OF_ARRAYS)
def test_a_function_of_arrays_gives_their_shapes(room):
    without = []
    for name, what in public(room).items():
        if inspect.isfunction(what) and ARRAYS & set(inspect.signature(what).parameters):
            text = text_of(what)
            if not (SHAPE.search(text) or LIKE.search(text)):
                without.append(name)
    assert without == []
