"""The scorer of pairs: right in every bucket, on eight devices, and resumable as a matrix."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import search, similarity

RNG = np.random.default_rng(0)


def texts(count, length):
    where = np.arange(length) < RNG.integers(1, length + 1, size=(count, 1))
    return {"tokens": np.where(where, RNG.integers(1, 9, size=(count, length)), 0), "where": where}


QUERIES, ITEMS = texts(5, 8), texts(12, 16)


def score(params, queries, candidates):
    """Not symmetric, and it sees the padding: cutting at the wrong place would show."""
    left = jnp.sum(queries["tokens"] * queries["where"], axis=1)
    right = jnp.sum((candidates["tokens"] ** 2) * candidates["where"], axis=1)
    return params * left + jnp.sqrt(right.astype(jnp.float32)) + left * right / 100


def expected(rows, items):
    left = QUERIES["tokens"].sum(axis=1)[rows]
    right = (ITEMS["tokens"].astype(float) ** 2).sum(axis=1)[items]
    return 3 * left + np.sqrt(right) + left * right / 100


@pytest.mark.parametrize("batch", [1, 8, 1024])
def test_pairs_come_back_in_their_order(batch):
    scorer = search.scorer(score, jnp.float32(3), QUERIES, ITEMS, batch=batch)
    rows, items = RNG.integers(0, 5, 70), RNG.integers(0, 12, 70)
    result = scorer(rows, items)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected(rows, items), rtol=1e-6)
    assert scorer([], []).shape == (0,)


def test_padding_is_cut_to_the_bucket():
    lengths = []

    def seen(params, queries, candidates):
        lengths.append((queries["tokens"].shape[1], candidates["tokens"].shape[1]))
        return score(params, queries, candidates)

    scorer = search.scorer(
        seen, jnp.float32(3), QUERIES, ITEMS, query_buckets=(4, 8), item_buckets=(6, 16)
    )
    longest = ITEMS["where"].sum(axis=1).argmin()
    scorer(np.array([0]), np.array([longest]))
    wanted = 4 if QUERIES["where"][0].sum() <= 4 else 8
    assert lengths == [(wanted, 6 if ITEMS["where"][longest].sum() <= 6 else 16)]


def test_late_interaction_of_token_vectors_is_a_scorer():
    sides = [
        {"vectors": np.float32(RNG.normal(size=(*side["where"].shape, 4))), "where": side["where"]}
        for side in (QUERIES, ITEMS)
    ]
    result = search.similarity_scorer(similarity.max_sim, *sides, batch=16)
    rows, items = np.divmod(np.arange(60), 12)
    dots = np.einsum("qad,ibd->qiab", *(side["vectors"].astype(float) for side in sides))
    best = np.where(ITEMS["where"][:, None], dots, -np.inf).max(axis=3)
    expected = np.where(QUERIES["where"][:, None], best, 0).sum(axis=2)
    np.testing.assert_allclose(result(rows, items), expected.ravel(), rtol=1e-4, atol=1e-5)


def test_any_similarity_of_embeddings_is_a_scorer():
    queries, items = (RNG.normal(size=(n, 4)).astype(np.float32) for n in (5, 12))
    result = search.similarity_scorer(similarity.dot, queries, items, batch=16)
    rows, ids = RNG.integers(0, 5, 40), RNG.integers(0, 12, 40)
    np.testing.assert_allclose(result(rows, ids), (queries @ items.T)[rows, ids], atol=1e-5)


def test_the_matrix_of_an_index_is_all_pairs():
    scorer = search.scorer(score, jnp.float32(3), QUERIES, ITEMS)
    matrix = search.anchor_scores(scorer, 5, 12, rows=2)
    rows, items = np.divmod(np.arange(60), 12)
    np.testing.assert_allclose(matrix.ravel(), expected(rows, items), rtol=1e-6)


def test_a_matrix_that_was_interrupted_goes_on(tmp_path):
    asked = []

    def scorer(rows, items):
        asked.extend(rows.tolist())
        if 3 in rows and len(asked) < 60:
            raise KeyboardInterrupt
        return np.float32(rows * 100 + items)

    with pytest.raises(KeyboardInterrupt):
        search.anchor_scores(scorer, 5, 12, rows=1, path=tmp_path / "scores")
    assert not (tmp_path / "scores").exists()
    asked = [0] * 60
    matrix = search.anchor_scores(scorer, 5, 12, rows=1, path=tmp_path / "scores")
    np.testing.assert_array_equal(matrix, np.arange(5)[:, None] * 100 + np.arange(12))
    assert set(asked[60:]) == {3, 4}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scores"]


def by_cosine(rows, items):
    return search.similarity_scorer(similarity.cosine, np.eye(2), np.eye(2))(rows, items)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: search.scorer(score, 1.0, {k: v[:0] for k, v in QUERIES.items()}, ITEMS),
            "queries must not be empty, got 0 rows",
        ),
        (
            lambda: search.scorer(score, 1.0, QUERIES, ITEMS)(np.array([5]), np.array([0])),
            "query_rows must be from 0 to 4, got 5 to 5",
        ),
        (
            lambda: search.scorer(score, 1.0, QUERIES, ITEMS)(np.array([1, 2]), np.array([0])),
            r"query_rows and item_ids must be \[pairs\] each, got \(2,\), \(1,\)",
        ),
        (
            lambda: search.scorer(score, 1.0, QUERIES, ITEMS, item_buckets=(1, 2)),
            "exceeds the largest bucket, 2",
        ),
        (
            lambda: search.anchor_scores(lambda q, i: q * np.nan, 2, 3, label="scoring"),
            "scoring: 6 of 6 entries are NaN in rows 0 to 1",
        ),
        (
            lambda: search.anchor_scores(lambda q, i: np.full(len(q), np.inf), 2, 3),
            "the scorer returned infinity for 6 of 6 pairs",
        ),
        (
            lambda: search.anchor_scores(lambda q, i: q[:2], 2, 3),
            r"the scorer must return one score per pair, \[6\]",
        ),
        (lambda: search.anchor_scores("x", 2, 3), "scorer must be a function"),
        (
            lambda: search.anchor_scores(lambda q, i: q, True, 3),
            "num_queries must be a whole number",
        ),
        (
            lambda: search.drawn_entries([[2**32]], lambda q, i: q),
            "first_stage_ids must fit 32 bits",
        ),
        (lambda: search.drawn_entries([[1.5]], lambda q, i: q), "first_stage_ids must be integers"),
        (lambda: by_cosine([0], [2**32]), "item_ids must be from 0 to 1, got 4294967296"),
        (lambda: by_cosine([0], [2]), "item_ids must be from 0 to 1, got 2 to 2"),
        (lambda: by_cosine([0.5], [1]), "query_rows must be integers, got float64"),
        (
            lambda: search.similarity_scorer("cosine", np.eye(2), np.eye(2)),
            "similarity must be a function",
        ),
        (lambda: search.scorer("x", (), QUERIES, ITEMS), "score must be a function"),
        (
            lambda: search.scorer(len, (), QUERIES["tokens"], ITEMS),
            r'queries must be \{"tokens": int',
        ),
        (
            lambda: search.scorer(
                lambda p, x, y: jnp.zeros((len(x["tokens"]), 2)), (), QUERIES, ITEMS
            )([0], [0]),
            r"score must return one score per pair, \[1024\], got shape \(1024, 2\)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
