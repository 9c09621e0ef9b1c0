"""What a paper's file says of its presets, arms and settings, without running the file: help waits for no JAX.

Of the file are taken its docstring, Config without its checks, PRESETS, ARMS, SEEDS and READS, and the assignments
that these are made of. A paper that makes them of what it imports has to be loaded.
"""

import ast
import json
import sys
from types import ModuleType
from typing import Any

from experiments.frame.places import HERE, newest, slugs

SAID = ("Config", "PRESETS", "ARMS", "SEEDS", "READS")


def read(slug: str) -> ModuleType | None:
    """A module with what the file of a paper says; None where the file must be run to know, or is not there."""
    if slug not in slugs():
        return None
    path = HERE / f"{slug}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    body = _said(tree)
    if body is None:
        return None
    module = ModuleType(f"{__name__}.{slug}", ast.get_docstring(tree))
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses and tyro look for the file
    exec(compile(ast.Module(body, type_ignores=[]), str(path), "exec"), module.__dict__)
    return module


def measured(slug: str, preset: str) -> dict[str, Any] | None:
    """The newest results of a paper's preset, which are not checked; None without any."""
    return newest(slug, preset, lambda path: json.loads(path.read_text(encoding="utf-8")))


def _said(tree):
    """The statements of a file that SAID needs, in their order; None where one of them imports our own modules."""
    statements = {}
    for node in tree.body:
        for name in _made_by(node):
            statements[name] = node
    needed, names = set(), [name for name in SAID if name in statements]
    while names:
        node = statements.get(names.pop())
        if node is None or node in needed:  # a builtin's name
            continue
        if isinstance(node, ast.Import | ast.ImportFrom) and not _of_python(node):
            return None
        needed.add(node)
        names += [
            n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
        ]
    return [node for node in tree.body if node in needed]


def _made_by(node):
    """The names that a statement of a module makes; Config loses its methods, which check values."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        if node.name == "Config":
            node.body = [part for part in node.body if not isinstance(part, ast.FunctionDef)]
        return [node.name]
    targets = getattr(node, "targets", None) or [getattr(node, "target", node)]
    return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]


def _of_python(node):
    """Whether an import is of Python's own modules."""
    modules = (
        [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
    )
    return all(name.partition(".")[0] in sys.stdlib_module_names for name in modules)
