"""Judged collections and graded pairs, on files of their layout and on the real ones where they are."""

import gzip
import json
import os

import numpy as np
import pytest

from jaxsim import data

needs_data = pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="needs JAXSIM_DATA")


def test_a_collection_as_it_is_laid_out(tmp_path, monkeypatch):
    folder = tmp_path / "retrieval" / "toy"
    (folder / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": "d1", "title": "One", "text": "first"},
        {"_id": "d2", "title": "", "text": "second"},
        {"_id": "d3", "title": "Three", "text": "third"},
    ]
    queries = [{"_id": "q1", "text": "a"}, {"_id": "q2", "text": "b"}, {"_id": "q3", "text": "c"}]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    lines = ["query-id\tcorpus-id\tscore", "q1\td3\t2", "q1\td1\t1", "q2\td2\t0", "q3\td2\t1"]
    lines += ["q3\tgone\t1"]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    found = data.retrieval("toy")
    assert found.documents == ["One first", "second", "Three third"]
    assert found.queries == ["a", "c"], "q2 has nothing relevant"
    np.testing.assert_array_equal(found.truth, [[2, 0], [1, -1]])
    np.testing.assert_array_equal(found.grades, [[2, 1], [1, 0]])
    with pytest.raises(FileNotFoundError, match='no prepared dataset "retrieval/none"'):
        data.retrieval("none")


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
