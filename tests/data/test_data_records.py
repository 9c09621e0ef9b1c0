"""Tables of every kind, and what is said of those that cannot be read."""

import codecs
import gzip
import json
import re

import pytest

from jaxsim.data import read_records

KINDS = ("jsonl", "json", "csv", "tsv")
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


def text_of(rows, kind):
    """A table as the text of a file."""
    if kind == "json":
        return json.dumps(rows, ensure_ascii=False, indent=1)
    if kind == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    lines = [list(rows[0]), *(row.values() for row in rows)]
    if kind == "tsv":
        return "".join("\t".join(line) + "\n" for line in lines)
    return "".join(",".join(f'"{cell}"' for cell in line) + "\r\n" for line in lines)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_no_part_of_a_table(tmp_path, kind, encoding):
    path = tmp_path / f"t.{kind.upper()}"  # as some systems write it
    path.write_bytes(text_of(ROWS, kind).encode(encoding))
    assert read_records(path) == ROWS
    packed = tmp_path / f"t.{kind}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_records(packed) == ROWS
    if encoding == "utf-16":
        path.write_bytes(codecs.BOM_UTF16_BE + text_of(ROWS, kind).encode("utf-16-be"))
        assert read_records(path) == ROWS


def test_quotes_are_characters_in_tsv_and_hold_cells_together_in_csv(tmp_path):
    (tmp_path / "t.tsv").write_text('size\ttext\n5"\t"open\n"\ta "b" c\n')
    expected = [{"size": '5"', "text": '"open'}, {"size": '"', "text": 'a "b" c'}]
    assert read_records(tmp_path / "t.tsv") == expected
    (tmp_path / "t.csv").write_text('size,text\n5",b "c"\n"6""","a,\nb"\n\n"",\n')
    rows = read_records(tmp_path / "t.csv")
    assert [list(row.values()) for row in rows] == [['5"', 'b "c"'], ['6"', "a,\nb"], ["", ""]]
    assert [rows.at(place) for place in range(3)] == [
        "row 1 (line 2)",
        "row 2 (line 3)",
        "row 3 (line 6)",
    ]


def test_rows_of_json_may_differ_and_hold_anything(tmp_path):
    rows = [{"a": "1"}, {}, {"b": {"c": [None, 2, True, {}]}}, {"a": "\u2028 \x85 \U0001f600"}]
    (tmp_path / "t.jsonl").write_text("\r\n".join([" " + json.dumps(r) + " " for r in rows]))
    assert read_records(tmp_path / "t.jsonl") == rows
    (tmp_path / "t.json").write_text("\n" + json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    found = read_records(tmp_path / "t.json")
    assert found == rows
    assert found.at(2) == "row 3"


PAIR = '{"a": "\\ud83d\\ude00 \\\\ud800"}\n'  # a whole character, and a backslash before letters


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.jsonl", '{"a": 1}\n{"a": \n', "line 2 is not JSON: Expecting value at column 6"),
        ("t.jsonl", '{"a": 1}\n\n{"a": 1} x', "line 3 is not JSON: Extra data at column 10"),
        ("t.jsonl", "[1]\n", r"line 1 must be an object, got \[1\]; an array of rows is read from"),
        ("t.jsonl", "1\n", "line 1 must be an object, got 1$"),
        ("t.jsonl", '{"a": NaN}\n', "line 1 is not JSON: NaN is not a number of JSON"),
        ("t.jsonl", '{"a": 1' + "0" * 5000 + "}", "line 1 is not JSON: Exceeds the limit"),
        ("t.jsonl", "[" * 10**5, "line 1 is not JSON: it is nested too deeply"),
        ("t.jsonl", PAIR + '{"a": "\\ud800"}', r"line 2: 'a' holds '\\ud800', half of a surrogate"),
        ("t.jsonl", '{"a": [{"\\uDC00": 1}]}', r"line 1: 'a' holds '\\udc00', half of a surrogate"),
        ("t.jsonl", '{"\\udc00": 1}', r"line 1: '\\udc00' holds '\\udc00', half of a surrogate"),
        ("t.jsonl", '{"a": "\0"}', "line 1 is not JSON: it holds the character NUL"),
        ("t.jsonl", '{"a": 1}\n\ufeff{"a": 1}\n', "line 2 .* begins with a byte order mark"),
        ("t.json", '{"a": 1}\n{"a": \n', "line 2 is not JSON"),
        (
            "t.json",
            '{\n"a": 1}',
            "must hold an array of objects, or an object in each line, got one",
        ),
        ("t.json", '[{"a": 1},\n 2]', "row 2 must be an object, got 2"),
        ("t.json", '[{"a": 1},\n {"a" 2}]', "line 2 is not JSON: Expecting ':' delimiter"),
        ("t.json", '[{"a": "\\ud800"}]', r"row 1: 'a' holds '\\ud800', half of"),
        ("t.json", "[" * 10**5, "is not JSON: it is nested too deeply"),
        ("t.json", "7", "must hold an array of objects, got 7"),
        ("t.json", "[]", "has no rows"),
        ("t.csv", "a,b\n1\n", "line 2 must have 2 cells, as the first, got 1"),
        ("t.csv", 'a,b\n"x\ny",2\n1,2,3\n', "line 4 must have 2 cells, as the first, got 3"),
        ("t.csv", "a,b\n", "has no rows"),
        ("t.csv", "a,b,a\n1,2,3\n", "line 1 names 2 columns 'a'"),
        ("t.csv", "a,,\n1,2,3\n", "line 1 names 2 columns ''"),
        ("t.csv", 'a,b\n1,"x\ny"\n2,"open\n3,x\n', "line 4 opens a quote that does not close"),
        ("t.csv", 'a,b\n2,"open\n3,x\n4,"y"\n', "line 2 opens a quote that does not close"),
        ("t.csv", 'a,b\n1,2\n3,"x" y\n', "line 3 opens a quote that does not close"),
        ("t.csv", 'a,b\n"1\n""2""","open\n3', "line 3 opens a quote that does not close"),
        ("t.csv", "a,b\n1,\0\n", "line 2 holds the character NUL"),
        ("t.tsv", 'a\tb\n"1\t2\t3"\n', "line 2 must have 2 cells, as the first, got 3"),
        ("t.csv", "", "has no rows"),
        ("t.jsonl", "\n \n", "has no rows"),
        ("t.txt", "a", r"must be one of \.jsonl.*, got '\.txt'"),
        ("t", "a", "must be one of .*, got ''"),
        ("t.parquet.gz", "a", r"must be one of .*, got '\.parquet\.gz'"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, said):
    (tmp_path / name).write_bytes(text.encode())
    with pytest.raises(ValueError, match=re.escape(name) + ": .*" + said):
        read_records(tmp_path / name)


PACKED = gzip.compress(text_of(ROWS, "jsonl").encode(), mtime=0)  # a test is named by its bytes
LATIN = '{"a": "caf\u00e9"}\r\n'


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("t.jsonl.gz", PACKED[:-9], "not gzip, or damaged: Compressed file ended"),
        ("t.jsonl.gz", PACKED[:12] + b"\xff\xff" + PACKED[14:], "not gzip, or damaged"),
        ("t.jsonl.gz", b'{"a": 1}', "not gzip, or damaged: Not a gzipped file"),
        ("t.jsonl", PACKED, "is gzipped: let its name end in one .gz"),
        ("t.jsonl.gz", gzip.compress(PACKED, mtime=0), "is gzipped: let its name end in one .gz"),
        ("t.csv", b"a\nb\r\ncaf\xe9\n", "line 3 holds the byte 0xe9, not UTF-8: save"),
        ("t.jsonl", (LATIN * 9999).encode() + LATIN.encode("latin-1"), "line 10000 holds the byte"),
        ("t.csv", "a\nb\n".encode("utf-16") + b"\n", "line 3 holds the byte 0x0a, not UTF-16"),
        ("t.csv", "a\nb\n".encode("utf-16-le"), "line 1 holds the character NUL"),
        ("t.parquet", b"PAR1", "not parquet, or damaged"),
        ("t.parquet", b"", "not parquet, or damaged"),
    ],
)
def test_bytes_that_cannot_be_read_are_named(tmp_path, name, data, said):
    if "parquet" in name:
        pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(name) + ": .*" + said):
        read_records(tmp_path / name)


@pytest.mark.parametrize("kind", [*KINDS, "parquet", "csv.gz"])
def test_what_is_not_there_is_named(tmp_path, kind):
    with pytest.raises(FileNotFoundError, match=r"t\..*: there is no such file"):
        read_records(tmp_path / f"t.{kind}")
    (tmp_path / f"t.{kind}").mkdir()
    with pytest.raises(ValueError, match=r"t\..*: is a folder, wanted a file"):
        read_records(tmp_path / f"t.{kind}")


def test_columns_of_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    from pyarrow import parquet

    (tmp_path / "year=2020").mkdir()
    path = tmp_path / "year=2020" / "t.parquet"  # a folder's name is not a column
    columns = {"id": [2**60, None], "list": [["a"], []], "struct": [{"x": 1}, None]}
    columns["when"] = pyarrow.array([0, 10**9], pyarrow.timestamp("ns"))
    columns["none"] = pyarrow.nulls(2)
    parquet.write_table(pyarrow.table(columns), path)
    rows = read_records(path)
    assert list(rows[0]) == ["id", "list", "struct", "when", "none"]
    assert rows[0]["id"] == 2**60
    assert (rows[1]["list"], rows[1]["struct"], rows[1]["none"]) == ([], None, None)
    data = path.read_bytes()
    path.write_bytes(data[:40] + b"\xff" * 40 + data[80:])
    with pytest.raises(ValueError, match=r"t\.parquet: "):
        read_records(path)
    twice = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["a", "a"])
    parquet.write_table(twice, path)
    with pytest.raises(ValueError, match="names 2 columns 'a'"):
        read_records(path)
    bad = pyarrow.StringArray.from_buffers(
        1, pyarrow.py_buffer(b"\0\0\0\0\1\0\0\0"), pyarrow.py_buffer(b"\xff")
    )
    parquet.write_table(pyarrow.table({"a": bad}), path)
    with pytest.raises(ValueError, match=r"t\.parquet: the column 'a' cannot be read: .*utf-8"):
        read_records(path)
