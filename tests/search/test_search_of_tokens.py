"""Late interaction over ragged documents: against loops in float64, from files, on devices, and under a budget."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import search, similarity
from jaxsim.search import _tokens

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(0, 40, 50)
LENGTHS[[3, 7]] = 0, 61
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
VECTORS = RNG.normal(size=(OFFSETS[-1], 6)).astype(np.float32)
QUERIES = {
    "vectors": RNG.normal(size=(5, 4, 6)).astype(np.float32),
    "where": np.arange(4) < np.array([[4], [2], [3], [4], [1]]),
}


def loops(vectors):
    scores = np.full((5, 50), -np.inf)
    for i, j in np.ndindex(5, 50):
        tokens = vectors[OFFSETS[j] : OFFSETS[j + 1]].astype(np.float64)
        if len(tokens):
            asked = QUERIES["vectors"][i][QUERIES["where"][i]]
            scores[i, j] = sum((tokens @ token).max() for token in asked)
    return scores


def ranked(scores, k):
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, ids, axis=1)
    return best, np.where(np.isneginf(best), -1, ids)


def assert_same(found, scores, k):
    expected = ranked(scores, k)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-5)


@pytest.mark.thorough
def test_ragged_documents_are_searched_as_loops_do(tmp_path):
    scores = loops(VECTORS)
    settings = {"block": 128, "query_block": 2}
    assert_same(search.exact_tokens(QUERIES, VECTORS, OFFSETS, 7, **settings), scores, 7)
    np.save(tmp_path / "vectors.npy", VECTORS)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    one = search.exact_tokens(QUERIES, mapped, OFFSETS, 7, devices=jax.devices()[0], **settings)
    assert_same(one, scores, 7)
    where, exclude = np.arange(50) % 3 > 0, np.array([[1, 4], [-1, 50], [7, 7], [2, 3], [0, 5]])
    for row, ids in enumerate(exclude):
        scores[row, ids[(ids >= 0) & (ids < 50)]] = -np.inf
    scores = np.where(where, scores, -np.inf)
    found = search.exact_tokens(
        QUERIES, VECTORS, OFFSETS, 50, where=where, exclude=exclude, **settings
    )
    assert_same(found, scores, 50)
    index = search.token_index(VECTORS, OFFSETS, block=128)
    held = {"query_block": 2, "where": where, "exclude": exclude}
    for one, other in zip(search.token_exact(QUERIES, index, 50, **held), found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_documents_are_padded_to_the_lengths_by_which_the_least_is_padded(monkeypatch):
    """Against all choices of three of twelve lengths."""
    lengths = RNG.integers(0, 13, 60)
    lengths[0] = 12
    real = lengths[lengths > 0]

    def padded(ends):
        return np.take(ends, np.searchsorted(ends, real)).sum()

    choices = [sorted({*pair, 12}) for pair in itertools.product(range(1, 13), repeat=2)]
    monkeypatch.setattr(_tokens, "KINDS", 3)
    assert padded(_tokens._ends(lengths, 8)) == min(map(padded, choices))
    assert _tokens._ends(lengths, 2**15).tolist() == [12]  # all fit into a part of a block
    monkeypatch.setattr(_tokens, "KINDS", 12)
    assert padded(_tokens._ends(lengths, 8)) == real.sum()
    assert _tokens._ends(np.zeros(3, int), 8).tolist() == [1]


@pytest.mark.parametrize(
    ("lengths", "most"),
    [
        ([10] * 600 + [1500], 1.01),
        ([30] * 20_000 + [70_000], 1.02),
        ([*range(20, 181)] * 50 + [32_768], 1.15),
        (range(1, 3000), 1.15),
    ],
)
def test_one_long_document_does_not_pad_the_others(lengths, most):
    lengths = np.asarray(lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    blocks = list(_tokens._blocks(np.zeros((offsets[-1], 1)), offsets, None, 2**15, 1))
    held = sum(documents["where"].size for _, documents in blocks)
    assert lengths.sum() <= held < most * lengths.sum()
    assert sum((ids >= 0).sum() for ids, _ in blocks) == len(lengths)


def test_filters_share_their_programs():
    lengths = RNG.integers(20, 181, 3000)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    vectors, shapes = np.zeros((offsets[-1], 1)), set()
    for share in np.linspace(0.01, 1, 30):
        allowed = RNG.random(3000) < share
        for ids, documents in _tokens._blocks(vectors, offsets, allowed, 2**15, 8):
            assert len(ids) % 8 == 0
            assert allowed[ids[ids >= 0]].all()
            shapes.add(documents["where"].shape)
    assert len(shapes) <= 8 * 6


def test_an_index_is_searched_as_its_vectors_are():
    where = np.arange(50) % 4 > 0
    exclude = np.array([[2**32 + 1, 2], [-1, 1], [3, 3], [4, 5], [6, 8]])
    scores = np.where(where, loops(VECTORS), -np.inf)
    for row, ids in enumerate(exclude):
        scores[row, ids[(ids >= 0) & (ids < 50)]] = -np.inf
    index = search.token_index(VECTORS, OFFSETS, block=1024, devices=jax.devices()[:2])
    assert_same(search.token_exact(QUERIES, index, 6, where=where, exclude=exclude), scores, 6)
    assert_same(search.token_exact(QUERIES, index, 6, similarity=by_a_loop), loops(VECTORS), 6)


def by_a_loop(queries, documents):
    """MaxSim as a user may write it: a sum that begins at zeros."""

    def added(place, total):
        products = jnp.einsum("nd,mtd->nmt", queries["vectors"][:, place], documents["vectors"])
        best = jnp.max(products, axis=2, where=documents["where"], initial=-jnp.inf)
        return total + jnp.where(queries["where"][:, place, None], best, 0)

    start = jnp.zeros((len(queries["where"]), len(documents["where"])))
    return jax.lax.fori_loop(0, queries["where"].shape[1], added, start)


def test_what_is_no_index_is_refused():
    with pytest.raises(ValueError, match="index must be a `TokenIndex`"):
        search.token_exact(QUERIES, VECTORS, 3)
    with pytest.raises(ValueError, match="offsets must increase from 0 to"):
        search.token_index(VECTORS, OFFSETS[:-1])
    index = search.token_index(VECTORS, OFFSETS)
    with pytest.raises(ValueError, match="k must be"):
        search.token_exact(QUERIES, index, 51)
    with pytest.raises(ValueError, match="exclude must be integers"):
        search.token_exact(QUERIES, index, 3, exclude=np.ones((5, 1)))


@pytest.mark.thorough
def test_ties_nan_and_means():
    copies = np.concatenate([VECTORS[:5]] * 4)
    offsets = np.arange(0, 21, 5)
    _, ids = search.exact_tokens(QUERIES, copies, offsets, 4)
    np.testing.assert_array_equal(ids, np.tile(np.arange(4), (5, 1)))
    damaged = copies.copy()
    damaged[7] = np.nan
    _, ids = search.exact_tokens(QUERIES, damaged, offsets, 4)
    np.testing.assert_array_equal(ids, np.tile([0, 2, 3, -1], (5, 1)))
    means = search.exact_tokens(
        QUERIES, VECTORS, OFFSETS, 7, similarity=similarity.mean_max_sim, block=256
    )
    assert_same(means, loops(VECTORS) / QUERIES["where"].sum(axis=1, keepdims=True), 7)


@pytest.mark.thorough
def test_padded_documents_give_the_same_in_blocks_of_their_tokens():
    length = LENGTHS.max()
    items = {"vectors": np.zeros((50, length, 6), np.float32)}
    items["where"] = np.arange(length) < LENGTHS[:, None]
    items["vectors"][items["where"]] = VECTORS
    found = search.exact(QUERIES, items, 7, similarity=similarity.max_sim, block=16)
    assert_same(found, loops(VECTORS), 7)
    assert search._brute_force._block_of(items, 128, True) <= 2**24 // (128 * length)


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["anncur", "adaptive"])
def test_a_budget_of_max_sim_finds_what_the_exact_search_finds(method):
    """Documents about topics: their scores are of low rank, which CUR uses; a third of the pairs are scored."""
    random = np.random.default_rng(1)
    topics = random.normal(size=(12, 16))

    def texts(count, length):
        chosen = random.integers(0, 12, (count, 1)), random.integers(0, 12, (count, length))
        of_token = np.where(random.uniform(size=(count, length)) < 0.7, *chosen)
        vectors = topics[of_token] + 0.3 * random.normal(size=(count, length, 16))
        vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
        return {"vectors": np.float32(vectors), "where": np.ones((count, length), bool)}

    documents, queries, others = texts(240, 12), texts(8, 5), texts(96, 5)
    anchors = np.asarray(similarity.max_sim(others, documents))
    scorer = search.similarity_scorer(similarity.max_sim, queries, documents, batch=256)
    if method == "anncur":
        index = search.cur_index(anchors, np.arange(0, 240, 6), ridge=0.05)
        found = search.anncur(index, scorer, 8, k=5, budget=80)
    else:
        found = search.adaptive(anchors, scorer, 8, k=5, budget=80, rounds=4)
    _, truth = search.exact(queries, documents, 5, similarity=similarity.max_sim, block=64)
    hits = [len(set(a) & set(b)) for a, b in zip(found.ids.tolist(), truth.tolist(), strict=True)]
    assert np.mean(hits) >= 4.9


class Row:
    def __init__(self, text):
        self.tokens = np.array([int(word) for word in text.split()], np.int32)
        self.seen = np.ones(len(self.tokens), bool)
        self.scored = self.tokens % 5 > 0


def encode(params, texts):
    places = jnp.arange(texts["tokens"].shape[1])
    numbers = texts["tokens"][..., None] * params + places[:, None] / 7
    return {"vectors": numbers, "where": texts["scored"]}


@pytest.mark.thorough
def test_a_corpus_is_encoded_without_padding_and_resumes(tmp_path):
    texts = [" ".join(map(str, RNG.integers(1, 30, size))) for size in RNG.integers(1, 20, 40)]

    def rows(texts):
        return [Row(text) for text in texts]

    params = np.float32([1.0, 0.5, -2.0])
    memory = search.encode_tokens(encode, params, rows, texts, batch_tokens=64)
    expected = [
        row.tokens[:, None] * params + np.arange(len(row.tokens))[:, None] / 7
        for row in rows(texts)
    ]
    kept = [vectors[row.scored] for vectors, row in zip(expected, rows(texts), strict=True)]
    np.testing.assert_allclose(memory[0], np.concatenate(kept), rtol=1e-5)
    np.testing.assert_array_equal(np.diff(memory[1]), list(map(len, kept)))

    path, calls = tmp_path / "docs.npy", []

    def stops(texts):
        calls.append(len(texts))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return rows(texts)

    settings = {"path": path, "chunk": 50, "fingerprint": "a"}
    with pytest.raises(KeyboardInterrupt):
        search.encode_tokens(encode, params, stops, texts, **settings)
    vectors, offsets = search.encode_tokens(encode, params, rows, texts, **settings)
    np.testing.assert_allclose(vectors, memory[0], rtol=1e-6)
    np.testing.assert_array_equal(np.load(tmp_path / "docs.offsets.npy"), offsets)
    with pytest.raises(ValueError, match="was written with fingerprint"):
        search.encode_tokens(encode, params, rows, texts, **settings | {"fingerprint": "b"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": OFFSETS[1:]}, "offsets must increase from 0 to the"),
        ({"offsets": OFFSETS[:-1]}, "offsets must increase from 0 to the"),
        ({"offsets": OFFSETS.astype(float)}, "offsets must be integers"),
        ({"k": 51}, "k must be at most 50, the number of documents"),
        ({"vectors": VECTORS[:, 0]}, r"vectors must be \[any, any\]"),
        ({"similarity": "max_sim"}, "similarity must be a function of token vectors"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    call = {"vectors": VECTORS, "offsets": OFFSETS, "k": 3} | change
    with pytest.raises(ValueError, match=message):
        search.exact_tokens(QUERIES, **call)
