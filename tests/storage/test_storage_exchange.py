"""Vectors, runs and judgments go out and come back; what is damaged is refused by name."""

import gzip
import sys

import numpy as np
import pytest

from jaxsim import data, storage

VECTORS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


@pytest.mark.parametrize("mmap", [False, True])
def test_npy_comes_back(tmp_path, mmap):
    storage.save_vectors(tmp_path / "v.npy", VECTORS)
    ids, vectors = storage.load_vectors(tmp_path / "v.npy", mmap=mmap)
    assert ids is None
    assert isinstance(vectors, np.memmap) == mmap
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), vectors)
    np.testing.assert_array_equal(vectors, VECTORS)


@pytest.mark.parametrize("ids", [None, list("abcdefg"), np.arange(7) * 10])
def test_parquet_comes_back_with_its_ids(tmp_path, ids):
    pytest.importorskip("pyarrow")
    storage.save_vectors(tmp_path / "v.parquet", VECTORS, ids)
    found, vectors = storage.load_vectors(tmp_path / "v.parquet")
    np.testing.assert_array_equal(vectors, VECTORS)
    assert found.tolist() == (list(range(7)) if ids is None else list(ids))


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "there.parquet").write_bytes(b"")
    for call in (
        lambda: storage.save_vectors(tmp_path / "v.parquet", VECTORS),
        lambda: storage.load_vectors(tmp_path / "there.parquet"),
        lambda: data.read_records(tmp_path / "there.parquet"),
    ):
        with pytest.raises(
            ModuleNotFoundError, match=r'needs pyarrow: pip install "jaxsim-similarity\[parquet\]"'
        ):
            call()
    assert not (tmp_path / "v.parquet").exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: storage.save_vectors(p / "v.txt", VECTORS), r"must end in \.npy or \.parquet"),
        (lambda p: storage.save_vectors(p / "v.npy", VECTORS[0]), r"vectors must be \[n, dim\]"),
        (lambda p: storage.save_vectors(p / "v.npy", VECTORS, [1]), "ids have no place in .npy"),
        (
            lambda p: (p / "v.npy").write_bytes(b"x") and storage.load_vectors(p / "v.npy"),
            r"v\.npy: not an array",
        ),
    ],
)
def test_bad_vectors_are_named(tmp_path, call, message):
    with pytest.raises(ValueError, match=message):
        call(tmp_path)


def header_of(text):
    """A .npy file with a header of somebody's choice and 64 bytes of values."""
    text = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64)


def npz(path):
    np.savez(path.open("wb"), a=VECTORS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an array of numbers, or damaged"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "not an array of numbers, or damaged"),
        (b"\x93NUMPY\x03\x00" + header_of("")[8:], "not an array of numbers, or damaged"),
        (
            header_of("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4)"),
            "not an array of numbers",
        ),
        (header_of("(" * 110), "not an array of numbers"),
        (
            header_of("{'descr': '|O', 'fortran_order': False, 'shape': (2, 4), }"),
            "must hold numbers, got object",
        ),
        (
            header_of("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4, 4), }"),
            "must hold numbers",
        ),
        (
            header_of("{'descr': '<U4', 'fortran_order': False, 'shape': (2, 2), }"),
            "must hold numbers, got <U4",
        ),
        (
            header_of("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 4), }"),
            "must hold numbers, got complex64",
        ),
        (
            header_of("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (2, 4), }"),
            "must hold numbers",
        ),
        (
            header_of("{'descr': '<f4', 'fortran_order': False, 'shape': (16,), }"),
            r"must hold vectors \[n, dim\], got shape \(16,\)",
        ),
        (
            header_of("{'descr': '<f4', 'fortran_order': False, 'shape': (16, 0), }"),
            "must hold vectors .* of at least one column",
        ),
        (
            header_of("{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -4), }"),
            "at least one column, got",
        ),
        (
            header_of(
                "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }"
            ),
            "at least one column, got",
        ),
        (
            header_of("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 4), }"),
            "has 64 bytes of values where its header says 17592186044416",
        ),
        (
            header_of("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), }"),
            "has 64 bytes of values where its header says 48",
        ),
        (npz, "not an array of numbers, or damaged"),
    ],
)
@pytest.mark.parametrize("mmap", [False, True])
def test_a_npy_file_that_holds_no_vectors_is_named(tmp_path, data, message, mmap):
    data(tmp_path / "v.npy") if callable(data) else (tmp_path / "v.npy").write_bytes(data)
    with pytest.raises(ValueError, match=rf"v\.npy: .*{message}"):
        storage.load_vectors(tmp_path / "v.npy", mmap=mmap)


def test_vectors_of_other_tools_are_read(tmp_path):
    for vectors in (
        VECTORS.astype(">f4"),
        np.asfortranarray(VECTORS),
        VECTORS.astype(np.float64),
        VECTORS.astype(np.float16),
        np.full((2, 3), np.float32([np.nan, np.inf, 1])),
        np.arange(6, dtype=np.int64).reshape(2, 3) + 2**40,
        VECTORS[:0],
    ):
        np.save(tmp_path / "v.npy", vectors)
        found = storage.load_vectors(tmp_path / "v.npy")[1]
        assert found.dtype == vectors.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, vectors)
        if vectors.dtype.isnative:
            np.testing.assert_array_equal(
                storage.load_vectors(tmp_path / "v.npy", mmap=True)[1], vectors
            )
    np.save(tmp_path / "v.npy", VECTORS.astype(">f4"))
    with pytest.raises(ValueError, match=r"v\.npy: has another machine's byte order, >f4"):
        storage.load_vectors(tmp_path / "v.npy", mmap=True)


def test_types_that_numpy_does_not_read_back_are_written_as_float32(tmp_path):
    import ml_dtypes

    storage.save_vectors(tmp_path / "v.npy", VECTORS.astype(ml_dtypes.bfloat16))
    found = np.load(tmp_path / "v.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VECTORS.astype(ml_dtypes.bfloat16).astype(np.float32))


@pytest.mark.parametrize(
    ("vectors", "ids", "message"),
    [
        ([[1.0], [1.0, 2.0]], None, "vectors must be .*, got rows of different lengths"),
        (np.zeros((3, 0)), None, r"vectors must be \[n, dim\], got shape \(3, 0\)"),
        ([["a", "b"]], None, "vectors must be real numbers, got <U1"),
        (np.full((1, 2), None), None, "vectors must be real numbers, got object"),
        (np.ones((1, 2), complex), None, "vectors must be real numbers, got complex128"),
        (np.full((1, 2), 1e39), None, "vectors must fit float32, got numbers beyond it"),
        (VECTORS[:2], [1], r"ids must be \[2\], one per vector, got 1"),
        (
            VECTORS[:2],
            ["a", None],
            "ids must be all strings or all whole numbers, got NoneType and str",
        ),
        (VECTORS[:2], [1, "a"], "ids must be all strings or all whole numbers, got int and str"),
        (VECTORS[:2], [1.0, 2.0], "ids must be all strings or all whole numbers, got float"),
        (VECTORS[:2], [True, False], "ids must be all strings or all whole numbers, got bool"),
        (VECTORS[:2], [0, 2**64], "ids must fit 64 bits, got 0 to 18446744073709551616"),
        (VECTORS[:2], [-1, 2**63], "ids must fit 64 bits"),
    ],
)
def test_vectors_and_ids_that_would_not_come_back_are_not_written(tmp_path, vectors, ids, message):
    pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match=message):
        storage.save_vectors(tmp_path / "v.parquet", vectors, ids)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ids", [[2**63 - 1, -(2**63)], [2**64 - 1, 0], ["01", "1"], ["", "a b"]])
def test_ids_are_not_narrowed(tmp_path, ids):
    pytest.importorskip("pyarrow")
    storage.save_vectors(tmp_path / "v.parquet", VECTORS[:2], ids)
    assert storage.load_vectors(tmp_path / "v.parquet")[0].tolist() == ids


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"]}, "lacks the column 'vector'"),
        ({"vector": [[1.0]]}, "lacks the column 'id'"),
        ({"id": ["a", None], "vector": [[1.0], [2.0]]}, "row 1 has no id"),
        (
            {"id": [1.5], "vector": [[1.0]]},
            "id must be a column of strings or integers, got double",
        ),
        (
            {"id": [b"a"], "vector": [[1.0]]},
            "id must be a column of strings or integers, got binary",
        ),
        ({"id": ["a\0"], "vector": [[1.0]]}, "ids must not end in a zero character"),
        ({"id": ["a"], "vector": [1.0]}, "vector must be a column of lists of numbers, got double"),
        ({"id": ["a"], "vector": [["x"]]}, "vector must be a column of lists of numbers, got list"),
        (
            {"id": ["a"], "vector": [[[1.0]]]},
            "vector must be a column of lists of numbers, got list",
        ),
        ({"id": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]}, "vectors must be of one length"),
        ({"id": ["a", "b"], "vector": [[1.0], None]}, "vectors must be of one length"),
        (
            {"id": ["a", "b"], "vector": [[1.0], [None]]},
            "vectors must be of one length, with none and no number",
        ),
        ({"id": ["a"], "vector": [[1e39]]}, "vectors must fit float32"),
    ],
)
def test_a_parquet_file_that_holds_no_vectors_is_named(tmp_path, columns, message):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), tmp_path / "v.parquet")
    with pytest.raises(ValueError, match=rf"v\.parquet: {message}"):
        storage.load_vectors(tmp_path / "v.parquet")


def test_parquet_of_other_tools_is_read_and_damage_is_named(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "v.parquet"
    for vectors in (pa.list_(pa.float64()), pa.large_list(pa.float16()), pa.list_(pa.int32(), 3)):
        table = pa.table(
            {
                "id": pa.array(list("ab") * 8).dictionary_encode(),
                "more": pa.array(range(16)),
                "vector": pa.array([[1, 2, 3], [4, 5, 6]] * 8, vectors),
            }
        )
        parquet.write_table(table, path, row_group_size=5)
        ids, found = storage.load_vectors(path)
        assert ids.tolist() == list("ab") * 8
        assert found.dtype == np.float32
        assert found.tolist() == [[1, 2, 3], [4, 5, 6]] * 8
    with pytest.raises(ValueError, match=r"v\.parquet: only \.npy can be mapped"):
        storage.load_vectors(path, mmap=True)
    for damaged in (b"", b"PAR1", path.read_bytes()[:-20], path.read_bytes()[:300]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"v\.parquet: not a parquet file, or damaged"):
            storage.load_vectors(path)
    with pytest.raises(ValueError, match="must be a file, is a folder"):
        storage.load_vectors(tmp_path)


def test_pages_of_parquet_have_checksums(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "v.parquet"
    vectors = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    storage.save_vectors(path, vectors)
    whole = path.read_bytes()
    for place in range(4000, 12_000, 500):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"v\.parquet: not a parquet file, or damaged"):
            storage.load_vectors(path)


def test_a_run_keeps_the_order_of_its_ties(tmp_path):
    ids = np.array([[2, 0, 1], [1, 2, -1]])
    scores = np.float32([[0.5, 0.5, 0.5], [3, 1, -np.inf]])
    storage.save_run(tmp_path / "run", ["q1", "q2"], ["a", "b", "c"], ids, scores)
    first = (tmp_path / "run").read_text().splitlines()[0].split()
    assert first == ["q1", "Q0", "c", "1", "0.5", "jaxsim"]
    run = storage.load_run(tmp_path / "run")
    assert [name for name, _ in run["q1"]] == ["c", "a", "b"]
    values = [value for _, value in run["q1"]]
    assert values == sorted(set(values), reverse=True)  # no tie is left
    assert run["q2"] == [("b", 3.0), ("c", 1.0)]


def test_judgments_come_back_also_from_beir(tmp_path):
    judgments = {"q1": {"a": 2, "b": 0}, "q2": {"c": 1}}
    storage.save_qrels(tmp_path / "qrels", judgments)
    assert storage.load_qrels(tmp_path / "qrels") == judgments
    (tmp_path / "beir").write_text("query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\nq2\tc\t1\n")
    assert storage.load_qrels(tmp_path / "beir") == judgments
    run = {"q1": [("x", 3.0), ("a", 2.0)], "q3": [("a", 1.0)]}
    queries, relevance, where, ideal = storage.ranking_arrays(run, judgments)
    assert queries == ["q1", "q2"]
    assert relevance.tolist() == [[0, 2], [0, 0]]
    assert where.tolist() == [[True, True], [False, False]]
    assert ideal.tolist() == [[2, 0], [1, 0]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_marks_tabs_and_spaces_are_read(tmp_path, encoding):
    beir = "query-id\tcorpus-id\tscore\r\nq 7\td 1\t1\r\n\r\nq 8\td\u00a02\t2.0\r\nq9\td\t-1"
    (tmp_path / "qrels").write_bytes(beir.encode(encoding))
    expected = {"q 7": {"d 1": 1}, "q 8": {"d\u00a02": 2}, "q9": {"d": -1}}
    assert storage.load_qrels(tmp_path / "qrels") == expected
    (tmp_path / "run").write_bytes("q Q0 d\u3000é 1 -2e3 t\n q  Q0\td 2 .5 t \n".encode(encoding))
    assert storage.load_run(tmp_path / "run") == {"q": [("d", 0.5), ("d\u3000é", -2000.0)]}
    packed = gzip.compress("q 1\tQ0\td 1\t1\t0\tmy tag\n".encode(encoding))
    (tmp_path / "run.gz").write_bytes(packed)
    assert storage.load_run(tmp_path / "run.gz") == {"q 1": [("d 1", 0.0)]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q Q0 d 1 0.5\n", "line 1: a run has 6 columns, got 5"),
        ("q Q0 d 1 high t\n", "line 1: 'high' is not a number"),
        ("q Q0 d 1 1 t\n\nq Q0 d e 1 1 t\n", "line 3: a run has 6 columns, got 7"),
        (
            "query Q0 document rank score tag\n",
            "line 1: the rank must be a whole number, got 'rank'",
        ),
        ("q Q0 d 0.5 1 t\n", "line 1: the rank must be a whole number, got '0.5'"),
        ("q Q0 d 1 nan t\n", "line 1: the score must be finite, got 'nan'"),
        ("q Q0 d 1 -inf t\n", "line 1: the score must be finite, got '-inf'"),
        ("q Q0 d 1 1_0 t\n", "line 1: '1_0' is not a number"),
        (
            "q Q0 a 1 2 t\nq Q0 d 2 1 t\nr Q0 d 1 2 t\nq Q0 d 2 0 t\n",
            "line 4: ranks 'd' again for 'q', as line 2 did",
        ),
        (
            "q Q0 d\0 1 2 t\n",
            r"line 1: holds the control character '\\x00': save the file as UTF-8",
        ),
        ("q\tQ0\t\t1\t2\tt\n", "line 1: column 3 is empty"),
        ("q Q0 d 1 2 t\nq Q0 caf\udce9 2 1 t\n", ": line 2 holds the byte 0xe9, not UTF-8"),
    ],
)
def test_bad_lines_of_a_run_are_named(tmp_path, text, message):
    (tmp_path / "run").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=f"run(, |){message}"):
        storage.load_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "q 0 d 1\nq 0 d 2\n",
            "line 2: q and d are judged twice, with different grades: 1 before, now 2",
        ),
        (
            "q 0 d 1.5\n",
            "line 1: the relevance must be a whole number of 32 bits, got '1.5' .a header",
        ),
        ("q 0 d 1\nq 0 e high\n", "line 2: the relevance must be .*, got 'high'$"),
        ("q 0 d 1e3\n", "line 1: the relevance must be a whole number"),
        ("q 0 d 1_0\n", "line 1: the relevance must be a whole number"),
        ("q 0 d 2147483648\n", "line 1: the relevance must be a whole number of 32 bits"),
        ("q 0 d 99999999999999999999\n", "line 1: the relevance must be a whole number of 32 bits"),
        ("q 0 d nan\n", "line 1: the relevance must be a whole number"),
        ("q 0 d 1\nq d 1\n", "line 2: has 3 columns, line 1 has 4"),
        ("q\td\t1\nq 0 e 1\n", "line 2: has 4 columns, line 1 has 3"),
        ("q d\n", "line 1: qrels have 3 or 4 columns, got 2"),
        ("q,d,1\n", "line 1: qrels have 3 or 4 columns, got 1"),
        ("q\t\t1\n", "line 1: column 2 is empty"),
        ("q\x1cx d 1\n", r"line 1: holds the control character '\\x1c'"),
        (
            "query-id\tcorpus-id\tscore\nquery-id\tcorpus-id\tscore\n",
            "line 2: the relevance must be",
        ),
    ],
)
def test_bad_lines_of_judgments_are_named(tmp_path, text, message):
    (tmp_path / "qrels").write_bytes(text.encode())
    with pytest.raises(ValueError, match=f"qrels, {message}"):
        storage.load_qrels(tmp_path / "qrels")


def test_a_pair_judged_twice_equally_is_one(tmp_path):
    (tmp_path / "qrels").write_text("q 0 d 1\nq 0 d 1.0\nq 0 e +0\n")
    assert storage.load_qrels(tmp_path / "qrels") == {"q": {"d": 1, "e": 0}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [[1.0, 2.0]]}, "scores must never rise within a row: query 'q'"),
        ({"scores": [[2.0, np.nan]]}, "scores must be finite float32: query 'q'"),
        ({"scores": [[1e39, 1.0]]}, "scores must be finite float32: query 'q'"),
        ({"document_ids": ["a", "a b"]}, "document_ids must be words .*, got 'a b' in row 2"),
        ({"document_ids": ["a", ""]}, "document_ids must be words without .*, got '' in row 2"),
        ({"document_ids": ["a", "a"]}, "must rank a document once: query 'q' has 'a' twice"),
        ({"ids": [[1, 1]]}, "must rank a document once: query 'q' has 'b' twice"),
        ({"ids": [[0, 2]]}, "ids must be below 2 documents, got 2"),
        ({"ids": [[0.0, 1.0]]}, "ids must be integers, got float64"),
        ({"query_ids": ["q\u00a0"]}, "query_ids must be words"),
        ({"tag": "my run"}, "tag must be words without white space, got 'my run'"),
        (
            {"query_ids": ["q", "q"], "ids": [[0, 1]] * 2, "scores": [[2, 1]] * 2},
            "query_ids must differ, got 'q' twice",
        ),
    ],
)
def test_a_run_that_does_not_fit_is_refused(tmp_path, change, message):
    good = {"query_ids": ["q"], "document_ids": ["a", "b"], "ids": [[0, 1]], "scores": [[2, 1]]}
    with pytest.raises(ValueError, match=message):
        storage.save_run(tmp_path / "run", **good | change)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("relevance", [1.5, float("nan"), 2**31, float("inf")])
def test_judgments_that_do_not_fit_are_refused(tmp_path, relevance):
    with pytest.raises(ValueError, match="relevances must be whole numbers of 32 bits, got "):
        storage.save_qrels(tmp_path / "qrels", {"q": {"d": relevance}})
    with pytest.raises(ValueError, match="ids must be words without white space, got 'd e'"):
        storage.save_qrels(tmp_path / "qrels", {"q": {"d e": 1}})
    with pytest.raises(ValueError, match="k must be a whole number of at least 1, got 0"):
        storage.ranking_arrays({"q": []}, {"q": {"d": 1}}, k=0)
