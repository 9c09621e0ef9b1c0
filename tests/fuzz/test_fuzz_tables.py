"""Tables, runs and judgments at random: what is written comes back, what is damaged is named or read right.

The readers raise ValueError that names the file, and nothing else, whatever the bytes are.
"""

import csv
import gzip
import io
import json
import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from jaxsim import data, storage
from jaxsim.commands.inputs import columns

pytestmark = pytest.mark.thorough
many = settings(
    derandomize=True,
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),  # the folder of a test is shared by its examples
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\r\n"), max_size=8)
WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=5)
WORD = WORD.filter(lambda text: text.split() == [text] and not text.startswith("\ufeff"))
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ROWS = st.lists(st.dictionaries(TEXT, VALUE, max_size=4), min_size=1, max_size=5)
ENCODING = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])
SPECIAL = [
    b'"',
    b'""',
    b"\n",
    b"\r",
    b"\t",
    b",",
    b" ",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\\ud800",
    b"\\u0041",
    b"{",
    b"}",
    b"[",
    b"]",
    b"NaN",
    b"1e999",
    b"null",
    b"1.5",
    b"-1",
    b"nan",
    b"_",
    b"\xc2\xa0",
    b"\xe2\x80\xa8",
    b"\x1c",
    b"q1",
    b"d1",
    b"9" * 25,
]


@st.composite
def cells(draw, cell, least):
    """Rows of text, each with the same columns."""
    names = draw(st.lists(cell, min_size=least, max_size=4, unique=True))
    if names[0].startswith("\ufeff"):
        names[0] = "a" + names[0]
    row = st.tuples(*[cell] * len(names))
    return [
        dict(zip(names, one, strict=True)) for one in draw(st.lists(row, min_size=1, max_size=5))
    ]


@st.composite
def damaged(draw, good):
    """Some bytes with a few changes."""
    data = draw(st.sampled_from(good))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 6)))
        some = draw(
            st.sampled_from(SPECIAL) | st.binary(max_size=3) | st.just(data[start:stop] * 2)
        )
        data = data[:start] + some + data[stop:]
    return data[: draw(st.none() | st.integers(0, len(data)))]


def write(path, text, encoding):
    """Writes text, gzipped where the name says so."""
    raw = text.encode(encoding)
    path.write_bytes(gzip.compress(raw, 1) if path.suffix == ".gz" else raw)


def read(reader, path):
    """What a reader gives; None where it refuses the file by its name."""
    try:
        return reader(path)
    except ValueError as error:
        refused = error
    assert path.name in str(refused)
    assert type(refused) is ValueError
    return None


@many
@given(ROWS, ENCODING, st.sampled_from([".jsonl", ".json", ".jsonl.gz"]), st.booleans())
def test_json_comes_back(tmp_path_factory, rows, encoding, kind, ascii):
    path = tmp_path_factory.getbasetemp() / f"t{kind}"
    lines = [json.dumps(row, ensure_ascii=ascii) for row in rows]
    text = f"[{','.join(lines)}]" if kind == ".json" else "\n".join(lines)
    write(path, text, encoding)
    assert data.read_records(path) == rows


@many
@given(cells(TEXT, 1), ENCODING, st.sampled_from(["\r\n", "\n", "\r"]))
def test_csv_comes_back(tmp_path_factory, rows, encoding, end):
    path = tmp_path_factory.getbasetemp() / "t.csv"
    file = io.StringIO(newline="")
    # The writer quotes a cell for the line's end alone, which another line's end then cuts.
    quoting = csv.QUOTE_MINIMAL if end == "\r\n" else csv.QUOTE_ALL
    writer = csv.DictWriter(file, list(rows[0]), lineterminator=end, quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)
    write(path, file.getvalue(), encoding)
    assert data.read_records(path) == rows


@many
@given(cells(CELL, 2), ENCODING, st.sampled_from(["\r\n", "\n", "\r"]))
def test_tsv_comes_back(tmp_path_factory, rows, encoding, end):
    path = tmp_path_factory.getbasetemp() / "t.tsv.gz"
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    write(path, "".join("\t".join(line) + end for line in lines), encoding)
    assert data.read_records(path) == rows


@many
@given(st.dictionaries(WORD, st.dictionaries(WORD, st.integers(1 - 2**31, 2**31 - 1)), max_size=4))
def test_judgments_come_back(tmp_path_factory, judgments):
    path = tmp_path_factory.getbasetemp() / "qrels"
    storage.save_qrels(path, judgments)
    assert storage.load_qrels(path) == {query: some for query, some in judgments.items() if some}


@many
@given(
    st.lists(WORD, min_size=1, max_size=3, unique=True),
    st.lists(WORD, min_size=1, max_size=4, unique=True),
    st.data(),
)
def test_a_run_comes_back_in_its_order(tmp_path_factory, queries, documents, drawn):
    path = tmp_path_factory.getbasetemp() / "run"
    orders = [drawn.draw(st.permutations(range(len(documents)))) for _ in queries]
    score = st.floats(-(2.0**99), 2.0**99, width=32)
    scores = [sorted((drawn.draw(score) for _ in documents), reverse=True) for _ in queries]
    storage.save_run(path, queries, documents, orders, scores)
    run = storage.load_run(path)
    assert list(run) == queries
    for query, order, values in zip(queries, orders, scores, strict=True):
        assert [name for name, _ in run[query]] == [documents[place] for place in order]
        np.testing.assert_allclose(
            [value for _, value in run[query]], values, rtol=1e-6, atol=1e-40
        )


LINES = [
    '{"_id": "d1", "text": "a \\u00e4"}',
    '{"_id": 7, "b": [1, {"c": null}]}',
    "",
    '{"x": 1.5}',
]
JSONL = ["\n".join(LINES).encode(), "\r\n".join(LINES[:2]).encode("utf-8-sig")]


@many
@given(damaged(JSONL))
def test_damaged_json_lines(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "damaged.jsonl"
    path.write_bytes(raw)
    rows = read(data.read_records, path)
    if not raw.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):  # other encodings
        assert rows == json_rows(raw)


def json_rows(raw):
    """The rows of JSON lines, or None, from the json module alone."""

    def refused(name):
        raise ValueError(name)

    try:
        lines = re.split("\r\n|\r|\n", raw.decode("utf-8-sig"))
        lines = [line for line in lines if line.strip(" \t")]
        rows = [json.loads(line, parse_constant=refused) for line in lines]
        json.dumps(rows, ensure_ascii=False).encode()
    except ValueError:
        return None
    return rows if rows and all(isinstance(row, dict) for row in rows) else None


@many
@given(damaged([b'a\tb\nx\ty z\n\t"\n', "a\tb\tc\r\n\u00e4\t\t1\r\n".encode("utf-8-sig")]))
def test_damaged_tsv(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "damaged.tsv"
    path.write_bytes(raw)
    rows = read(data.read_records, path)
    if not raw.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        assert rows == tsv_rows(raw)


def tsv_rows(raw):
    """The rows of a TSV, or None, by splitting it."""
    try:
        lines = [line for line in re.split("\r\n|\r|\n", raw.decode("utf-8-sig")) if line]
    except ValueError:
        return None
    names, *rows = [line.split("\t") for line in lines] or [[]]
    fits = not any(len(row) != len(names) for row in rows) and len(set(names)) == len(names)
    if not rows or not fits or b"\0" in raw:
        return None
    return [dict(zip(names, row, strict=True)) for row in rows]


@many
@given(damaged([b'a,b\nx,"y\nz"\n"""q""",\n', 'a,b,c\r\n"\u00e4",5",1\r\n'.encode("utf-8-sig")]))
def test_damaged_csv(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes(raw)
    rows = read(data.read_records, path)
    for row in rows or ():
        assert list(row) == list(rows[0])
        assert all(isinstance(cell, str) and "\0" not in cell for cell in row.values())
    if rows is not None:
        assert all(1 < line <= raw.count(b"\n") + raw.count(b"\r") + 1 for line in rows.lines)


@many
@given(damaged([b"q1 Q0 d1 1 2.5 t\nq1 Q0 d2 2 1e-3 t\nq2\tQ0\td1\t1\t-1\tt\n"]))
def test_damaged_runs(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "damaged.run"
    path.write_bytes(raw)
    for query, documents in (read(storage.load_run, path) or {}).items():
        values = [value for _, value in documents]
        assert query
        assert values == sorted(values, reverse=True)
        assert all(math.isfinite(value) for value in values)
        assert len({document for document, _ in documents}) == len(documents) > 0


@many
@given(
    damaged([b"q1 0 d1 1\nq1 0 d2 0\nq2 0 d1 2\n", b"query-id\tcorpus-id\tscore\nq 1\td 1\t1\n"])
)
def test_damaged_judgments(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "damaged.qrels"
    path.write_bytes(raw)
    for query, documents in (read(storage.load_qrels, path) or {}).items():
        assert query
        assert all(documents)
        assert all(type(grade) is int and abs(grade) < 2**31 for grade in documents.values())


NAMES = st.sampled_from(
    ["id", "_id", "query", "answer", "negative", "negative_1", "score", "label"]
)


@many
@given(st.lists(st.dictionaries(NAMES, TEXT | WORD | VALUE, max_size=6), min_size=1, max_size=4))
def test_columns_of_anything(rows):
    ids = named(columns.ids_of, rows, "t.jsonl")
    if ids is not None:
        assert len(set(ids)) == len(ids) == len(rows)
        assert all(isinstance(text, str) and text.strip() for text in ids)
    words = named(lambda *some: columns.ids_of(*some, words=True), rows, "t.jsonl")
    assert words is None or (words == ids and all(text.split() == [text] for text in words))
    pairs = named(columns.pairs_of, rows, "t.jsonl")
    if pairs is not None:
        assert len(pairs.queries) == len(pairs.documents) == len(rows)
        assert pairs.scores is None or all(map(math.isfinite, pairs.scores))
        assert pairs.negatives is None or (any(pairs.negatives) and all(map(all, pairs.negatives)))
    texts = named(columns.column_of, rows, "t.jsonl", "query,answer")
    assert texts is None or all(isinstance(text, str) for text in texts)


def named(function, rows, path, *more):
    """What a function of rows gives; None where it refuses them by the file's name."""
    try:
        return function(rows, path, *more)
    except ValueError as error:
        said = str(error)
    assert said.startswith(path)
    return None
