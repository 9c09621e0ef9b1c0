"""The pictures that several experiments draw; readable in a README, in print and without colour."""

import numpy as np

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333")
MARKERS = "osD^vPX"


def curves(rows, *, x, y, panel, ceiling=None, log=True, title=None):
    """A figure against a key, a line per arm, a panel per value of another key.

    Args:
      rows: dicts as `runner.summary` gives them: arm, keys, figures and their intervals.
      x, panel: names of keys.
      y: the name of a figure.
      ceiling: function (x, panel value) -> the largest possible figure, drawn where it is below 1.
      log: logarithmic x.
      title: above the panels.

    Returns: a matplotlib figure.
    """
    from matplotlib.figure import Figure  # no pyplot: no backend, no global state

    panels = sorted({row[panel] for row in rows})
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    figure = Figure(figsize=(3.1 * len(panels), 3.6), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for value, ax in zip(panels, axes, strict=True):
        for number, arm in enumerate(arms):
            own = sorted(
                (r for r in rows if (r["arm"], r[panel]) == (arm, value)), key=lambda r: r[x]
            )
            at = [r[x] for r in own]
            style = {
                "color": COLOURS[number % len(COLOURS)],
                "marker": MARKERS[number % len(MARKERS)],
            }
            ax.plot(at, [r[y] for r in own], label=arm, markersize=4, linewidth=1.5, **style)
            ends = np.array([r.get(f"{y} interval", [r[y]] * 2) for r in own])
            ax.fill_between(at, *ends.T, color=style["color"], alpha=0.12, linewidth=0)
        if ceiling is not None:
            at = sorted({r[x] for r in rows})
            limit = [ceiling(point, value) for point in at]
            if min(limit) < 1:
                ax.plot(at, limit, "k:", linewidth=1, label="largest possible")
        if log:
            ax.set_xscale("log")
            ax.set_xticks(at, [str(point) for point in at])
            ax.minorticks_off()
        ax.tick_params(axis="x", labelrotation=45)
        ax.set_title(f"{panel} = {value}", fontsize=10)
        ax.set_xlabel(x)
        ax.grid(alpha=0.3)
        ax.set_ylim(0, 1.02)
    axes[0].set_ylabel(y)
    handles = {}
    for ax in axes:
        found = ax.get_legend_handles_labels()
        handles.update(zip(found[1], found[0], strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def bars(rows, *, y, panel, title=None):
    """A figure as a bar per arm with its interval, a panel per value of a key.

    Args:
      rows: dicts as `runner.summary` gives them: arm, keys, figures and their intervals.
      y: the name of a figure.
      panel: the name of a key.
      title: above the panels.

    Returns: a matplotlib figure.
    """
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(row[panel] for row in rows))
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    most = max(sum(row[panel] == value for row in rows) for value in panels)
    figure = Figure(figsize=(3.4 * len(panels), 1.2 + 0.32 * most), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for value, ax in zip(panels, axes, strict=True):
        own = [row for row in rows if row[panel] == value]
        heights = np.array([row[y] for row in own])
        ends = np.array([row.get(f"{y} interval", [row[y]] * 2) for row in own])
        colours = [COLOURS[arms.index(row["arm"]) % len(COLOURS)] for row in own]
        reach = np.abs(ends - heights[:, None]).T
        ax.barh([row["arm"] for row in own], heights, xerr=reach, color=colours, height=0.7)
        ax.invert_yaxis()
        ax.set_title(f"{panel}: {value}", fontsize=10)
        ax.set_xlabel(y)
        ax.set_xlim(0, None)
        ax.grid(axis="x", alpha=0.3)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def sweeps(rows, *, x, figures, without=None):
    """Several figures against one key, a panel for each figure, a line per arm.

    Args:
      rows: dicts as `runner.summary` gives them: arm, keys, figures and their intervals.
      x: the name of a key, whose values are numbers or read like numbers; its axis is logarithmic.
      figures: names of figures.
      without: the value of x in rows of arms that have none: a level line.

    Returns: a matplotlib figure.
    """
    from matplotlib.figure import Figure

    across = min(3, len(figures))
    down = -(-len(figures) // across)
    figure = Figure(figsize=(3.3 * across, 2.5 * down + 0.4), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False)
    for ax, name in zip(axes.ravel(), figures, strict=False):
        for number, arm in enumerate(dict.fromkeys(row["arm"] for row in rows)):
            own = [row for row in rows if row["arm"] == arm]
            style = {"color": COLOURS[number % len(COLOURS)], "linewidth": 1.5, "label": arm}
            if own[0][x] == without:
                ax.axhline(own[0][name], linestyle="--", **style)
                continue
            own.sort(key=lambda row: float(row[x]))
            at, marker = [float(row[x]) for row in own], MARKERS[number % len(MARKERS)]
            ax.plot(at, [row[name] for row in own], marker=marker, markersize=4, **style)
            ends = np.array([row.get(f"{name} interval", [row[name]] * 2) for row in own])
            ax.fill_between(at, *ends.T, color=style["color"], alpha=0.12, linewidth=0)
        ax.set_xscale("log")
        ax.set_title(name, fontsize=10)
        ax.grid(alpha=0.3)
    for ax in axes[-1]:
        ax.set_xlabel(x)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=7)
    return figure
