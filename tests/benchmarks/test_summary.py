"""The tables of the benchmarks are those of the files next to them."""

import json

from benchmarks import summary

ABOUT = {"product_gflops": 100.0}
DAY = {"date": "2026-01-02", "machine": "2 cores of A chip"}


def test_the_tables_in_readme_are_those_of_the_files():
    page = (summary.HERE / "README.md").read_text(encoding="utf-8")
    assert summary.filled(page) == page


def test_faster_is_above_one_and_sizes_make_a_span(tmp_path):
    sizes = [
        {"work": "triplet", "peer": "PML", "ratio": ratio, "times_floor": floor} | DAY
        for ratio, floor in ((0.5, 1.25), (0.01, 2.0))
    ]
    (tmp_path / "losses.json").write_text(json.dumps({"about": ABOUT, "rows": sizes}))
    *_, line, _, machine = summary.table(tmp_path).splitlines()
    assert machine.startswith("Measured on 2 cores of A chip, ")
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "`triplet`, value and gradient, 2 sizes",
        "PML",
        "2 to 100",
        "its matrix products",
        "1.25 to 2",
        "2026-01-02",
        "`python -m benchmarks.losses --losses triplet`",
    ]


def test_losses_behind_a_peer_are_named_worst_first(tmp_path):
    rows = [
        {"work": work, "shape": "8 x 4", "peer": "optax one", "ratio": ratio} | DAY
        for work, ratio in (("a", 0.5), ("b", 1.2), ("c", 2.0), ("d", 1.04))
    ]
    (tmp_path / "losses_catalog.json").write_text(json.dumps({"about": ABOUT, "rows": rows}))
    _, _, median, *behind, _, _ = summary.table(tmp_path).splitlines()
    assert median.startswith("| 4 losses that others have too, the median | optax | 0.897 |")
    assert [line.split(",")[0] for line in behind] == ["| `c`", "| `b`"]


def test_methods_beside_what_was_published_are_named_with_their_peers(tmp_path):
    sides = (
        ("ours", {}),
        ("ours with a ridge", {"ours / this": 1.0}),
        ("numpy", {"ours / this": 0.5}),
    )
    rows = [
        {"work": "published", "side": f"ADACUR, {side}", "shape": "5 x 9", **figures} | DAY
        for side, figures in sides
    ]
    (tmp_path / "search.json").write_text(json.dumps({"about": ABOUT, "rows": rows}))
    _, _, line, *_ = summary.table(tmp_path).splitlines()
    assert line.startswith("| ADACUR, 5 x 9 | NumPy, as published | 2 |")


def test_machines_are_named_once_with_the_span_of_their_products():
    told = summary.measured_on(
        ["2 cores of A", "8 cores of B", "2 cores of A"], [150.0, 181.0, 170.0]
    )
    assert told == (
        "Measured on 2 cores of A and 8 cores of B, a product of large matrices at 150 to 181 GFLOP/s."
    )


def test_a_line_of_several_days_says_the_first_and_the_last(tmp_path):
    sizes = [
        {"work": "triplet", "times_floor": 1.0} | DAY | {"date": f"2026-01-0{day}"}
        for day in (3, 2, 5, 3)
    ]
    (tmp_path / "losses.json").write_text(json.dumps({"about": ABOUT, "rows": sizes}))
    assert "| 2026-01-02 to 2026-01-05 |" in summary.table(tmp_path)
