"""Columns of a table: ids, texts, pairs and scores, and what is said of rows that do not fit."""

import pytest

from jaxsim.commands.inputs import columns
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


def test_columns_that_begin_in_row_2_are_found():
    rows = [{"text": "a", "score": 1}, {"text": "b", "score": 1, "key": "c"}]
    with pytest.raises(ValueError, match="c: row 1 must have a string in 'key', which it lacks"):
        columns.column_of(rows, "c", "key")
    rows = [{"query": "a", "answer": "b"}, {"query": "a", "answer": "b", "score": 1}]
    with pytest.raises(ValueError, match=r"row 1 must have a finite number .*, which it lacks"):
        columns.pairs_of(rows, "c")
    rows = [{"anchor": "a", "answer": "b"}, {"query": "a", "answer": "b"}]
    with pytest.raises(ValueError, match="row 1 must have a string in 'query', which it lacks"):
        columns.pairs_of(rows, "c")


def pair(**more):
    return {"query": "a", "document": "b"} | more


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.5, 0.5), ("0.25", 0.25), (True, 1.0), (-3, -3.0), ("1e3", 1000.0), (2**70, 2.0**70)],
)
def test_scores_are_finite_numbers(score, expected):
    assert columns.pairs_of([pair(score=score)], "c").scores == [expected]


@pytest.mark.parametrize(
    "score", [float("nan"), "nan", "-inf", 1e39, 10**400, None, "", "high", []]
)
def test_scores_that_are_not_finite_are_named(score):
    said = r"c: row 2 must have a finite number \(of float32\) in 'score', got "
    with pytest.raises(ValueError, match=said):
        columns.pairs_of([pair(score=1), pair(score=score)], "c")


def test_negatives_of_all_columns_and_what_does_not_fit():
    rows = [pair(negative="c", negative_1="d", negative_2=["e"])]
    assert columns.pairs_of(rows, "c").negatives == [["c", "d", "e"]]
    assert columns.pairs_of(rows, "c", negative="negative_2").negatives == [["e"]]
    assert columns.pairs_of([pair(negatives=[])], "c").negatives is None
    for value in (7, ["x", 7], {"x": "y"}):
        with pytest.raises(ValueError, match="c: row 1 must have a string or a list of strings in"):
            columns.pairs_of([pair(negative=value)], "c")


def test_rows_may_have_different_numbers_of_negatives():
    rows = [pair(negatives=["x"]), pair(negatives=["x", "y"]), pair(negatives=None), pair()]
    assert columns.pairs_of(rows, "c").negatives == [["x"], ["x", "y"], [], []]
    rows = [pair(negative_1="x", negative_2=""), pair(negative_2="y"), pair(negative_1=None)]
    pairs = columns.pairs_of(rows, "c")
    assert pairs.negatives == [["x"], ["y"], []]  # an empty cell of a CSV file is no text
    assert columns.taken(pairs, [0, 2]).negatives == [["x"], []]
    assert columns.taken(pairs, [2]).negatives is None
    for nothing in ([], "", [""], None):
        assert columns.pairs_of([pair(negative=nothing)], "c").negatives is None
        with pytest.raises(ValueError, match="c: the column 'negative' must hold negatives, no"):
            columns.pairs_of([pair(negative=nothing)], "c", negative="negative")


def test_empty_texts_are_texts_unless_all_are_empty():
    assert columns.column_of([{"text": ""}, {"text": "a"}], "c", "text") == ["", "a"]
    rows = [{"title": "", "text": ""}] * 3
    with pytest.raises(ValueError, match="c: the column 'title,text' must hold texts, all 3 are"):
        columns.column_of(rows, "c", "title,text")
    for value in (7, None, ["a"], True):
        with pytest.raises(ValueError, match="c: row 2 must have a string in 'text', got "):
            columns.column_of([{"text": "a"}, {"text": value}], "c", "text")


def test_columns_are_listed_in_one_line():
    rows = [dict.fromkeys(["a\nb", "", "c", *map(str, range(40))], "x")]
    with pytest.raises(ValueError, match=r"it has 'a\\nb', '', c, 0, .*, 16 and 23 more$"):
        columns.column_of(rows, "t", "text")


def test_empty_texts_among_others_are_counted_and_the_first_is_named(caplog):
    rows = [{"text": "a"}, {"text": " "}, {"text": ""}]
    assert columns.column_of(rows, "docs.jsonl", "text") == ["a", " ", ""]
    assert caplog.messages == ["docs.jsonl: 2 of 3 texts in 'text' are empty, first row 2"]
    caplog.clear()
    columns.column_of(rows[:1], "docs.jsonl", "text")
    assert not caplog.messages
