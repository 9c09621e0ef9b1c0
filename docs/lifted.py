"""The API pages as a user meets the library: lifted losses with the loss's signature, docstrings as Markdown."""

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path

import griffe

sys.path.insert(0, str(Path(__file__).resolve().parent))

from docstrings import markdown

KINDS = {
    inspect.Parameter.POSITIONAL_OR_KEYWORD: griffe.ParameterKind.positional_or_keyword,
    inspect.Parameter.KEYWORD_ONLY: griffe.ParameterKind.keyword_only,
}
# The rooms that have pages, and the modules that they offer next to their names.
ROOMS = sorted({path.stem for path in (Path(__file__).parent / "api").glob("*.md")} | {"losses"})
MODULES = {"losses": ("memory", "miners", "parts", "reducers"), "search": ("anchors", "mining")}


class Offered(griffe.Extension):
    """A room offers what it imports as itself, `from x import a as a`: griffe takes that for private."""

    def on_alias_instance(self, *, alias, node, **_):
        """Marks an alias as public that is imported under its own name."""
        names = node.names if isinstance(node, ast.ImportFrom) else ()
        if any(imported.name == imported.asname == alias.name for imported in names):
            alias.public = True


class Readable(griffe.Extension):
    """Losses as they are called, and every docstring as Markdown, with links between public names."""

    def on_package(self, *, pkg, **_):
        """Rewrites what the package offers, once all of it is read."""
        if pkg.name == "jaxsim":
            for thing in everything(pkg):
                if thing.is_function and thing.docstring:  # a rule of the library's own has none
                    as_called(thing)
            as_defined(pkg.members["losses"])
        rooms = (pkg.members[room] for room in ROOMS) if pkg.name == "jaxsim" else ()
        public = {room.name: dict(offered(room)) for room in rooms}
        for thing in everything(pkg):
            if thing.docstring:
                text = thing.docstring.value + (fields(thing) if thing.is_class else "")
                thing.docstring.value = markdown(
                    text, defaults=defaults(thing), link=links(thing, public)
                )
        for room in (pkg.members[room] for room in ROOMS if pkg.name == "jaxsim"):
            for module in (room, *modules_of(room)):
                module.exports = in_order(module)


def as_called(function):
    """Pages are made of the sources; what `over_labels` and `over_pairs` make of a rule is asked for."""
    if not any("over_" in str(decorator.value) for decorator in function.decorators):
        return
    loss = griffe.dynamic_import(function.path)
    written = {parameter.name: parameter.annotation for parameter in function.parameters}
    function.docstring.value = inspect.getdoc(loss)
    function.parameters = taken(loss, written)
    function.returns = "jax.Array"


def as_defined(stub):
    """The losses as they are defined: __init__.pyi, which griffe reads first, has their types and no texts."""
    for name, loss in vars(importlib.import_module(stub.path)).items():
        if name.startswith("_") or name not in stub.members or inspect.ismodule(loss):
            continue
        declared = stub.members[name]
        if declared.is_alias:
            continue
        module = stub.modules_collection[loss.__module__]
        defined = module.members.get(name)
        if defined is None or defined.is_attribute:  # what `both_ways` or another call made
            defined = made(name, loss, module)
        call = declared if declared.is_function else stub.members[f"_{name}"].members["__call__"]
        for parameter in defined.parameters:
            if parameter.name in call.parameters:
                parameter.annotation = call.parameters[parameter.name].annotation
        stub.set_member(name, griffe.Alias(name, defined, parent=stub))


def made(name, loss, module):
    """The function that a call of the module's code made."""
    text = inspect.getdoc(loss) or ""
    function = griffe.Function(
        name,
        parent=module,
        lineno=None,
        docstring=griffe.Docstring(text),
        parameters=taken(loss, {}),
    )
    function.returns = "jax.Array"
    module.set_member(name, function)
    return function


def taken(loss, written):
    """The parameters of a function as it is called, with the annotations that its code has."""
    return griffe.Parameters(
        *(
            griffe.Parameter(
                p.name, kind=KINDS[p.kind], default=shown(p.default), annotation=written.get(p.name)
            )
            for p in inspect.signature(loss).parameters.values()
        )
    )


def offered(room):
    """(name, where it is on the pages) of all that a room offers, its modules' names too."""
    for name in names_of(room):
        yield name, f"{room.path}.{name}"
    for module in modules_of(room):
        yield from ((name, f"{room.path}.{module.name}.{name}") for name in names_of(module))


def modules_of(room):
    """The modules that a room offers next to its names."""
    for name in MODULES.get(room.name, ()):
        module = room.members[name]
        yield room.modules_collection[module.target_path] if module.is_alias else module


def in_order(module):
    """What a module offers, functions before classes, each by name."""
    functions, classes = [], []
    for name in sorted(names_of(module), key=str.lower):
        (classes if name[0].isupper() else functions).append(name)
    return functions + classes


def fields(made):
    """The fields of a class as a section of its docstring: those that it does not explain, by their comments."""
    lines = []
    for name, member in made.members.items():
        explained = re.search(rf"^\s*{re.escape(name)}\b", made.docstring.value, re.MULTILINE)
        if member.is_alias or not member.is_attribute or member.docstring or explained:
            continue
        if name.startswith("_") or member.annotation is None or member.lineno is None:
            continue
        _, _, comment = member.lines[0].partition("  # ") if member.lines else ("", "", "")
        lines.append(f"  {name}: `{member.annotation}`{'; ' if comment else ''}{comment}")
    return "\n".join(["", "", "Fields:", *lines]) if lines else ""


def names_of(module):
    """The names that a module offers: those that it imports as themselves, and those that it defines."""
    for name, member in module.members.items():
        defined_here = not member.is_alias and not member.is_module
        if not name.startswith("_") and (defined_here or member.public):
            yield name


def everything(module):
    """All that a package defines, once."""
    for member in list(module.members.values()):
        if member.is_alias:
            continue
        yield member
        if member.is_module or member.is_class:
            yield from everything(member)


def defaults(thing):
    """{argument: its default} of a function, or of a class's fields."""
    if thing.is_function:
        return {p.name: str(p.default) for p in thing.parameters if p.default is not None}
    if thing.is_class:
        return {
            name: str(member.value)
            for name, member in thing.members.items()
            if member.is_attribute and not member.is_alias and member.value is not None
        }
    return {}


def links(thing, public):
    """name -> where its page has it, for the names that a docstring of the same room may say."""
    room = thing.path.split(".")[1] if "." in thing.path else ""
    near = public.get(room, {})
    skipped = {thing.name} | ({p.name for p in thing.parameters} if thing.is_function else set())

    def link(name):
        place, _, last = name.rpartition(".")
        if not place:
            return None if name in skipped else near.get(name)
        return public.get(place.split(".")[0], {}).get(last)

    return link


def shown(default):
    """A default as code; None of an argument that has none."""
    if default is inspect.Parameter.empty:
        return None
    return getattr(default, "__name__", None) or repr(default)
