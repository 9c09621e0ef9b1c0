"""What rows add up to: means with intervals over seeds, and tables of them.

A row is a dict: integers and strings are keys, floats and arrays [..., examples] are figures. In a
summary a figure without a finite mean is None.
"""

import dataclasses

import numpy as np
from rich.table import Table
from rich.text import Text

from jaxsim import evaluation


@dataclasses.dataclass(frozen=True)
class Grid:
    """One table: a figure at some keys, arms downwards and the last key across."""

    title: str
    corner: str
    across: tuple[str, ...]
    lines: dict[str, tuple[str, ...]]  # arm: its cells


def summary(rows):
    """Each arm's figures at each key, over the seeds: mean and 95 % interval.

    Raises: ValueError naming the row and the figure where seeds do not fit together.
    """
    groups = {}
    for row in rows:
        key = ("arm", row["arm"]), *((n, v) for n, v in keys(row).items() if n != "seed")
        groups.setdefault(key, []).append(row)
    found = []
    for key, members in groups.items():
        one = dict(key)
        for name in figures(members[0]):
            samples = np.concatenate(
                [np.atleast_2d(figure(row, name, like=members[0])) for row in members]
            )
            if not np.isfinite(samples).all():
                one[name] = None
                continue
            one[name] = float(samples.mean())
            if samples.size > 1:
                one[f"{name} interval"] = list(interval(samples))
        found.append(one)
    return found


def figure(row, name, *, like):
    """A row's figure, which must be of the shape that another row's is.

    Raises: ValueError naming both rows and the figure.
    """
    if name not in row:
        raise ValueError(f"the row of {named(row)} lacks the figure {name!r}")
    shapes = [np.shape(one[name]) for one in (row, like)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{name!r} must have one shape, got {shapes[1]} in the row of {named(like)} and "
            f"{shapes[0]} in the row of {named(row)}"
        )
    return row[name]


def named(row):
    """A row's arm, seed and keys, for errors."""
    more = "".join(f", {n} = {v}" for n, v in keys(row).items())
    return f"arm {row['arm']!r}{more}"


def interval(samples):
    """The 95 % interval of the mean of samples [seeds or draws, examples].

    One number per seed: Student's t over the seeds, for a bootstrap of three numbers is too sure of
    itself. Figures per example: the bootstrap over examples and over what comes before them.
    """
    if samples.shape[-1] > 1:
        axes = tuple(axis for axis, size in enumerate(samples.shape) if size > 1)
        return tuple(float(end) for end in evaluation.interval(samples, axes=axes))
    from scipy import stats

    error = samples.std(ddof=1) / np.sqrt(samples.size)
    reach = float(stats.t.ppf(0.975, samples.size - 1) * error)
    return float(samples.mean() - reach), float(samples.mean() + reach)


def best(options, score):
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


def grids(rows):
    """The tables of a summary: one per figure and value of the keys but the last, which runs across."""
    names = list(dict.fromkeys(n for row in rows for n in keys(row)))
    for name in dict.fromkeys(n for row in rows for n in figures(row)):
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
            yield Grid(
                ", ".join([name, *(f"{n} = {v}" for n, v in key)]),
                f"arm \\ {last}" if last else "arm",
                tuple("" if value is None else str(value) for value in across),
                lines,
            )


def tables(rows):
    """The same as rich tables."""
    for grid in grids(rows):
        table = Table(title=Text(grid.title), title_justify="left")
        table.add_column(Text(grid.corner), no_wrap=True)
        for value in grid.across:
            table.add_column(Text(value), justify="right")
        for arm, cells in grid.lines.items():
            table.add_row(Text(arm), *cells)
        yield table


def keys(row):
    """A row's keys: what is neither the arm nor a figure."""
    return {n: v for n, v in row.items() if n != "arm" and isinstance(v, (int, str))}


def figures(row):
    """The names of a row's figures."""
    known = keys(row)
    return [n for n in row if n != "arm" and n not in known and not n.endswith(" interval")]


def _order(value):
    """Numbers by their size, then strings, then what has no such key."""
    kind = (int, str).index(type(value)) if type(value) in (int, str) else 2
    return kind, value if kind < 2 else 0


def _cell(row, name):
    if row[name] is None:
        return "not finite"
    ends = row.get(f"{name} interval")
    spread = f" ±{(ends[1] - ends[0]) / 2:.3f}" if ends else ""
    return f"{row[name]:.3f}{spread}"
