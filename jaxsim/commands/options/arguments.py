"""Command-line options: one parser, whose values are checked as they are read.

parser = Parser("train", __doc__)
parser.add("--rate", type=number(above=0), default=2e-5, help="highest learning rate (2e-5)")
options = parser.parse_args(["--rate", "-1"])     # ValueError: --rate must be a number above 0, got '-1'
"""

import argparse
import math
import re
from collections.abc import Callable
from typing import NoReturn

LARGEST = 2**31 - 1


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help in which an option that takes one of some names shows them: --to stablehlo|onnx."""

    def _get_default_metavar_for_optional(self, action):
        names = getattr(action.type, "names", None)
        return "|".join(names) if names else super()._get_default_metavar_for_optional(action)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ValueError where argparse prints its usage and exits."""

    def __init__(self, command: str, description: str | None) -> None:
        super().__init__(
            prog=f"python -m jaxsim {command}",
            description=description,
            formatter_class=_Help,
        )

    def error(self, message: str) -> NoReturn:
        """Raises ValueError; "argument --rate: must be ..." reads "--rate must be ..."."""
        raise ValueError(re.sub(r"^argument (\S+): ", r"\1 ", message))


def whole(least: int = 1, most: int = LARGEST) -> Callable[[str], int]:
    """The type of a whole number from `least` to `most`."""
    wanted = f"a whole number of at least {least}"
    if most != LARGEST:
        wanted = f"a whole number from {least} to {most}"

    def read(text):
        # int() alone takes "1_000" and " 7", and not thousands of digits.
        value = int(text) if re.fullmatch(r"[+-]?[0-9]{1,4000}", text) else None
        if value is None or not least <= value <= most:
            far = value is not None and value > most == LARGEST
            raise _refused(f"{wanted} and at most {most}" if far else wanted, text)
        return value

    return read


def number(
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> Callable[[str], float]:
    """The type of a finite number within bounds: `least` and `most` may be reached, the others not."""
    bounds = [f"above {above}"] * (above > -math.inf) + [f"of at least {least}"] * (
        least > -math.inf
    )
    bounds += [f"below {below}"] * (below < math.inf) + [f"at most {most}"] * (most < math.inf)
    wanted = " ".join(["a number", " and ".join(bounds)]).strip()

    def read(text):
        try:
            value = float(text)
        except ValueError:
            raise _refused(wanted, text) from None
        inside = least <= value <= most and above < value < below
        if not inside or not math.isfinite(value):
            raise _refused(wanted, text)
        return value

    return read


def one_of(*names: str) -> Callable[[str], str]:
    """The type of one of some names."""

    def read(text):
        if text not in names:
            raise _refused(" or ".join(names), text)
        return text

    read.names = names  # for the help
    return read


def path(text: str) -> str:
    """The type of a path: any name but an empty one."""
    if not text.strip() or "\0" in text:
        raise _refused("the name of a file or folder", text)
    if "://" in text:
        raise _refused("a local path", text)
    return text


def words(text: str) -> str:
    """The type of a text for a model: not empty, and without bytes that are not text."""
    if not text.strip():
        raise _refused("a text", text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refused("UTF-8 text", text) from None
    return text


def refuse_without(options: argparse.Namespace, needed: str, **dependent: str) -> None:
    """Refuses options that have no effect, because the one that they belong to is not given.

    refuse_without(options, "reranker", budget="--budget")

    Args:
      options: the parsed options; None is what is not given.
      needed: the name of the field that must be given.
      dependent: {field: how it is typed}.

    Raises: ValueError naming both.
    """
    if getattr(options, needed) is None:
        for field, typed in dependent.items():
            if getattr(options, field) is not None:
                raise ValueError(f"{typed} has no effect without --{needed.replace('_', '-')}")


def refuse_both(options: argparse.Namespace, first: str, second: str, why: str = "") -> None:
    """Refuses two options of which only one can count.

    Args:
      options: the parsed options; None is what is not given.
      first, second: names of fields.
      why: what to do, in a few words.

    Raises: ValueError naming both.
    """
    if getattr(options, first) is not None and getattr(options, second) is not None:
        names = [f"--{name.replace('_', '-')}" for name in (first, second)]
        raise ValueError(
            f"{names[0]} and {names[1]} must not both be given{f': {why}' if why else ''}"
        )


def _refused(wanted, text):
    return argparse.ArgumentTypeError(f"must be {wanted}, got {text!r:.60}")
