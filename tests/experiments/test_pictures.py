"""Pictures can be compared: panels share axes, intervals are named, 0 is not "missing"."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import pictures
from experiments.frame.verdict import Comparison


def row(arm, value, **keys):
    return {"arm": arm, **keys, "recall": value, "recall interval": [value - 0.1, value + 0.1]}


def texts(ax):
    return [text.get_text() for text in ax.texts]


def drawn(figure):
    """The figure after its layout."""
    figure.savefig(io.BytesIO(), format="png", dpi=100)
    return figure


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
    assert pictures.bars(rows, y="recall", panel="subset", unit="%").axes[0].get_xlabel() == (
        "recall\n(%; whiskers: 95 % interval)"
    )
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


@pytest.mark.thorough
@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (7, (3, 3))])
def test_many_panels_go_below_each_other_so_that_a_readme_shows_all_letters(count, shape):
    long = "the method's error on classes that training never saw is below that of every baseline"
    rows = [
        row(f"a_rather_long_name_{arm}", 0.1 * arm, budget=budget, k=k)
        for k in range(count)
        for arm in range(9)
        for budget in (10, 20, 30, 5000)
    ]
    first = [one for one in rows if one["budget"] == 10]
    for figure in (
        drawn(pictures.curves(rows, x="budget", y="recall", panel="k", question=long)),
        drawn(pictures.bars(first, y="recall", panel="k", question=long, title="recall@10")),
        drawn(pictures.dots(first, y="recall", panel="k", question=long)),
    ):
        assert figure.axes[0].get_gridspec().get_geometry() == shape
        assert figure.get_figwidth() <= pictures.WIDTH
        assert figure._suptitle.get_text().replace("\n", " ").startswith(f"{long}?")
        box = figure.get_tightbbox()  # of all that is seen, inches
        assert box.x0 >= -0.02
        assert box.x1 <= figure.get_figwidth() + 0.02


def test_numbers_do_not_touch_the_frame_and_ticks_not_each_other():
    rows = [row(f"arm {n}", 0.3 * n, k=k, t=10**n) for k in range(3) for n in range(4)]
    figure = drawn(pictures.bars([{**one, "t": 0} for one in rows], y="recall", panel="k"))
    for ax in figure.axes:
        right = max(text.get_window_extent().x1 for text in ax.texts)
        assert right < ax.get_window_extent().x1
    for points in ((1, 10, 100), (100000, 110000, 120000, 500000)):
        chosen = [row("a", 0.1, k=0, t=t) for t in points]
        figure = drawn(pictures.curves(chosen, x="t", y="recall", panel="k"))
        labels = figure.axes[0].get_xticklabels()
        turned = labels[0].get_rotation() == 45
        assert turned == (points[-1] > 100)


def test_a_key_of_0_and_one_that_reads_like_a_number_have_a_place():
    rows = [row("a", 0.1 * n, k=1, t=t) for n, t in enumerate(("0", "0.5", "10"))]
    (ax,) = pictures.curves(rows, x="t", y="recall", panel="k").axes
    assert list(ax.get_xticks()) == [0, 0.5, 10]
    places = ax.transScale.transform([[t, 1] for t in (0, 0.5, 10)])[:, 0]
    assert (np.diff(places) > 0).all()
    assert np.isfinite(places).all()


def test_dots_need_no_zero():
    rows = [row("a", 10.2, k=1), row("b", 10.4, k=1), {"arm": "c", "k": 1, "recall": None}]
    (ax,) = pictures.dots(rows, y="recall", panel="k").axes
    assert ax.get_xlim()[0] > 10
    assert texts(ax) == ["10.20", "10.40", "not finite"]
    with pytest.raises(ValueError, match="dots: 'a' has two rows"):
        pictures.dots([*rows, rows[0]], y="recall", panel="k")


def test_differences_say_what_decides():
    compared = [
        Comparison("new", "old", "recall", 0.2, 0.1, 0.3),
        Comparison("new", "odd", "recall", 0.0, -0.1, 0.1),
        Comparison("new", "none", "recall", None, None, None, "NaN"),
        {**vars(Comparison("new", "old", "error", 0.4, 0.3, 0.5, smaller=True, by=0.1))}
        | {"verdict": "not held"},
        {**vars(Comparison("other", "old", "error", 0.4, None, None, smaller=True))}
        | {"verdict": "not decided"},
    ]
    figure = pictures.differences(compared, question="new is better", units={"error": "mm"})
    one, other = figure.axes
    assert texts(one) == ["+0.200", "+0.000", " not finite"]
    assert [tick.get_text() for tick in one.get_yticklabels()] == [
        "over old",
        "over odd",
        "over none",
    ]
    assert other.get_yticklabels()[1].get_text() == "other over old"
    assert other.get_xlabel() == (
        "difference in error (mm; whiskers: 95 % interval; lower is better)"
    )
    dotted = [ln.get_xdata() for ln in other.lines if ln.get_linestyle() == ":"]
    np.testing.assert_allclose(dotted, [[0.1, 0.1]], err_msg="the margin, on the worse side")
    close = {**vars(compared[0]), "figure": "MAE", "within": 0.5, "verdict": "held"}
    (ax,) = pictures.differences([close]).axes
    assert [ln.get_xdata()[0] for ln in ax.lines if ln.get_linestyle() == ":"] == [-0.5, 0.5]
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["held", "not decided", "not held"]
    assert figure._suptitle.get_text() == "new is better?"
    with pytest.raises(ValueError, match="comparisons must have one at least"):
        pictures.differences([])


def test_sweeps_take_units_and_level_lines_differ_without_color():
    rows = [row("a", 0.1, t="1"), row("b", 0.2, t="none"), row("c", 0.3, t="none")]
    figure = pictures.sweeps(
        rows, x="t", figures=("recall",), without="none", units={"recall": "%"}, title="all"
    )
    (ax,) = figure.axes
    assert ax.get_title() == "recall (%)"
    assert len({ln.get_linestyle() for ln in ax.lines if ln.get_label() in "abc"}) == 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "c"]


def test_curves_name_the_units_of_both_axes():
    rows = [row("a", 0.5, x=x, k=1) for x in (1, 2)]
    figure = pictures.curves(rows, x="x", y="recall", panel="k", unit="%", x_unit="calls")
    assert figure.axes[0].get_ylabel() == "recall (%; shaded: 95 % interval)"
    assert figure.axes[0].get_xlabel() == "x (calls)"


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


def test_heat_maps_share_a_scale_and_leave_what_is_missing_empty():
    rows = [
        row("a", 0.25, depth=1, width=8),
        row("a", 0.5, depth=2, width=16),
        row("b", 1.0, depth=2, width=8),
        {"arm": "b", "depth": 1, "width": 16, "recall": None},
    ]
    figure = drawn(pictures.heat_maps(rows, x="width", y="depth", of="recall", title="all"))
    one, other = figure.axes
    assert texts(one) == ["0.250", "0.500"]
    assert texts(other) == ["1.000"]
    assert [ax.images[0].get_clim() for ax in (one, other)] == [(0.25, 1.0)] * 2
    shown = one.images[0].get_array()
    np.testing.assert_array_equal(np.ma.filled(shown, -1), [[0.25, -1], [-1, 0.5]])
    assert one.texts[0].get_position() == (0, 0)
    assert figure.get_suptitle() == "all, recall"
    with pytest.raises(ValueError, match="'a' has two rows at width = 8, depth = 1"):
        pictures.heat_maps([*rows, rows[0]], x="width", y="depth", of="recall")
