"""Vectors, runs and judgements go out and come back; what is damaged is refused by name."""

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
            ModuleNotFoundError, match=r'needs pyarrow: pip install "jaxsim\[parquet\]"'
        ):
            call()
    assert not (tmp_path / "v.parquet").exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: storage.save_vectors(p / "v.txt", VECTORS), r"must end in \.npy or \.parquet"),
        (lambda p: storage.save_vectors(p / "v.npy", VECTORS[0]), r"vectors must be \[n, dim\]"),
        (lambda p: storage.save_vectors(p / "v.npy", VECTORS, [1]), "ids have no place in .npy"),
        (lambda p: (p / "v.npy").write_bytes(b"x") and storage.load_vectors(p / "v.npy"), r"v\.npy: not an array"),
    ],
)  # fmt: skip
def test_bad_vectors_are_named(tmp_path, call, message):
    with pytest.raises(ValueError, match=message):
        call(tmp_path)


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


def test_judgements_come_back_also_from_beir(tmp_path):
    judgements = {"q1": {"a": 2, "b": 0}, "q2": {"c": 1}}
    storage.save_qrels(tmp_path / "qrels", judgements)
    assert storage.load_qrels(tmp_path / "qrels") == judgements
    (tmp_path / "beir").write_text("query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\nq2\tc\t1\n")
    assert storage.load_qrels(tmp_path / "beir") == judgements
    run = {"q1": [("x", 3.0), ("a", 2.0)], "q3": [("a", 1.0)]}
    queries, relevance, where, ideal = storage.ranking_arrays(run, judgements)
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
        ("query Q0 document rank score tag\n", "line 1: the rank must be a whole number, got 'rank'"),
        ("q Q0 d 0.5 1 t\n", "line 1: the rank must be a whole number, got '0.5'"),
        ("q Q0 d 1 nan t\n", "line 1: the score must be finite, got 'nan'"),
        ("q Q0 d 1 -inf t\n", "line 1: the score must be finite, got '-inf'"),
        ("q Q0 d 1 1_0 t\n", "line 1: '1_0' is not a number"),
        (
            "q Q0 a 1 2 t\nq Q0 d 2 1 t\nr Q0 d 1 2 t\nq Q0 d 2 0 t\n",
            "line 4: ranks 'd' again for 'q', as line 2 did",
        ),
        ("q Q0 d\0 1 2 t\n", r"line 1: holds the control character '\\x00': save the file as UTF-8"),
        ("q\tQ0\t\t1\t2\tt\n", "line 1: column 3 is empty"),
        ("q Q0 d 1 2 t\nq Q0 caf\udce9 2 1 t\n", ": line 2 holds the byte 0xe9, not UTF-8"),
    ],
)  # fmt: skip
def test_bad_lines_of_a_run_are_named(tmp_path, text, message):
    (tmp_path / "run").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=f"run(, |){message}"):
        storage.load_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q 0 d 1\nq 0 d 2\n", "line 2: q and d are judged twice, unlike: 1 before, now 2"),
        ("q 0 d 1.5\n", "line 1: the relevance must be a whole number of 32 bits, got '1.5' .a header"),
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
        ("query-id\tcorpus-id\tscore\nquery-id\tcorpus-id\tscore\n", "line 2: the relevance must be"),
    ],
)  # fmt: skip
def test_bad_lines_of_judgements_are_named(tmp_path, text, message):
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
def test_judgements_that_do_not_fit_are_refused(tmp_path, relevance):
    with pytest.raises(ValueError, match="relevances must be whole numbers of 32 bits, got "):
        storage.save_qrels(tmp_path / "qrels", {"q": {"d": relevance}})
    with pytest.raises(ValueError, match="ids must be words without white space, got 'd e'"):
        storage.save_qrels(tmp_path / "qrels", {"q": {"d e": 1}})
    with pytest.raises(ValueError, match="k must be a whole number of at least 1, got 0"):
        storage.ranking_arrays({"q": []}, {"q": {"d": 1}}, k=0)
