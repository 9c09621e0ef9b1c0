"""What a row may hold: keys, and figures of several kinds.

A figure is a number, an array [..., examples], a `Grouped` or a `Resampled`. Figures of one layout can be
subtracted: the same examples, groups or repeats.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Row = Mapping[str, Any]


class Key(float):
    """A number with a fraction that is a key of a row, not a figure: named in the module's KEYS."""


@dataclasses.dataclass(frozen=True, eq=False)
class Resampled:
    """A statistic that is not a mean of examples (AUC, Spearman, ARI) with its bootstrap repeats.

    Repeat r must be of the same draw of examples in all arms (one seed for the draws), so that the
    difference of two arms has repeats too.

    Args:
      value: of all examples, a number.
      repeats: of resampled examples, float [repeats], 2 at least.

    Raises: ValueError naming the argument.
    """

    value: Any  # a float once it is made
    repeats: Any  # an array once it is made

    def __post_init__(self) -> None:
        value, repeats = np.asarray(self.value), np.asarray(self.repeats)
        if value.ndim or value.dtype.kind not in "fiub":
            raise ValueError(f"value must be a number, got {self.value!r:.60}")
        if repeats.ndim != 1 or len(repeats) < 2 or repeats.dtype.kind not in "fiub":
            raise ValueError(
                f"repeats must be numbers [repeats], two at least, got {repeats.dtype} of shape "
                f"{repeats.shape}"
            )
        object.__setattr__(self, "value", float(value))
        object.__setattr__(self, "repeats", repeats.astype(float))


@dataclasses.dataclass(frozen=True, eq=False)
class Grouped:
    """Figures per example whose examples belong to groups (images, users): groups are resampled.

    Args:
      values: float [..., examples].
      groups: the name or number of each example's group [examples].

    Raises: ValueError naming the argument.
    """

    values: Any  # arrays once it is made
    groups: Any

    def __post_init__(self) -> None:
        values, groups = np.asarray(self.values), np.asarray(self.groups)
        if values.ndim == 0 or values.size == 0 or values.dtype.kind not in "fiub":
            raise ValueError(
                f"values must be numbers [..., examples], got {values.dtype} of shape {values.shape}"
            )
        if groups.shape != values.shape[-1:] or groups.dtype.kind not in "iuU":
            raise ValueError(
                f"groups must be strings or integers, one for each of {values.shape[-1]} examples, got "
                f"{groups.dtype} of shape {groups.shape}"
            )
        object.__setattr__(self, "values", values.astype(float))
        object.__setattr__(self, "groups", groups)


def keys(row: Row) -> dict[str, Any]:
    """A row's keys: what is neither the arm nor a figure."""
    return {n: v for n, v in row.items() if n != "arm" and isinstance(v, (int, str, Key))}


def figures(row: Row) -> list[str]:
    """The names of a row's figures."""
    known = keys(row)
    return [n for n in row if n != "arm" and n not in known and not n.endswith(" interval")]


def named(row: Row) -> str:
    """A row's arm, seed and keys, for errors."""
    more = "".join(f", {n} = {v}" for n, v in keys(row).items())
    return f"arm {row['arm']!r}{more}"


def values(figure: Any) -> np.ndarray:
    """The numbers of a figure [..., examples]; of a `Resampled` its value and its repeats."""
    if isinstance(figure, Resampled):
        return np.append(figure.repeats, figure.value)
    return np.atleast_1d(figure.values if isinstance(figure, Grouped) else figure)


def middle(figure: Any) -> float:
    """A figure as one number: the mean of its examples, or the statistic."""
    return figure.value if isinstance(figure, Resampled) else float(values(figure).mean())


def layout(figure: Any) -> tuple:
    """What two figures must have in common to be subtracted example by example."""
    if isinstance(figure, Resampled):
        return "repeats", figure.repeats.shape
    if isinstance(figure, Grouped):
        return "groups", figure.values.shape, tuple(np.asarray(figure.groups).tolist())
    return "examples", np.shape(figure)


def weighted_sum(terms: Iterable[tuple[float, Any]]) -> Any:
    """The sum of (weight, figure) over figures of one layout, a figure of that layout."""
    terms = list(terms)
    first = terms[0][1]
    numbers: Any = sum(weight * values(figure) for weight, figure in terms)
    if isinstance(first, Resampled):
        return Resampled(numbers[-1], numbers[:-1])
    return Grouped(numbers, first.groups) if isinstance(first, Grouped) else numbers


def check_kind(name: str, row: Row, other: Row) -> None:
    """Refuses two rows of other seeds whose figures cannot be averaged; other examples can.

    Raises: ValueError naming the figure and both rows.
    """
    _check_both(name, row, other)
    if _kind(row[name]) != _kind(other[name]):
        raise _of_other_shape(name, row, other)


def check_layout(name: str, row: Row, other: Row) -> None:
    """Refuses two rows whose figures cannot be subtracted.

    Raises: ValueError naming the figure and both rows.
    """
    _check_both(name, row, other)
    here, there = layout(row[name]), layout(other[name])
    if here[:2] != there[:2]:
        raise _of_other_shape(name, row, other)
    if here != there:
        raise ValueError(
            f"{name!r} must have the same groups in the row of {named(row)} and in the row of "
            f"{named(other)}"
        )


def _kind(figure: Any) -> tuple:
    """What the figures of several seeds have in common: all but the examples."""
    kind, shape = layout(figure)[:2]
    return (kind, shape) if kind == "repeats" else (kind, shape[:-1], bool(shape))


def _check_both(name: str, row: Row, other: Row) -> None:
    for one, there in ((row, other), (other, row)):
        if name not in one:
            raise ValueError(
                f"the row of {named(one)} lacks the figure {name!r}, which the row of {named(there)} has"
            )


def _of_other_shape(name: str, row: Row, other: Row) -> ValueError:
    return ValueError(
        f"{name!r} must have one shape, got {_shown(row[name])} in the row of {named(row)} and "
        f"{_shown(other[name])} in the row of {named(other)}"
    )


def _shown(figure: Any) -> str:
    kind, shape = layout(figure)[:2]
    if kind == "repeats":
        return f"{shape[0]} repeats"
    return f"{shape} in groups" if kind == "groups" else f"{shape}"
