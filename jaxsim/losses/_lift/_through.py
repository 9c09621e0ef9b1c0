"""Losses that arrange their arguments for another one, which then does the work."""

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Collection
from typing import Any

import jax

from jaxsim.losses._lift._settings import check_settings
from jaxsim.numerics.types import Loss

SHARED = "similarity", "where", "weights", "axis_name", "block", "reduce_fn"


def through(loss: Loss, *, without: Collection[str] = ()) -> Callable[[Callable[..., Any]], Loss]:
    """Makes a loss of a function that gives the arguments of another loss.

        @through(cross_entropy)
        def denoising(logits, tokens):
            return {"logits": logits, "labels": tokens[:, 1:]}

    Shared keywords (`SHARED`) are taken, documented and handed on. A function with a keyword-only
    argument `shared` gets them as a dictionary; what it returns replaces them.

    Args:
      loss: a lifted loss.
      without: shared keywords that the result does not take.
    """

    def decorate(function):
        own = inspect.signature(function).parameters
        passed_on = [p for p in inspect.signature(loss).parameters.values() if p.name in SHARED]
        passed_on = {p.name: p for p in passed_on if p.name not in (*own, *without)}
        signature = inspect.Signature(
            [*(p for p in own.values() if p.name != "shared"), *passed_on.values()],
            return_annotation=jax.Array,
        )

        def composed(*arrays, **settings):
            try:
                bound = signature.bind(*arrays, **settings)
            except TypeError as error:
                raise TypeError(f"{function.__name__}: {error}") from None
            check_settings(signature.parameters, settings)
            bound.apply_defaults()
            shared = {name: bound.arguments.pop(name) for name in passed_on}
            extra = {"shared": shared} if "shared" in own else {}
            return loss(**{**shared, **function(*bound.args, **bound.kwargs, **extra)})

        functools.update_wrapper(composed, function)
        del composed.__wrapped__  # inspect would show the function's signature
        composed.__signature__ = signature
        composed.__doc__ = (
            f"{inspect.cleandoc(function.__doc__ or '')}\n\n{_entries(loss, passed_on)}\n"
        )
        return composed

    return decorate


def _entries(loss, names):
    """What a lifted loss says about these of its shared keywords, and about its result."""
    _, heading, rest = (loss.__doc__ or "").partition("What every loss over ")
    over, _, entries = rest.partition(":\n")
    entries, _, result = entries.partition("\nReturns:")
    each = re.findall(r"^  (\w+)[:,].*\n(?:    .*\n)*", entries + "\n", re.MULTILINE)
    texts = re.findall(r"^  \w+[:,].*\n(?:    .*\n)*", entries + "\n", re.MULTILINE)
    kept = "".join(text for name, text in zip(each, texts, strict=True) if name in names)
    return textwrap.dedent(f"{heading}{over}:\n{kept}\nReturns:{result}").strip()
