"""Tables of figures: what repeats is left out, numbers have three digits, lines of one row are its sides."""

from benchmarks.tables import TABLES, Table, markdown, number


def test_the_first_column_says_what_repeats_once():
    rows = [{"work": work, "ms": ms} for work, ms in (("a", 1.0), ("a", 2.5), ("b", 1234.5))]
    lines = markdown(Table("figures", {"loss": "work", "ms": "ms"}), rows).splitlines()
    assert lines == [
        "| loss | ms |",
        "| --- | ---: |",
        "| a | 1 |",
        "|  | 2.5 |",
        "| b | 1,234 |",
    ]


def test_rows_of_other_works_are_not_shown():
    rows = [{"work": work, "ms": 1.0} for work in ("a", "b")]
    table = Table("figures", {"loss": "work", "ms": "ms"}, works=("b",))
    assert markdown(table, rows).splitlines()[2:] == ["| b | 1 |"]


def test_numbers_have_three_digits_and_whole_ones_all():
    values = (0.04567, 12.34, 98765.4, 4_200_000, None, "of words")
    assert [number(value) for value in values] == [
        "0.0457",
        "12.3",
        "98,765",
        "4,200,000",
        "",
        "of words",
    ]


def test_a_row_of_fine_tuning_is_a_line_for_each_side():
    sides = {"examples/s": 12.0, "core_s": 4.0, "start_s": 9.0, "step_s": 2.0}
    row = {"work": "InfoNCE", **sides, **{f"peer {name}": value for name, value in sides.items()}}
    row |= {"times as fast": 1.5, "times as fast, cores": 1.25}
    lines = markdown(TABLES["finetune"], [row]).splitlines()
    assert lines[2] == "| InfoNCE | ours | 12 | 4 | 9 |"
    assert lines[-1] == "|  | times as fast | 1.5 | 1.25 |  |"
