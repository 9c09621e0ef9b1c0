"""The pictures that several experiments draw; readable in a README, in print and without color.

An arm has one color in all panels and pictures of a run. Panels share their axes, 95 % intervals are
named where they are drawn, and what is missing or not finite is said.
"""

import numpy as np

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333")
MARKERS = "osD^vPX"
LINES = ("-", "--", ":")


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
    styles = styles_of(rows)
    size = 3.1 * len(panels), 3.0 + 0.2 * -(-len(styles) // 4)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    at = sorted({row[x] for row in rows})
    for value, ax in zip(panels, axes, strict=True):
        for arm, style in styles.items():
            own = [row for row in rows if (row["arm"], row[panel]) == (arm, value)]
            line(ax, own, x=x, y=y, label=arm, **style)
        if ceiling is not None:
            limit = [ceiling(point, value) for point in at]
            if min(limit) < 1:
                ax.plot(at, limit, "k:", linewidth=1, label="largest possible")
        if log:
            logarithmic(ax, at)
        ax.tick_params(axis="x", labelrotation=45)
        ax.set_title(f"{panel} = {value}", fontsize=10)
        ax.set_xlabel(x)
        ax.grid(alpha=0.3)
    drawn = [edge for row in rows if row.get(y) is not None for edge in (row[y], *ends(row, y))]
    if drawn and min(drawn) >= 0 and max(drawn) <= 1:
        axes[0].set_ylim(0, 1.02)
    axes[0].set_ylabel(said(y, rows, "shaded"))
    handles = {}
    for ax in axes:
        found = ax.get_legend_handles_labels()
        handles.update(zip(found[1], found[0], strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def bars(rows, *, y, panel, title=None):
    """A figure as a bar per arm with its number and interval, a panel per value of a key.

    Every panel has a line for every arm: "no value" where it has no row, "not finite" where the figure
    is NaN or infinite.

    Args:
      rows: dicts as `runner.summary` gives them: arm, keys, figures and their intervals.
      y: the name of a figure.
      panel: the name of a key.
      title: above the panels.

    Returns: a matplotlib figure.
    Raises: ValueError where a panel has two rows of an arm.
    """
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(row[panel] for row in rows))
    styles = styles_of(rows)
    figure = Figure(
        figsize=(1.2 + 3.2 * len(panels), 1.2 + 0.32 * len(styles)), layout="constrained"
    )
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    known = [row for row in rows if row.get(y) is not None]
    edges = [0.0, *(edge for row in known for edge in (row[y], *ends(row, y)))]
    room = 0.16 * (max(edges) - min(edges) or 1)  # for the numbers
    for value, ax in zip(panels, axes, strict=True):
        own = {}
        for row in rows:
            if row[panel] == value:
                if row["arm"] in own:
                    raise ValueError(f"bars: {row['arm']!r} has two rows at {panel} = {value!r}")
                own[row["arm"]] = row
        for place, (arm, style) in enumerate(styles.items()):
            row = own.get(arm, {})
            if row.get(y) is None:
                text = "no value" if y not in row else "not finite"
                ax.text(
                    room / 8, place, text, va="center", fontsize=8, color="0.45", style="italic"
                )
                continue
            low, high = ends(row, y)
            reach = np.abs([[low - row[y]], [high - row[y]]])
            ax.barh(place, row[y], xerr=reach, color=style["color"], height=0.7)
            ax.text(max(high, 0) + room / 8, place, f"{row[y]:.3f}", va="center", fontsize=8)
        ax.set_title(f"{panel}: {value}", fontsize=10)
        ax.set_xlabel(said(y, own.values(), "whiskers"))
        ax.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(styles)), styles)
    axes[0].invert_yaxis()
    axes[0].set_xlim(min(edges), max(edges) + room)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def sweeps(rows, *, x, figures, without=None):
    """Several figures against one key, a panel for each figure, a line per arm.

    Args:
      rows: dicts as `runner.summary` gives them: arm, keys, figures and their intervals.
      x: the name of a key, whose values are numbers or read like numbers; its axis is logarithmic and
        shared.
      figures: names of figures, each with a separate axis.
      without: the value of x in rows of arms that have none: a level line.

    Returns: a matplotlib figure.
    """
    from matplotlib.figure import Figure

    across = min(3, len(figures))
    down = -(-len(figures) // across)
    figure = Figure(figsize=(3.3 * across, 2.5 * down + 0.6), layout="constrained")
    axes = figure.subplots(down, across, sharex=True, squeeze=False)
    for ax, name in zip(axes.ravel(), figures, strict=False):
        for arm, style in styles_of(rows).items():
            own = [row for row in rows if row["arm"] == arm]
            if own[0][x] == without:
                if own[0].get(name) is not None:
                    level = {**style, "marker": "", "linestyle": "-."}
                    ax.axhline(own[0][name], linewidth=1.5, label=arm, **level)
                    ax.axhspan(*ends(own[0], name), color=style["color"], alpha=0.08, linewidth=0)
                continue
            line(ax, [{**row, x: float(row[x])} for row in own], x=x, y=name, label=arm, **style)
        logarithmic(ax, sorted({float(row[x]) for row in rows if row[x] != without}))
        ax.set_title(name, fontsize=10)
        ax.grid(alpha=0.3)
    for ax in axes.ravel()[len(figures) :]:
        ax.set_visible(False)
    shaded = any(f"{name} interval" in row for row in rows for name in figures)
    for ax in axes[-1]:
        ax.set_xlabel(f"{x} (shaded: 95 % interval)" if shaded else x)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=7)
    return figure


def recolored(figure, rows):
    """A picture whose lines are labeled with arms, in the colors that the arms have in the others."""
    styles = styles_of(rows)
    for ax in figure.axes:
        for one in ax.lines:
            if one.get_label() in styles:
                one.set(**styles[one.get_label()])
    for legend in figure.legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            if text.get_text() in styles:
                handle.set(**styles[text.get_text()])
    return figure


def styles_of(rows):
    """{arm: color, marker and line}, by the order of the arms; 21 arms differ."""
    count = len(COLORS)
    arms = dict.fromkeys(row["arm"] for row in rows)
    return {
        arm: {
            "color": COLORS[number % count],
            "marker": MARKERS[(number + number // count) % count],
            "linestyle": LINES[number // count % len(LINES)],
        }
        for number, arm in enumerate(arms)
    }


def line(ax, rows, *, x, y, **style):
    """An arm's line with its intervals; a gap where a figure is not finite."""
    own = sorted((row for row in rows if y in row), key=lambda row: row[x])
    if not own:
        return
    at = [row[x] for row in own]
    middle = [np.nan if row[y] is None else row[y] for row in own]
    ax.plot(at, middle, markersize=4, linewidth=1.5, **style)
    low, high = np.array([ends(row, y) for row in own]).T
    ax.fill_between(at, low, high, color=style["color"], alpha=0.12, linewidth=0)
    if len(at) == 1:  # an area without width is not seen
        ax.plot(at * 2, [*low, *high], color=style["color"], alpha=0.3, linewidth=5)


def logarithmic(ax, at):
    """A logarithmic x axis whose ticks are the points."""
    ax.set_xscale("log")
    ax.set_xticks(at, [f"{point:g}" for point in at])
    ax.minorticks_off()


def ends(row, y):
    """The ends of a figure's interval; the figure itself where it has none, NaN where it is not finite."""
    value = np.nan if row[y] is None else row[y]
    return row.get(f"{y} interval", [value] * 2)


def said(y, rows, how):
    """The label of a figure's axis, which names the intervals where there are any."""
    drawn = any(f"{y} interval" in row for row in rows)
    return f"{y} ({how}: 95 % interval)" if drawn else y
