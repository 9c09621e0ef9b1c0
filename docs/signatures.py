"""Writes jaxsim/losses/__init__.pyi: what editors and type checkers see of the losses.

    python docs/signatures.py && ruff format jaxsim/losses/__init__.pyi

A lifter makes a loss's signature when the module is loaded, which no static tool can follow. So the
signatures are written down, as Protocols that also have `rule` where a loss has one.
"""

import inspect
import re
import types as builtin_types
import typing
from pathlib import Path

import jax

from jaxsim import losses
from jaxsim.numerics import types

HERE = Path(__file__).resolve().parent
STUB = HERE.parent / "jaxsim" / "losses" / "__init__.pyi"
OFFERED = "memory", "miners", "parts", "reducers"
ALIASES = {
    **{name: vars(types)[name] for name in ("Array", "ArrayTree", "Numeric", "Shape")},
    **{name: vars(types)[name] for name in ("Similarity", "ReduceFn")},
}
HEAD = '''\
"""Signatures of the losses, written by docs/signatures.py: change the losses and run it."""

from collections.abc import Callable
from typing import Any, Protocol

import jax

from jaxsim.losses import {offered}
{lifters}
from jaxsim.numerics.types import {aliases}
'''


def stub():
    """The text of the file."""
    public = {
        name: what
        for name, what in sorted(vars(losses).items())
        if not name.startswith("_") and not inspect.ismodule(what) and not over(name)
    }
    body = "\n".join(declared(name, what) for name, what in public.items())
    modules = {}
    for name in sorted(filter(over, vars(losses))):
        modules.setdefault(vars(losses)[name].__module__, []).append(f"{name} as {name}")
    lifters = [f"from {m} import {', '.join(names)}" for m, names in sorted(modules.items())]
    head = HEAD.format(
        offered=", ".join(f"{name} as {name}" for name in OFFERED),
        lifters="\n".join(lifters),
        aliases=", ".join(name for name in sorted(ALIASES) if re.search(rf"\b{name}\b", body)),
    )
    return head + "\n" + body


def over(name):
    """Whether a name is a lifter's or `check`, which have types of their own to show."""
    return name.startswith("over_") or name == "check"


def declared(name, what):
    """The declaration of a public name: a function, or a Protocol and a variable of it."""
    signature = inspect.signature(what)
    if not hasattr(what, "rule"):
        return f"def {name}({arguments(signature)}) -> {shown(signature.return_annotation)}: ..."
    return "\n".join(
        [
            f"class _{name}(Protocol):",
            "    __name__: str",
            "    rule: Callable[..., Any]",
            "    lift: Callable[..., Any]",
            f"    def __call__(self, {arguments(signature)}) -> jax.Array: ...",
            "",
            f"{name}: _{name}",
            "",
        ]
    )


def arguments(signature):
    """The parameters as they are written in a definition, with the star before the first keyword."""
    parts, starred = [], False
    before = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_ONLY]
    for p in signature.parameters.values():
        mark = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        if p.kind is p.KEYWORD_ONLY and not starred:
            parts.append("*")
        starred = starred or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        default = "" if p.default is p.empty else " = ..."
        parts.append(f"{mark}{p.name}: {shown(p.annotation)}{default}")
        if before and p is before[-1]:
            parts.append("/")
    return ", ".join(parts)


def shown(annotation):
    """An annotation by the names that the head imports; Any for what has none."""
    if annotation is inspect.Parameter.empty or annotation is typing.Any:
        return "Any"
    if annotation is None or annotation is type(None):
        return "None"
    if annotation is jax.Array:  # chex's PRNGKey too
        return "jax.Array"
    for name, alias in ALIASES.items():
        if annotation == alias:
            return name
    if typing.get_origin(annotation) in (typing.Union, builtin_types.UnionType):
        parts = list(typing.get_args(annotation))
        for name, alias in ALIASES.items():
            union = typing.get_origin(alias) in (typing.Union, builtin_types.UnionType)
            members = list(typing.get_args(alias)) if union else [alias]
            if all(member in parts for member in members):
                rest = {shown(part) for part in parts if part not in members}
                return " | ".join([name, *sorted(rest - {"None"}), *(rest & {"None"})])
        shown_parts = {shown(part) for part in parts}
        return " | ".join([*sorted(shown_parts - {"None"}), *(shown_parts & {"None"})])
    if (
        inspect.isclass(annotation)
        and annotation.__module__ == "builtins"
        and not typing.get_args(annotation)
    ):
        return annotation.__name__
    return "jax.Array" if getattr(annotation, "__name__", "") == "Array" else "Any"


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
