"""What rows add up to: means with intervals over seeds, and tables of them.

A row is a dict: integers and strings are keys, floats and arrays [..., examples] are figures.
"""

import dataclasses

import numpy as np
from rich.table import Table

from jaxsim import evaluation


@dataclasses.dataclass(frozen=True)
class Grid:
    """One table: a figure at some keys, arms downwards and the last key across."""

    title: str
    corner: str
    across: tuple[str, ...]
    lines: dict[str, tuple[str, ...]]  # arm: its cells


def summary(rows):
    """Each arm's figures at each key, over the seeds: mean and 95 % interval."""
    groups = {}
    for row in rows:
        key = ("arm", row["arm"]), *((n, v) for n, v in keys(row).items() if n != "seed")
        groups.setdefault(key, []).append(row)
    found = []
    for key, members in groups.items():
        one = dict(key)
        for name in figures(members[0]):
            samples = np.concatenate([np.atleast_2d(m[name]) for m in members])
            one[name] = float(samples.mean())
            if samples.size > 1:
                one[f"{name} interval"] = list(interval(samples))
        found.append(one)
    return found


def interval(samples):
    """The 95 % interval of the mean of samples [seeds or draws, examples].

    One number per seed: Student's t over the seeds, for a bootstrap of three numbers is too sure of
    itself. Figures per example: the bootstrap over examples and over what stands before them.
    """
    if samples.shape[-1] > 1:
        axes = tuple(axis for axis, size in enumerate(samples.shape) if size > 1)
        return tuple(float(end) for end in evaluation.interval(samples, axes=axes))
    from scipy import stats

    error = samples.std(ddof=1) / np.sqrt(samples.size)
    reach = float(stats.t.ppf(0.975, samples.size - 1) * error)
    return float(samples.mean() - reach), float(samples.mean() + reach)


def grids(rows):
    """The tables of a summary: one per figure and value of the keys but the last, which runs across."""
    for name in [n for n, v in rows[0].items() if isinstance(v, float)]:
        names = [n for n in keys(rows[0]) if any(n in row for row in rows)]
        groups = {}
        for row in rows:
            groups.setdefault(tuple((n, row.get(n)) for n in names[:-1]), []).append(row)
        for key, members in groups.items():
            last = names[-1] if names else None
            across = sorted({m[last] for m in members}) if last else [None]
            cells = {(m["arm"], m.get(last)): _cell(m, name) for m in members}
            yield Grid(
                ", ".join([name, *(f"{n} = {v}" for n, v in key)]),
                f"arm \\ {last}" if last else "arm",
                tuple("" if value is None else str(value) for value in across),
                {
                    arm: tuple(cells.get((arm, value), "") for value in across)
                    for arm in dict.fromkeys(m["arm"] for m in members)
                },
            )


def tables(rows):
    """The same as rich tables."""
    for grid in grids(rows):
        table = Table(title=grid.title, title_justify="left")
        table.add_column(grid.corner, no_wrap=True)
        for value in grid.across:
            table.add_column(value, justify="right")
        for arm, cells in grid.lines.items():
            table.add_row(arm, *cells)
        yield table


def keys(row):
    """A row's keys: what is neither the arm nor a figure."""
    return {n: v for n, v in row.items() if n != "arm" and isinstance(v, (int, str))}


def figures(row):
    """The names of a row's figures."""
    return [n for n in row if n != "arm" and n not in keys(row)]


def _cell(row, name):
    ends = row.get(f"{name} interval")
    spread = f" ±{(ends[1] - ends[0]) / 2:.3f}" if ends else ""
    return f"{row[name]:.3f}{spread}"
