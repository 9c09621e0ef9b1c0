"""Vectors, runs and judgements go out and come back; what is damaged is refused by name."""

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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q Q0 d 1 0.5\n", "line 1: a run has 6 columns, got 5"),
        ("q Q0 d 1 high t\n", "line 1: 'high' is no number"),
    ],
)
def test_bad_lines_are_named(tmp_path, text, message):
    (tmp_path / "run").write_text(text)
    with pytest.raises(ValueError, match=message):
        storage.load_run(tmp_path / "run")
    (tmp_path / "qrels").write_text("q 0 d 1\nq 0 d 2\n")
    with pytest.raises(ValueError, match="line 2: q and d are judged twice, unlike"):
        storage.load_qrels(tmp_path / "qrels")
    with pytest.raises(ValueError, match="scores must never rise within a row: query 'q'"):
        storage.save_run(tmp_path / "new", ["q"], ["a", "b"], [[0, 1]], [[1.0, 2.0]])
    with pytest.raises(
        ValueError, match="document_ids must be words without white space, got 'a b'"
    ):
        storage.save_run(tmp_path / "new", ["q"], ["a b"], [[0]], [[1.0]])
