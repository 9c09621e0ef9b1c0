"""The pictures that several experiments draw; readable in a README, in print and without color.

    curves          a figure against a key, such as recall against a budget
    bars, dots      a figure of every arm: bars from 0, or points where 0 says nothing
    sweeps          several figures against one key
    heat_maps       a figure against two keys, a panel per arm
    differences     what a claim compares, with the line that decides

An arm has one color in all panels and pictures of a run. Panels share their axes, 95 % intervals are
named where they are drawn, and what is missing or not finite is said. A picture is at most as wide as a
README shows it in full; more panels go below. `question`, the paper's claim, is its title.
"""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colors, which the color-blind can distinguish, without the yellow, which paper swallows.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333")
MARKERS = "osD^vPX"
LINES = ("-", "--", ":")
LEVELS = ("-.", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1, 1, 1)))  # of arms without a key
WIDTH = 8.5  # inches, the widest picture
LETTER = 0.078  # inches, the width of one on average, at 10 points
VERDICTS = {  # color, marker, face
    "held": ("#0072b2", "o", "#0072b2"),
    "not decided": ("#555555", "D", "white"),
    "not held": ("#d55e00", "s", "#d55e00"),
}
Row = Mapping[str, Any]


def curves(
    rows: Sequence[Row],
    *,
    x: str,
    y: str,
    panel: str,
    ceiling: Callable[[Any, Any], float] | None = None,
    log: bool = True,
    title: str | None = None,
    question: str | None = None,
    unit: str | None = None,
    x_unit: str | None = None,
) -> "Figure":
    """A figure against a key, a line per arm, a panel per value of another key.

    Args:
      rows: dicts as `runner.summary` gives them: arm, keys, figures and their intervals.
      x: the name of a key whose values are numbers or read like numbers.
      panel: the name of a key.
      y: the name of a figure.
      ceiling: function (x, panel value) -> the largest possible figure, drawn where it is below 1.
      log: logarithmic x.
      title: above the panels, below the question.
      question: the paper's claim, the picture's title.
      unit, x_unit: of the figure and of the key.

    Returns: a matplotlib figure.
    """
    panels = sorted({row[panel] for row in rows})
    styles = styles_of(rows)
    figure, axes, bottom = _grid(len(panels), height=2.5, legend=[*styles, "largest possible"])
    at = sorted({_number(row[x]) for row in rows})
    for value, ax in zip(panels, axes, strict=True):
        for arm, style in styles.items():
            own = [row for row in rows if (row["arm"], row[panel]) == (arm, value)]
            line(ax, [{**row, x: _number(row[x])} for row in own], x=x, y=y, label=arm, **style)
        if ceiling is not None:
            limit = [ceiling(point, value) for point in at]
            if min(limit) < 1:
                ax.plot(at, limit, "k:", linewidth=1, label="largest possible")
        if log:
            logarithmic(ax, at)
        ax.set_title(f"{panel} = {value}", fontsize=10)
        ax.grid(alpha=0.3)
    for ax in bottom:
        _label(ax, f"{x} ({x_unit})" if x_unit else x)
    drawn = [edge for row in rows if row.get(y) is not None for edge in (row[y], *ends(row, y))]
    if drawn and min(drawn) >= 0 and max(drawn) <= 1:
        axes[0].set_ylim(0, 1.02)
    for ax in axes[:: _across(len(axes))]:
        ax.set_ylabel(said(y, rows, "shaded", unit), fontsize=9)
    _legend(figure, axes)
    _head(figure, question, title)
    return figure


def bars(
    rows: Sequence[Row],
    *,
    y: str,
    panel: str,
    title: str | None = None,
    question: str | None = None,
    unit: str | None = None,
) -> "Figure":
    """A figure as a bar per arm with its number and interval, a panel per value of a key.

    Every panel has a line for every arm: "no value" where it has no row, "not finite" where the figure
    is NaN or infinite. Bars begin at 0; where the arms differ by little of that, draw `dots`.

    Args:
      rows: dicts as `runner.summary` gives them: arm, keys, figures and their intervals.
      y: the name of a figure.
      panel: the name of a key; its value "" has no title.
      title: above the panels, below the question.
      question: the paper's claim, the picture's title.
      unit: of the figure.

    Returns: a matplotlib figure.
    Raises: ValueError where a panel has two rows of an arm.
    """

    def draw(ax: "Axes", place: int, value: float, reach: np.ndarray, style: dict) -> None:
        ax.barh(place, value, xerr=reach, color=style["color"], height=0.7)

    return _by_arm(rows, y, panel, (title, question, unit), draw, base=[0.0], name="bars")


def dots(
    rows: Sequence[Row],
    *,
    y: str,
    panel: str,
    title: str | None = None,
    question: str | None = None,
    unit: str | None = None,
) -> "Figure":
    """As `bars`, with a point per arm, on an axis that need not have 0: for figures far from it."""

    def draw(ax: "Axes", place: int, value: float, reach: np.ndarray, style: dict) -> None:
        look = {"color": style["color"], "marker": style["marker"], "markersize": 6}
        ax.errorbar(value, place, xerr=reach, linewidth=1.8, **look)

    return _by_arm(rows, y, panel, (title, question, unit), draw, base=[], name="dots")


def sweeps(
    rows: Sequence[Row],
    *,
    x: str,
    figures: Sequence[str],
    without: Any = None,
    title: str | None = None,
    question: str | None = None,
    units: Mapping[str, str] | None = None,
) -> "Figure":
    """Several figures against one key, a panel for each figure, a line per arm.

    Args:
      rows: dicts as `runner.summary` gives them: arm, keys, figures and their intervals.
      x: the name of a key, whose values are numbers or read like numbers; its axis is logarithmic and
        shared.
      figures: names of figures, each with a separate axis.
      without: the value of x in rows of arms that have none: a level line.
      title: above the panels, below the question.
      question: the paper's claim, the picture's title.
      units: {figure: its unit}.

    Returns: a matplotlib figure.
    """
    styles = styles_of(rows)
    figure, axes, bottom = _grid(len(figures), height=2.2, legend=[*styles], sharey=False)
    level = [arm for arm in styles if _rows_of(rows, arm)[0][x] == without]
    for ax, name in zip(axes, figures, strict=True):
        for arm, style in styles.items():
            own = _rows_of(rows, arm)
            if arm not in level:
                own = [{**row, x: _number(row[x])} for row in own if row[x] != without]
                line(ax, own, x=x, y=name, label=arm, **style)
            elif own[0].get(name) is not None:
                dashes = LEVELS[level.index(arm) % len(LEVELS)]
                look = {**style, "marker": "", "linestyle": dashes, "linewidth": 1.5}
                ax.axhline(own[0][name], label=arm, **look)
                ax.axhspan(*ends(own[0], name), color=style["color"], alpha=0.08, linewidth=0)
        logarithmic(ax, sorted({_number(row[x]) for row in rows if row[x] != without}))
        unit = (units or {}).get(name)
        ax.set_title(f"{name} ({unit})" if unit else name, fontsize=10)
        ax.grid(alpha=0.3)
    shaded = any(f"{name} interval" in row for row in rows for name in figures)
    for ax in bottom:
        _label(ax, f"{x} (shaded: 95 % interval)" if shaded else x)
    _legend(figure, axes)
    _head(figure, question, title)
    return figure


def heat_maps(
    rows: Sequence[Row],
    *,
    x: str,
    y: str,
    of: str,
    title: str | None = None,
    question: str | None = None,
    unit: str | None = None,
) -> "Figure":
    """A figure against two keys as the shade of a cell with its number, a panel per arm, one scale for all.

    Args:
      rows: dicts as `runner.summary` gives them: arm, keys, figures.
      x, y: the names of keys, whose values are in order from the left and from below.
      of: the name of a figure. A cell is empty where there is no value.
      title: above the panels, below the question.
      question: the paper's claim, the picture's title.
      unit: of the figure.

    Returns: a matplotlib figure.
    Raises: ValueError where an arm has two rows of one cell.
    """
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    columns, lines = sorted({row[x] for row in rows}), sorted({row[y] for row in rows})
    figure, axes, bottom = _grid(len(arms), height=0.5 + 0.32 * len(lines))
    known = [row[of] for row in rows if row.get(of) is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    high = high if high > low else low + 1.0
    for arm, ax in zip(arms, axes, strict=True):
        cells = np.full((len(lines), len(columns)), np.nan)
        for row in _rows_of(rows, arm):
            place = lines.index(row[y]), columns.index(row[x])
            if not np.isnan(cells[place]):
                raise ValueError(
                    f"heat_maps: {arm!r} has two rows at {x} = {row[x]!r}, {y} = {row[y]!r}"
                )
            cells[place] = np.nan if row.get(of) is None else row[of]
        ax.imshow(cells, origin="lower", aspect="auto", cmap="Blues", vmin=low, vmax=high)
        for (line_, column), value in np.ndenumerate(cells):
            if not np.isnan(value):
                dark = value > (low + high) / 2
                look = {"ha": "center", "va": "center", "fontsize": 8}
                ax.text(column, line_, _digits(value), color="white" if dark else "black", **look)
        ax.set_xticks(range(len(columns)), [str(value) for value in columns])
        ax.set_yticks(range(len(lines)), [str(value) for value in lines])
        ax.set_title(arm, fontsize=10)
    for ax in bottom:
        _label(ax, x)
    for ax in axes[:: _across(len(axes))]:
        ax.set_ylabel(y, fontsize=9)
    _head(figure, question, ", ".join(filter(None, (title, f"{of} ({unit})" if unit else of))))
    return figure


def differences(
    comparisons: Iterable[Any],
    *,
    title: str | None = None,
    question: str | None = None,
    units: Mapping[str, str] | None = None,
) -> "Figure":
    """What a claim compares: each difference with its 95 % interval and the line that decides.

    That line is at 0, or dotted where there is a margin. Color and marker are the verdict.

    Args:
      comparisons: of a `Claim`, or as results.json holds them.
      title: above the panels, below the question.
      question: the paper's claim, the picture's title.
      units: {figure: its unit}.

    Returns: a matplotlib figure.
    Raises: ValueError for no comparisons.
    """
    from matplotlib.figure import Figure

    compared = [_as_dict(one) for one in comparisons]
    if not compared:
        raise ValueError("comparisons must have one at least, got none")
    by_figure: dict[str, list[dict[str, Any]]] = {}
    for one in compared:
        by_figure.setdefault(one["figure"], []).append(one)
    counts = [len(members) for members in by_figure.values()]
    height = 0.5 + sum(0.65 + 0.28 * count for count in counts)
    figure = Figure(figsize=(WIDTH * 0.85, height), layout="constrained")
    panels = figure.subplots(len(counts), 1, squeeze=False, height_ratios=[n + 1.5 for n in counts])
    for ax, (name, members) in zip(panels[:, 0], by_figure.items(), strict=True):
        _forest(ax, members)
        unit = (units or {}).get(name)
        smaller = all(one.get("smaller") for one in members)
        words = "whiskers: 95 % interval" + ("; lower is better" if smaller else "")
        ax.set_xlabel(f"difference in {name} ({f'{unit}; ' if unit else ''}{words})")
    _legend(figure, panels[:, 0])
    _head(figure, question, title)
    return figure


def recolored(figure: "Figure", rows: Sequence[Row]) -> "Figure":
    """A picture whose lines are labeled with arms, in the colors that the arms have in the others."""
    styles = styles_of(rows)
    for ax in figure.axes:
        for one in ax.lines:
            if str(one.get_label()) in styles:
                one.set(**styles[str(one.get_label())])
    for legend in figure.legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            if text.get_text() in styles:
                handle.set(**styles[text.get_text()])
    return figure


def styles_of(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
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


def line(ax: "Axes", rows: Iterable[Row], *, x: str, y: str, **style: Any) -> None:
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


def logarithmic(ax: "Axes", at: Sequence[float]) -> None:
    """A logarithmic x axis whose ticks are the points; linear around 0 where there are points up to it.

    Labels that would touch are turned.
    """
    positive = [abs(point) for point in at if point]
    if min(at) > 0:
        ax.set_xscale("log")
    elif positive:
        ax.set_xscale("symlog", linthresh=min(positive))
    labels = [f"{point:g}" for point in at]
    ax.set_xticks(at, labels)
    ax.minorticks_off()
    places = ax.transScale.transform(np.column_stack([at, np.ones(len(at))]))[:, 0]
    span = np.ptp(places) or 1.0
    widths = [LETTER * (len(label) + 1) for label in labels]
    gaps = np.diff(places) / span * _inches(ax)
    needed = np.add(widths[1:], widths[:-1]) / 2
    if (gaps < needed).any():
        ax.tick_params(axis="x", labelrotation=45)


def ends(row: Row, y: str) -> Sequence[float]:
    """The ends of a figure's interval; the figure itself where it has none, NaN where it is not finite."""
    value = np.nan if row[y] is None else row[y]
    return row.get(f"{y} interval", [value] * 2)


def said(y: str, rows: Iterable[Row], how: str, unit: str | None = None) -> str:
    """The label of a figure's axis, which names its unit, and the intervals where there are any."""
    drawn = any(f"{y} interval" in row for row in rows)
    words = [unit] if unit else []
    words += [f"{how}: 95 % interval"] if drawn else []
    return f"{y} ({'; '.join(words)})" if words else y


def _by_arm(
    rows: Sequence[Row],
    y: str,
    panel: str,
    heading: tuple[str | None, str | None, str | None],
    draw: Callable[["Axes", int, float, np.ndarray, dict], None],
    *,
    base: list[float],
    name: str,
) -> "Figure":
    """A panel per value of a key with a line per arm, what `draw` makes of it and its number.

    Args:
      rows, y, panel: as `bars`.
      heading: title, question and unit.
      draw: function (axes, place, value, reach of the interval [2, 1], style).
      base: what the axis must have beside the figures and their intervals.
      name: of the picture, for errors.
    """
    title, question, unit = heading
    panels = list(dict.fromkeys(row[panel] for row in rows))
    styles = styles_of(rows)
    letters = max(map(len, styles))
    height = 0.5 + 0.3 * len(styles)
    figure, axes, bottom = _grid(len(panels), height=height, sharex=True, left=letters * LETTER)
    known = [row for row in rows if row.get(y) is not None]
    edges = [edge for row in known for edge in (row[y], *ends(row, y))] + base or [0.0]
    span = max(edges) - min(edges) or 1.0
    room = span * (0.3 if _across(len(panels)) > 2 else 0.2)  # for the numbers
    for value, ax in zip(panels, axes, strict=True):
        own = {}
        for row in rows:
            if row[panel] == value:
                if row["arm"] in own:
                    raise ValueError(f"{name}: {row['arm']!r} has two rows at {panel} = {value!r}")
                own[row["arm"]] = row
        for place, (arm, style) in enumerate(styles.items()):
            row = own.get(arm, {})
            if row.get(y) is None:
                text = "no value" if y not in row else "not finite"
                where = (max(min(edges), 0.0) if base else min(edges)) + room / 8
                look = {"va": "center", "fontsize": 8, "color": "0.45", "style": "italic"}
                ax.text(where, place, text, **look)
                continue
            low, high = ends(row, y)
            draw(ax, place, row[y], np.abs([[low - row[y]], [high - row[y]]]), style)
            beside = max([high, *base]) + room / 8
            ax.text(beside, place, _digits(row[y]), va="center", fontsize=8)
        if value != "":
            ax.set_title(f"{panel}: {value}", fontsize=10)
        ax.grid(axis="x", alpha=0.3)
        ax.set_axisbelow(True)
        if ax in bottom:
            _label(ax, said(y, own.values(), "whiskers", unit))
    axes[0].set_yticks(range(len(styles)), styles)
    axes[0].set_ylim(len(styles) - 0.4, -0.6)
    axes[0].set_xlim(min(edges) - (0 if base else span * 0.05), max(edges) + room)
    axes[0].locator_params(axis="x", nbins=5)
    _head(figure, question, title)
    return figure


def _forest(ax: "Axes", members: Sequence[Mapping[str, Any]]) -> None:
    """The differences of one figure, one below the other."""
    arms = {one["arm"] for one in members}
    labels = [
        f"over {one['over']}" if len(arms) == 1 else f"{one['arm']} over {one['over']}"
        for one in members
    ]
    for place, one in enumerate(members):
        mean, low, high = (one.get(end) for end in ("mean", "low", "high"))
        color, marker, face = VERDICTS[one["verdict"]]
        if mean is None:
            look = {"va": "center", "fontsize": 8, "color": "0.45", "style": "italic"}
            ax.text(0, place, " not finite", **look)
            continue
        # A bootstrap interval of a statistic need not hold it.
        reach = (
            None if low is None or high is None else np.maximum([[mean - low], [high - mean]], 0)
        )
        ax.errorbar(
            mean,
            place,
            xerr=reach,
            color=color,
            marker=marker,
            markersize=6,
            markerfacecolor=face,
            linewidth=1.8,
            label=one["verdict"],
        )
        beside = mean if high is None else high
        look = {"va": "center", "fontsize": 8, "textcoords": "offset points"}
        look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # before a line
        ax.annotate(f"{mean:+.3f}", (beside, place), (6, 0), **look)
        for line in _margins(one):
            ax.plot([line, line], [place - 0.5, place + 0.5], color="0.3", linestyle=":")
    ax.axvline(0, color="0.3", linewidth=1)
    ax.set_yticks(range(len(members)), labels)
    ax.set_ylim(len(members) - 0.4, -0.6)
    ax.margins(x=0.12)
    ax.grid(axis="x", alpha=0.3)
    if len(arms) == 1:
        ax.set_title(next(iter(arms)), fontsize=10, loc="left")


def _margins(one: Mapping[str, Any]) -> list[float]:
    """The lines that decide beside 0: how much worse is still no worse, how far is still the same."""
    if within := one.get("within"):
        return [-within, within]
    by = one.get("by") or 0.0
    return [by if one.get("smaller") else -by] if by else []


def _grid(
    count: int,
    *,
    height: float,
    legend: Sequence[str] = (),
    left: float = 0.0,
    sharex: bool = True,
    sharey: bool = True,
) -> tuple["Figure", list["Axes"], list["Axes"]]:
    """A figure of some panels, at most `WIDTH` inches wide.

    Args:
      count: of panels.
      height: of a panel, inches.
      legend: the labels below.
      left: room for labels on the left, inches.
      sharex, sharey: whether panels have one axis.

    Returns: (figure, its panels, those with nothing below them).
    """
    from matplotlib.figure import Figure  # no pyplot: no backend, no global state

    across = _across(count)
    down = -(-count // across)
    width = min(WIDTH, left + {1: 4.8, 2: 7.6}.get(across, WIDTH))
    lines = -(-len(legend) // _columns(legend, width)) if legend else 0
    size = width, 0.4 + down * (height + 0.35) + 0.2 * lines
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(down, across, sharex=sharex, sharey=sharey, squeeze=False).ravel()
    for ax in axes[count:]:
        ax.remove()
    bottom = list(axes[max(0, count - across) : count])
    for ax in bottom:
        ax.tick_params(axis="x", labelbottom=True)
    for ax in axes[:count]:
        ax.tick_params(labelsize=9)
    return figure, list(axes[:count]), bottom


def _across(count: int) -> int:
    """How many panels are beside each other."""
    return 2 if count == 4 else min(count, 3)


def _columns(labels: Sequence[str], width: float) -> int:
    """How many labels of a legend are beside each other in a width, inches."""
    return max(1, min(len(labels), int(width / (0.65 + LETTER * max(map(len, labels))))))


def _legend(figure: "Figure", axes: Iterable["Axes"]) -> None:
    """One legend for all panels, below them."""
    handles: dict[str, Any] = {}
    for ax in axes:
        found = ax.get_legend_handles_labels()
        handles.update(zip(found[1], found[0], strict=True))
    handles = {name: handles.pop(name) for name in VERDICTS if name in handles} | handles
    if handles:
        columns = _columns(list(handles), figure.get_figwidth())
        look = {"ncols": columns, "fontsize": 9}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", **look)


def _label(ax: "Axes", text: str) -> None:
    """The label of the x axis; what is in brackets goes below where there is little room."""
    room = _inches(ax)
    fits = len(text) * LETTER * 0.9 < room
    ax.set_xlabel(text if fits else text.replace(" (", "\n("), fontsize=9)


def _inches(ax: "Axes") -> float:
    """The width of a panel, before the layout."""
    figure = ax.get_figure()
    assert figure is not None
    return ax.get_window_extent().width / figure.dpi * 0.9


def _head(figure: "Figure", question: str | None, title: str | None) -> None:
    """The question and the title, in as many lines as the width needs."""
    width = figure.get_figwidth()
    parts = [_asked(question)] if question else []
    parts += [title] if title else []
    lines = [line for part in parts for line in textwrap.wrap(part, int(width / LETTER / 1.15))]
    if lines:
        figure.set_figheight(figure.get_figheight() + 0.2 * len(lines))
        figure.suptitle("\n".join(lines), fontsize=11)


def _asked(question: str) -> str:
    return question if question.endswith(("?", ".", "!")) else f"{question}?"


def _rows_of(rows: Iterable[Row], arm: str) -> list[Row]:
    return [row for row in rows if row["arm"] == arm]


def _as_dict(comparison: Any) -> dict[str, Any]:
    """A comparison as results.json holds it."""
    if isinstance(comparison, Mapping):
        return dict(comparison)
    return {**vars(comparison), "verdict": comparison.verdict}


def _number(value: Any) -> Any:
    """A key's value as a number where it is one or reads like one."""
    return float(value) if isinstance(value, str) else value


def _digits(value: float) -> str:
    """A number with three digits behind the point, fewer where it is large."""
    return f"{value:.{3 if abs(value) < 10 else 2 if abs(value) < 100 else 1}f}"
