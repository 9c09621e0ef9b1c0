"""Pictures that a few papers draw, in the colors of `experiments.pictures`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments import pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def points(
    rows: Sequence[pictures.Row],
    *,
    x: str,
    y: str,
    x_label: str,
    y_label: str,
    title: str,
    log: bool = False,
) -> "Figure":
    """Two figures against each other, a point for each arm.

    Args:
      rows: dicts as `runner.summary` gives them, one for each arm.
      x, y: the names of figures.
      x_label, y_label: of the axes.
      title: above them.
      log: whether the axis of x is logarithmic.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    for arm, style in pictures.styles_of(rows).items():
        (row,) = (row for row in rows if row["arm"] == arm)
        look = {"color": style["color"], "marker": style["marker"], "linestyle": ""}
        ax.plot([row[x]], [row[y]], label=arm, markersize=8, **look)
    if log:
        ax.set_xscale("log")
    ax.set(xlabel=x_label, ylabel=y_label, title=title)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
