"""What rows add up to: means with intervals over seeds, and tables of them.

A row is a dict of keys and figures, see experiments/frame/figures.py. In a summary a figure without a
finite mean is None.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from rich.table import Table
from rich.text import Text

from experiments.frame.figures import (
    Key,
    Row,
    check_kind,
    figures as figures,
    keys as keys,
    named as named,
    values,
)
from experiments.frame.resampling import interval as interval, spread

Option = TypeVar("Option")


@dataclasses.dataclass(frozen=True)
class Grid:
    """One table: a figure at some keys, arms downwards and the last key across."""

    title: str
    corner: str
    across: tuple[str, ...]
    lines: dict[str, tuple[str, ...]]  # arm: its cells


def summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each arm's figures at each key, over the seeds: mean and 95 % interval.

    Figures per example: the mean of the seeds' means.

    Raises: ValueError naming the row and the figure where seeds do not fit together.
    """
    groups = {}
    for row in rows:
        key = ("arm", row["arm"]), *((n, v) for n, v in keys(row).items() if n != "seed")
        groups.setdefault(key, []).append(row)
    means = []
    for key, members in groups.items():
        one = dict(key)
        for name in dict.fromkeys(name for row in members for name in figures(row)):
            for row in members:
                check_kind(name, members[0], row)
            if not all(np.isfinite(values(row[name])).all() for row in members):
                one[name] = None
                continue
            one[name], ends = spread([{name: (1.0, row[name])} for row in members])
            if ends is not None:
                one[f"{name} interval"] = list(ends)
        means.append(one)
    return means


def best(options: Sequence[Option], score: Callable[[Option], Any]) -> Option:
    """The option with the highest score, the first of equal ones; NaN never wins.

    Args:
      options: not empty.
      score: option -> number.

    Raises: ValueError where all scores are NaN.
    """
    scores = [float(score(option)) for option in options]
    if np.isnan(scores).all():
        raise ValueError(f"all {len(scores)} settings scored NaN, {options[0]!r} among them")
    return options[int(np.nanargmax(scores))]


def grids(rows: Sequence[Row], shown: Sequence[str] = ()) -> Iterator[Grid]:
    """The tables of a summary: one per figure and value of the keys but the last, which runs across.

    Args:
      rows: as `summary` gives them.
      shown: names of the figures that get a table; none: all.
    """
    names = list(dict.fromkeys(n for row in rows for n in keys(row)))
    for name in dict.fromkeys(n for row in rows for n in figures(row)):
        if shown and name not in shown:
            continue
        groups = {}
        for row in rows:
            if name in row:
                key = tuple((n, row[n]) for n in names[:-1] if n in row)
                groups.setdefault(key, []).append(row)
        for key, members in groups.items():
            last = names[-1] if names else None
            across = sorted({m.get(last) for m in members}, key=_order)
            cells = {(m["arm"], m.get(last)): _cell(m, name) for m in members}
            arms = dict.fromkeys(m["arm"] for m in members)
            lines = {}
            for arm in arms:
                lines[arm] = tuple(cells.get((arm, value), "") for value in across)
            title = titled(dict(key), name)
            if across == [""]:  # an arm that has nothing at the last key
                yield Grid(title, "arm", (name,), lines)
                continue
            yield Grid(
                title,
                f"arm \\ {last}" if last else "arm",
                tuple("" if value is None else str(value) for value in across),
                lines,
            )


def titled(at: dict[str, Any], *first: str) -> str:
    """The title of a table at some keys; an empty string is a key that says nothing there, and is left out."""
    return ", ".join([*first, *(f"{name} = {value}" for name, value in at.items() if value != "")])


def tables(rows: Sequence[Row], shown: Sequence[str] = ()) -> Iterator[Table]:
    """The same as rich tables."""
    for grid in grids(rows, shown):
        table = Table(title=Text(grid.title), title_justify="left")
        table.add_column(Text(grid.corner), no_wrap=True)
        for value in grid.across:
            table.add_column(Text(value), justify="right")
        for arm, cells in grid.lines.items():
            table.add_row(Text(arm), *cells)
        yield table


def _order(value: Any) -> tuple[int, Any]:
    """Numbers and what reads like one by their size, then strings, then what has no such key."""
    if value is None:
        return 2, 0
    if isinstance(value, (int, Key)):
        return 0, value
    try:
        return 0, float(value)
    except ValueError:
        return 1, value


def _cell(row: Row, name: str) -> str:
    if row[name] is None:
        return "not finite"
    ends = row.get(f"{name} interval")
    spread = f" ±{(ends[1] - ends[0]) / 2:.3f}" if ends else ""
    return f"{row[name]:.3f}{spread}"
