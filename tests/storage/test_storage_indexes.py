"""Index files that FAISS and usearch open, with the neighbors of our exact search."""

import numpy as np
import pytest

from jaxsim import search, similarity, storage

RANDOM = np.random.default_rng(0)
VECTORS = (RANDOM.normal(size=(300, 12)) * RANDOM.uniform(0.5, 2, (300, 1))).astype(np.float32)
QUERIES = RANDOM.normal(size=(20, 12)).astype(np.float32)
MEASURES = {
    "cosine": similarity.cosine,
    "dot": similarity.dot,
    "euclidean": similarity.negative_euclidean,
}
IDS = RANDOM.permutation(1000)[:300]
SAVES = {"faiss": storage.save_faiss, "usearch": storage.save_usearch}


def exact(metric):
    scores, rows = search.exact(QUERIES, VECTORS, k=10, similarity=MEASURES[metric])
    return np.asarray(scores), np.asarray(rows)


@pytest.mark.parametrize("ids", [None, IDS], ids=["rows", "ids"])
@pytest.mark.parametrize("metric", MEASURES)
def test_faiss_reads_it(metric, ids, tmp_path):
    faiss = pytest.importorskip("faiss", reason="needs faiss, of the extra faiss")
    storage.save_faiss(tmp_path / "a.faiss", VECTORS, metric=metric, ids=ids)
    queries = QUERIES.copy()
    if metric == "cosine":
        faiss.normalize_L2(queries)
    found, rows = faiss.read_index(str(tmp_path / "a.faiss")).search(queries, 10)
    scores, expected = exact(metric)
    np.testing.assert_array_equal(rows, expected if ids is None else ids[expected])
    theirs = -np.sqrt(found) if metric == "euclidean" else found
    np.testing.assert_allclose(theirs, scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ids", [None, IDS], ids=["rows", "ids"])
@pytest.mark.parametrize("metric", MEASURES)
def test_usearch_reads_it(metric, ids, tmp_path):
    index = pytest.importorskip("usearch.index", reason="needs usearch, of the extra usearch")
    storage.save_usearch(tmp_path / "a.usearch", VECTORS, metric=metric, ids=ids)
    restored = index.Index.restore(str(tmp_path / "a.usearch"))
    found = restored.search(QUERIES, 10, exact=True)
    scores, expected = exact(metric)
    expected = expected if ids is None else ids[expected]
    np.testing.assert_array_equal(found.keys, expected)
    ours = {"euclidean": scores**2}.get(metric, 1 - scores)
    np.testing.assert_allclose(found.distances, ours, rtol=1e-4, atol=1e-5)
    nearly = restored.search(QUERIES, 10).keys
    assert np.mean([np.isin(*rows) for rows in zip(nearly, expected, strict=True)]) > 0.9


REFUSED = {
    "metric": ({"metric": "l2"}, "metric must be one of 'cosine', 'dot', 'euclidean', got 'l2'"),
    "texts": ({"ids": ["a"] * 300}, r"ids must be whole numbers \[300\]"),
    "few": ({"ids": np.arange(3)}, r"one per vector, got int64 \(3,\)"),
    "twice": ({"ids": np.zeros(300, int)}, "ids must be different"),
    "large": ({"ids": np.arange(300, dtype=np.uint64) + 2**63}, "ids must fit int64"),
    "row": ({"vectors": VECTORS[0]}, r"vectors must be \[n, dim\]"),
    "nan": ({"vectors": np.full((3, 2), np.nan)}, "got NaN or infinity in row 0"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
def test_what_does_not_fit_is_named(name, save, tmp_path):
    settings, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        save(tmp_path / "a", **({"vectors": VECTORS} | settings))
    assert not (tmp_path / "a").exists()
