"""Tables of every kind, and what is said of those that cannot be read."""

import gzip

import pytest

from jaxsim.data import read_records

ROWS = [{"query": "a b", "document": "c"}, {"query": "ä, d", "document": "e"}]


def test_json_lines_with_and_without_gzip(tmp_path):
    text = '{"query": "a b", "document": "c"}\n\n{"query": "ä, d", "document": "e"}\n'
    (tmp_path / "t.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    assert read_records(tmp_path / "t.jsonl") == read_records(tmp_path / "t.jsonl.gz") == ROWS


def test_csv_and_tsv(tmp_path):
    (tmp_path / "t.csv").write_text('query,document\na b,c\n"ä, d",e\n', encoding="utf-8")
    (tmp_path / "t.tsv").write_text("query\tdocument\na b\tc\nä, d\te\n", encoding="utf-8")
    assert read_records(tmp_path / "t.csv") == read_records(tmp_path / "t.tsv") == ROWS


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "t.parquet")
    assert read_records(tmp_path / "t.parquet") == ROWS


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.jsonl", '{"a": 1}\n{"a": \n', "t.jsonl: line 2 is not JSON"),
        ("t.jsonl", "[1]\n", "line 1 must be an object"),
        ("t.csv", "a,b\n1\n", "line 2 must have 2 cells"),
        ("t.csv", "a,b\n", "has no rows"),
        ("t.txt", "a", "must be one of .jsonl"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        read_records(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_records(tmp_path / "none.csv")
