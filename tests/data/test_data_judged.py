"""Judged collections and graded pairs, on files of their layout and on the real ones where they are."""

import gzip
import json
import os

import numpy as np
import pytest

from jaxsim import data

needs_data = pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="needs JAXSIM_DATA")


CORPUS = [
    {"_id": "d1", "title": "One", "text": "first"},
    {"_id": "d2", "title": None, "text": "second"},
    {"_id": "d3", "title": "Three", "text": "third"},
]
QUERIES = [{"_id": "q1", "text": "a"}, {"_id": "q2", "text": "b"}, {"_id": "q3", "text": "c"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td3\t2\nq1\td1\t1\nq2\td2\t0\nq3\td2\t1\nq3\tgone\t1\n"


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A function that lays out a collection."""
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))

    def laid_out(corpus=CORPUS, queries=QUERIES, qrels=QRELS):
        folder = tmp_path / "retrieval" / "toy"
        (folder / "qrels").mkdir(parents=True, exist_ok=True)
        for name, rows in (("corpus", corpus), ("queries", queries)):
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
        (folder / "qrels" / "test.tsv").write_text(qrels)
        return folder

    return laid_out


def test_a_collection_as_it_is_laid_out(toy):
    toy()
    found = data.retrieval("toy")
    assert found.documents == ["One first", "second", "Three third"]
    assert found.titles == ["One", "", "Three"]
    assert found.queries == ["a", "c"], "q2 has nothing relevant"
    np.testing.assert_array_equal(found.truth, [[2, 0], [1, -1]])
    np.testing.assert_array_equal(found.grades, [[2, 1], [1, 0]])
    with pytest.raises(FileNotFoundError, match='no prepared dataset "retrieval/none"'):
        data.retrieval("none")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"corpus": [*CORPUS, {"_id": "d4"}]}, r"corpus\.jsonl\.gz: line 4: text must be a string"),
        ({"corpus": [{"_id": 1, "text": "a"}]}, "line 1: _id must be a string, got 1"),
        ({"corpus": [CORPUS[0], CORPUS[0]]}, "line 2: _id must be an id that no earlier line has"),
        ({"corpus": [CORPUS[0] | {"title": 7}]}, "line 1: title must be a string, got 7"),
        ({"corpus": [[]]}, r"corpus.*: line 1 must be an object, got \[\]"),
        (
            {"queries": [*QUERIES, QUERIES[1]]},
            r"queries\.jsonl\.gz: line 4: _id must be an id that",
        ),
        ({"queries": []}, r"test\.tsv: judges no document of the corpus relevant to a query"),
        ({"qrels": QRELS + "q3\td1\tx\n"}, r"test\.tsv, line 7: the relevance must be a whole"),
        ({"qrels": ""}, r"test\.tsv: judges no document"),
    ],
)
def test_damaged_collections_are_named(toy, change, said):
    toy(**change)
    with pytest.raises(ValueError, match=said):
        data.retrieval("toy")


def test_a_truncated_collection_is_named(toy):
    path = toy() / "corpus.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"corpus\.jsonl\.gz: not gzip, or damaged"):
        data.retrieval("toy")


@needs_data
def test_cranfield_and_sts_benchmark():
    found = data.retrieval("cranfield")
    assert len(found.documents) == 1400
    assert found.truth.shape[0] == 225
    assert (found.truth >= 0).sum() == (found.grades > 0).sum() == 1612
    pairs = data.sts_benchmark("validation")
    assert len(pairs.first) == len(pairs.second) == len(pairs.scores) == 1500
    assert 0 <= pairs.scores.min() < pairs.scores.max() <= 5
    with pytest.raises(ValueError, match="split"):
        data.sts_benchmark("test")
