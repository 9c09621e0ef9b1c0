"""What options of `train` are read as: a file of --pairs, a setting of --set, a field of --card."""

import argparse
import ast
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxsim.commands.options import arguments
from jaxsim.commands.options.groups import CROSS, GRADED, GROUP_OF

FIELDS = ("base_model", "datasets", "language", "license", "tags")  # what --card may give


@dataclasses.dataclass
class Source:
    """A file of --pairs, with its loss; what is read is added to it."""

    path: str
    loss: str = ""  # "" until the rows decide it
    weight: float | None = None  # of the loss among those of several files; None is 1
    name: str = ""  # by which its figures are shown
    validation: str | None = None
    batch_size: int = 0  # 0 until the rows decide it
    pairs: Any = None  # Pairs or Labeled, to train on
    held: Any = None  # likewise, to validate on
    rows: Sequence[int] = ()  # of the file, that are trained on
    domain: str | int | None = None  # in the column of --experts, that its rows have
    columns: Any = ()  # that the file has

    @property
    def kind(self) -> str:
        """What its loss takes."""
        return GROUP_OF[self.loss or "info_nce"]

    @property
    def cross(self) -> bool:
        """Whether a cross-encoder learns by its loss."""
        return self.kind in CROSS

    @property
    def graded(self) -> bool:
        """Whether its rows have scores."""
        return self.kind == GRADED


def source(text: str) -> Source:
    """The type of --pairs: FILE, FILE:LOSS, FILE:WEIGHT or FILE:LOSS:WEIGHT; a file of that name comes first."""
    arguments.path(text)
    if Path(text).exists():
        return Source(text)
    *parts, last = text.split(":")
    weight, loss = None, ""
    if parts and _is_number(last):
        weight = arguments.number(above=0)(last)
        *parts, last = parts
    if parts and (last in GROUP_OF or not last):
        loss = last
        *parts, last = parts
    elif parts and last.isidentifier() and Path(":".join(parts)).exists():
        raise argparse.ArgumentTypeError(f"has no loss {last!r}, got {text!r}: --losses lists them")
    return Source(":".join([*parts, last]), loss, weight)


class Setting(NamedTuple):
    """One of --set."""

    typed: str
    loss: str | None  # None is every loss that has it
    name: str
    value: Any


def setting(text: str) -> Setting:
    """The type of --set: NAME=VALUE, or LOSS.NAME=VALUE where several losses have the name."""
    name, sign, value = text.partition("=")
    loss, _, name = name.strip().rpartition(".")
    if not sign or not name.isidentifier() or (loss and loss not in GROUP_OF):
        raise argparse.ArgumentTypeError(
            f"must be NAME=VALUE or LOSS.NAME=VALUE, such as margin=0.1, got {text!r:.60}"
        )
    try:
        read = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        words = {"true": True, "false": False, "none": None, "null": None}
        read = words.get(value.strip().lower(), value.strip())
    return Setting(text, loss or None, name, read)


def field(text: str) -> tuple[str, str]:
    """The type of --card: NAME=VALUE, such as license=mit."""
    name, sign, value = text.partition("=")
    if not sign or name not in FIELDS or not value.strip():
        raise argparse.ArgumentTypeError(
            f"must be NAME=VALUE with a name of {', '.join(FIELDS)}, got {text!r:.60}"
        )
    return name, value.strip()


def _is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
