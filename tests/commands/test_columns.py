"""Columns of a table: ids, texts, pairs and scores, and what is said of rows that do not fit."""

import pytest

from jaxsim.commands import columns
from jaxsim.data import read_records


@pytest.mark.parametrize(
    ("rows", "name", "expected"),
    [
        ([{"id": "b"}, {"id": "a"}], None, ["b", "a"]),
        ([{"_id": 7}, {"_id": "x y"}], None, ["7", "x y"]),
        ([{"_id": 10**30, "key": "k"}], "key", ["k"]),
        ([{"_id": 10**30}], None, [str(10**30)]),
        ([{"text": "a"}, {"text": "b"}], None, ["0", "1"]),
        ([{"id": "a"}, {"id": "a"}], "", ["0", "1"]),
    ],
)
def test_ids_are_strings_or_whole_numbers(rows, name, expected):
    assert columns.ids_of(rows, "c", name) == expected


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            ["a", "b", "a"],
            "c: row 3 has the id 'a' in 'id', and so has row 1: ids must differ; name",
        ),
        ([7, "7"], "c: row 2 has the id '7' in 'id', and so has row 1"),
        (["a", None], r"c: row 2 must have an id \(a string or a whole number\) in 'id', got None"),
        (["a", ""], "c: row 2 .*, got ''; name another column with --id, or number the rows"),
        (["a", " "], "c: row 2 .*, got ' '"),
        ([7.0], r"c: row 1 .*, got 7\.0"),
        ([True], "c: row 1 .*, got True"),
        ([["a"]], r"c: row 1 .*, got \['a'\]"),
    ],
)
def test_ids_that_do_not_fit_are_named(rows, said):
    with pytest.raises(ValueError, match=said):
        columns.ids_of([{"id": value} for value in rows], "c")


def test_an_id_that_is_missing_or_has_white_space_is_named():
    for rows in ([{"id": "a"}, {"text": "b"}], [{"text": "b"}, {"id": "a"}]):
        place = 2 - ("text" in rows[0])
        with pytest.raises(ValueError, match=f"c: row {place} .* in 'id', which it lacks; name"):
            columns.ids_of(rows, "c")
    with pytest.raises(ValueError, match=r"row 1 .*\(a string without white space, or .*'q 7'$"):
        columns.ids_of([{"id": "q 7"}], "c", "id", words=True)
    with pytest.raises(ValueError, match="c: has no column 'key', it has id, text"):
        columns.ids_of([{"id": "a"}, {"text": "b"}], "c", "key")


def test_rows_are_named_with_their_lines(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('id,text\na,"two\nlines"\na,one\n')
    with pytest.raises(
        ValueError, match=r"t\.csv: row 2 \(line 4\) has .*so has row 1 \(line 2\):"
    ):
        columns.ids_of(read_records(path), path)
    (tmp_path / "t.jsonl").write_text('{"id": "a"}\n\n{"id": "a"}\n')
    with pytest.raises(ValueError, match=r"row 2 \(line 3\) has the id 'a'.*so has row 1: ids"):
        columns.ids_of(read_records(tmp_path / "t.jsonl"), "t")
