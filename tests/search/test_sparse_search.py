"""Sparse search against float64 products: masks, ties, blocks, files, and a corpus encoded into them."""

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array

from jaxsim import search

RANDOM = np.random.default_rng(0)
DIM = 90


def drawn(rows, share):
    """Dense vectors, most of whose numbers are 0; of sixteenths, so that scores are exact and often equal."""
    values = RANDOM.integers(1, 32, size=(rows, DIM)) / 16
    return np.float32(values * (RANDOM.random((rows, DIM)) < share))


ITEMS, QUERIES = drawn(70, 0.1), drawn(9, 0.15)
QUERIES[3] = 0  # finds the first items, of score 0
ITEMS[::7] = ITEMS[3]


def reference(queries, items, k, where=None, exclude=None):
    scores = np.float64(queries) @ np.float64(items).T
    if where is not None:
        scores[:, ~where] = -np.inf
    if exclude is not None:
        for row, left_out in enumerate(exclude):
            scores[row, [one for one in left_out if 0 <= one < len(items)]] = -np.inf
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, ids, axis=1)
    return best, np.where(best == -np.inf, -1, ids)


def assert_found(found, expected):
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)


@pytest.fixture(scope="module")
def index():
    return search.sparse_index(csr_array(ITEMS), block=32)


@pytest.mark.parametrize("query_block", [4, 32])
def test_the_best_are_those_of_the_dense_product(index, query_block):
    found = search.sparse_exact(csr_array(QUERIES), index, 12, query_block=query_block)
    assert_found(found, reference(QUERIES, ITEMS, 12))
    assert found[0].dtype == np.float32
    assert found[1].dtype == np.int32


def test_what_must_not_be_found_is_not(index):
    where = RANDOM.random(len(ITEMS)) < 0.3
    exclude = RANDOM.integers(-1, 90, size=(len(QUERIES), 3))
    count = int(where.sum()) + 2
    found = search.sparse_exact(QUERIES, index, count, where=where, exclude=exclude, query_block=4)
    expected = reference(QUERIES, ITEMS, count, where, exclude)
    assert (expected[1] == -1).any()
    assert_found(found, expected)


def test_more_than_a_block_is_found_and_numbers_may_be_negative():
    items, queries = ITEMS.copy(), QUERIES.copy()
    items[:, ::3] *= -1
    index = search.sparse_index(csc_array(items), block=16)
    assert len(index.blocks) == 5
    found = search.sparse_exact(queries, index, len(items), query_block=16)
    assert_found(found, reference(queries, items, len(items)))
    assert index.active_dims == np.count_nonzero(items) / len(items)


def test_an_index_on_a_device_and_one_in_files_give_the_same(index, tmp_path):
    expected = search.sparse_exact(QUERIES, index, 12, query_block=4)
    search.save_sparse_index(tmp_path / "saved", index)
    for other in (
        index.on_device(),
        search.load_sparse_index(tmp_path / "saved"),
        search.load_sparse_index(tmp_path / "saved", mmap=True),
    ):
        found = search.sparse_exact(QUERIES, other, 12, query_block=4)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    search.save_sparse_index(tmp_path / "saved", search.sparse_index(ITEMS[:5]))
    assert search.load_sparse_index(tmp_path / "saved").count == 5


def test_no_queries_and_empty_items(index):
    scores, ids = search.sparse_exact(np.zeros((0, DIM)), index, 3)
    assert scores.shape == ids.shape == (0, 3)
    empty = search.sparse_index(np.zeros((4, DIM)))
    scores, ids = search.sparse_exact(QUERIES, empty, 2, query_block=4)
    np.testing.assert_array_equal(ids, [[0, 1]] * len(QUERIES))
    assert not np.asarray(scores).any()


def test_refusals(index, tmp_path):
    for arguments, words in (
        ((QUERIES[:, :5], index, 3), r"queries must be \[any, 90\]"),
        ((QUERIES, index, 71), "k must be at most 70"),
        ((QUERIES, ITEMS, 3), "index must be a `SparseIndex`"),
        ((np.full((1, DIM), np.nan), index, 3), "queries must be finite"),
        ((np.full((1, DIM), "a"), index, 3), "queries must be real numbers"),
    ):
        with pytest.raises(ValueError, match=words):
            search.sparse_exact(*arguments)
    with pytest.raises(ValueError, match="items must not be empty"):
        search.sparse_index(np.zeros((0, 4)))
    with pytest.raises(ValueError, match="where must"):
        search.sparse_exact(QUERIES, index, 3, where=np.ones(3, bool))
    search.save_sparse_index(tmp_path / "saved", index)
    (tmp_path / "saved" / "block-000001").write_bytes(b"no")
    with pytest.raises(ValueError, match="block-000001: not an array file"):
        search.load_sparse_index(tmp_path / "saved")


TEXTS = [[int(token) for token in RANDOM.integers(0, DIM, size=1 + n % 5)] for n in range(23)]


def encode(params, texts):
    """The sum of the weights of a text's tokens."""
    import jax.numpy as jnp

    rows = jnp.arange(len(texts["tokens"]))[:, None]
    weights = jnp.where(texts["where"], params[texts["tokens"]], 0)
    return jnp.zeros((len(rows), DIM)).at[rows, texts["tokens"]].add(weights)


def test_a_corpus_is_encoded_into_files_and_resumes(tmp_path):
    params = np.float32(RANDOM.integers(0, 3, size=DIM))
    dense = np.zeros((len(TEXTS), DIM))
    for row, text in enumerate(TEXTS):
        np.add.at(dense[row], text, params[text])
    calls = []

    def tokenize(texts, fail_at=None):
        calls.append(len(texts))
        if len(calls) == fail_at:
            raise RuntimeError("killed")
        return [np.array(text, np.int32) for text in texts]

    settings = {"path": tmp_path / "docs", "block": 8, "fingerprint": "a"}
    with pytest.raises(RuntimeError, match="killed"):
        search.encode_sparse_corpus(
            encode, params, lambda texts: tokenize(texts, 3), TEXTS, **settings
        )
    with pytest.raises(ValueError, match="the index is not finished"):
        search.load_sparse_index(tmp_path / "docs")
    index = search.encode_sparse_corpus(encode, params, tokenize, TEXTS, **settings)
    assert calls == [8, 8, 7, 7]  # the first two blocks stayed
    again = search.encode_sparse_corpus(encode, params, tokenize, TEXTS, **settings)
    assert len(calls) == 4
    memory = search.encode_sparse_corpus(encode, params, tokenize, TEXTS, block=8)
    for one in (index, again, memory, search.load_sparse_index(tmp_path / "docs", mmap=True)):
        assert_found(search.sparse_exact(dense, one, 6), reference(dense, dense, 6))
    with pytest.raises(ValueError, match="fingerprint 'a', wanted 'b'"):
        search.encode_sparse_corpus(
            encode, params, tokenize, TEXTS, **settings | {"fingerprint": "b"}
        )
