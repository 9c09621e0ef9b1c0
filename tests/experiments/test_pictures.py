"""Pictures can be compared: panels share axes, intervals are named, 0 is not "missing"."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import pictures


def row(arm, value, **keys):
    return {"arm": arm, **keys, "recall": value, "recall interval": [value - 0.1, value + 0.1]}


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_bars_share_both_axes_and_tell_zero_from_missing():
    rows = [
        row("a", 0.2, subset="x"),
        row("b", 0.0, subset="x"),
        row("a", 0.9, subset="y"),
        {"arm": "c", "subset": "y", "recall": None},
    ]
    one, other = pictures.bars(rows, y="recall", panel="subset").axes
    assert one.get_xlim() == other.get_xlim()
    assert one.get_xlim()[0] <= -0.1, "an interval below 0 is inside"
    assert one.get_ylim() == other.get_ylim()
    assert texts(one) == ["0.200", "0.000", "no value"]
    assert texts(other) == ["0.900", "no value", "not finite"]
    assert [tick.get_text() for tick in one.get_yticklabels()] == ["a", "b", "c"]
    assert one.get_xlabel() == "recall (whiskers: 95 % interval)"
    bare = {"arm": "a", "subset": "z", "recall": 0.1}
    assert pictures.bars([*rows, bare], y="recall", panel="subset").axes[2].get_xlabel() == "recall"
    colors = [[patch.get_facecolor() for patch in ax.patches] for ax in (one, other)]
    assert colors[0][0] == colors[1][0]


def test_bars_of_single_numbers_promise_no_interval():
    (ax,) = pictures.bars([{"arm": "a", "x": "y", "recall": -0.3}], y="recall", panel="x").axes
    assert ax.get_xlabel() == "recall"
    assert ax.get_xlim()[0] == -0.3


def test_two_rows_of_an_arm_in_one_panel_are_refused():
    with pytest.raises(ValueError, match="bars: 'a' has two rows at x = 'y'"):
        pictures.bars([row("a", 0.1, x="y", k=1), row("a", 0.2, x="y", k=2)], y="recall", panel="x")


def test_curves_share_both_axes_and_have_a_gap_where_a_figure_is_not_finite():
    rows = [row("a", 0.1 * x, budget=x, k=k) for x in (1, 2, 4) for k in (1, 10)]
    rows[2] = {"arm": "a", "budget": 2, "k": 1, "recall": None}
    one, other = pictures.curves(rows, x="budget", y="recall", panel="k").axes
    assert (one.get_xlim(), one.get_ylim()) == (other.get_xlim(), other.get_ylim())
    assert one.get_ylabel() == "recall (shaded: 95 % interval)"
    np.testing.assert_array_equal(np.isnan(one.lines[0].get_ydata()), [False, True, False])


def test_curves_show_what_is_outside_0_and_1():
    (ax,) = pictures.curves([row("a", 2.5, x=1, k=1)], x="x", y="recall", panel="k").axes
    assert ax.get_ylim()[1] > 2.5


def test_sweeps_share_x_and_name_their_intervals():
    rows = [{**row("a", 0.1, t=f"{t}"), "other": 5.0} for t in (0.1, 1)] + [
        {**row("level", 0.3, t="none"), "other": None}
    ]
    figure = pictures.sweeps(rows, x="t", figures=("recall", "other"), without="none")
    one, other = figure.axes
    assert one.get_xlim() == other.get_xlim()
    assert one.get_xlabel() == "t (shaded: 95 % interval)"
    assert len(other.lines) == 1, "a level that is not finite is not drawn"


def test_the_interval_of_a_single_point_is_seen():
    (ax,) = pictures.curves([row("a", 0.5, x=1, k=1)], x="x", y="recall", panel="k").axes
    np.testing.assert_allclose(ax.lines[-1].get_xydata(), [[1, 0.4], [1, 0.6]])
    assert ax.get_xlim()[0] < 1 < ax.get_xlim()[1]


def test_twenty_one_arms_look_different():
    rows = [row(f"arm {n}", 0.1) for n in range(21)]
    looks = {tuple(style.values()) for style in pictures.styles_of(rows).values()}
    assert len(looks) == 21


def test_a_picture_of_another_room_gets_the_arms_colors():
    figure = Figure()
    ax = figure.subplots()
    ax.plot([0, 1], label="b", color="red")
    figure.legend(*ax.get_legend_handles_labels())
    rows = [row("a", 0.1), row("b", 0.1)]
    pictures.recolored(figure, rows)
    wanted = pictures.styles_of(rows)["b"]["color"]
    assert ax.lines[0].get_color() == wanted
    assert figure.legends[0].legend_handles[0].get_color() == wanted
