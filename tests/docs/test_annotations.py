"""Public signatures say what they take and give: the share of annotated arguments and results."""

import importlib
import inspect

import jaxsim

SHARE = 0.95  # of the arguments of public functions, classes and methods


def signatures():
    """(name, signature) of every public function, class and method of every room."""
    seen = set()
    for room in jaxsim.__all__:
        yield from of(f"jaxsim.{room}", importlib.import_module(f"jaxsim.{room}"), seen)


def of(name, what, seen):
    """What an object and its public members take; nothing twice, and nothing of other packages."""
    place = getattr(what, "__name__" if inspect.ismodule(what) else "__module__", None) or ""
    if id(what) in seen or not place.startswith("jaxsim"):
        return
    seen.add(id(what))
    if callable(what) and not (inspect.isclass(what) and issubclass(what, BaseException)):
        yield name, inspect.signature(what)
    if inspect.ismodule(what) or inspect.isclass(what):
        for member, value in vars(what).items():
            function = getattr(value, "__func__", value)  # of a class or static method
            if not member.startswith("_"):
                yield from of(f"{name}.{member}", function, seen)


def arguments():
    """{name of an argument of a public function: whether it is annotated}, `self` aside."""
    return {
        f"{name}({argument.name})": argument.annotation is not argument.empty
        for name, signature in signatures()
        for argument in signature.parameters.values()
        if argument.name not in ("self", "cls")
    }


def test_public_arguments_are_annotated():
    annotated = arguments()
    bare = [name for name, known in annotated.items() if not known]
    share = 1 - len(bare) / len(annotated)
    assert share >= SHARE, f"{share:.1%} of {len(annotated)} are annotated; not: {bare[:40]}"
