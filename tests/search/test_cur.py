"""annCUR's kernels: the checks of its method, and float64 NumPy on the cases that ruin float32."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import search

R = np.array([[1.0, 0, 2, 1], [0, 1, 1, 3]])
TRUE = np.array([2.0, 1, 5, 5])


def estimates(scores, items, row, **settings):
    index = search.cur_index(scores, np.asarray(items), **settings)
    return np.asarray(search.cur_scores(index, row[..., items]))


def reference(scores, items, row, rtol=0.0, ridge=0.0, offsets=0.0):
    """annCUR in float64 by its definition: (c - o) pinv(A) (R - o) + o, with the filters of the singular values."""
    scores, row = np.float64(scores), np.float64(row)
    centered = scores - offsets
    o = np.broadcast_to(offsets, scores.shape[1])
    left, s, right = np.linalg.svd(centered[:, items], full_matrices=False)
    inverse = [x / (x**2 + (ridge * s[0]) ** 2) if x > rtol * s[0] else 0 for x in s]
    return (row[..., items] - o[items]) @ (right.T * inverse) @ left.T @ centered + o


def test_two_anchor_items_by_hand(float64):
    np.testing.assert_allclose(estimates(R, [0, 1], TRUE, center=None), [2, 1, 5, 5], atol=1e-12)


def test_one_anchor_item_by_hand(float64):
    np.testing.assert_allclose(estimates(R, [2], TRUE, center=None), [2, 1, 5, 5], atol=1e-12)


def test_one_anchor_query_by_hand(float64):
    row = np.array([2.0, 0, 5, 0])
    result = estimates(R[:1], [0, 2], row, center=None)
    np.testing.assert_allclose(result, [2.4, 0, 4.8, 2.4], atol=1e-12)
    # An absolute ridge of 1 is one of 1 / sigma_1 here, relative to sigma_1 = sqrt(5).
    result = estimates(R[:1], [0, 2], row, center=None, ridge=1 / np.sqrt(5))
    np.testing.assert_allclose(result, [2, 0, 4, 2], atol=1e-12)


def low_rank(rank, rows, columns, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, rank)) @ random.normal(size=(rank, columns))


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (5, 5)])
def test_low_rank_rows_are_rebuilt_exactly(shape, float64):
    k_q, k_i = shape
    matrix = low_rank(3, k_q + 4, 20)
    result = estimates(matrix[:k_q], np.arange(k_i), matrix[k_q:], center=None, rtol=1e-10)
    np.testing.assert_allclose(result, matrix[k_q:], atol=1e-10)


@pytest.mark.parametrize("k_i", [3, 6, 9])
def test_index_is_the_minimum_norm_regression_on_anchor_queries(k_i, float64):
    scores, row = (
        np.random.default_rng(0).normal(size=(6, 30)),
        np.random.default_rng(1).normal(size=30),
    )
    items = np.arange(k_i) * 2
    weights = np.linalg.pinv(scores[:, items].T) @ row[items]
    np.testing.assert_allclose(
        estimates(scores, items, row, center=None), weights @ scores, atol=1e-11
    )


def test_estimates_are_linear_and_follow_permutations_and_scale(float64):
    random = np.random.default_rng(0)
    scores, rows = random.normal(size=(6, 20)), random.normal(size=(2, 20))
    items = np.array([1, 4, 7, 11])
    find = functools.partial(estimates, center=None)
    both = find(scores, items, rows)
    np.testing.assert_allclose(
        find(scores, items, 2 * rows[0] - rows[1]), 2 * both[0] - both[1], atol=1e-12
    )
    order = random.permutation(20)
    moved = find(scores[:, order], np.argsort(order)[items], rows[:, order])
    np.testing.assert_allclose(moved, both[:, order], atol=1e-12)
    np.testing.assert_allclose(
        estimates(3 * scores, items, 3 * rows, rtol=0.1, ridge=0.1),
        3 * estimates(scores, items, rows, rtol=0.1, ridge=0.1),
        atol=1e-12,
    )


def test_anchor_items_are_reproduced_with_enough_anchor_queries(float64):
    scores, row = (
        np.random.default_rng(0).normal(size=(6, 20)),
        np.random.default_rng(1).normal(size=20),
    )
    items = np.arange(5)
    np.testing.assert_allclose(
        estimates(scores, items, row, center=None)[items], row[items], atol=1e-12
    )


def test_anchor_queries_are_reproduced_with_enough_anchor_items(float64):
    scores = np.random.default_rng(0).normal(size=(6, 20))
    np.testing.assert_allclose(
        estimates(scores, np.arange(9), scores, center=None), scores, atol=1e-11
    )


def test_limits_of_ridge_and_cutoff(float64):
    scores, row = (
        np.random.default_rng(0).normal(size=(6, 20)),
        np.random.default_rng(1).normal(size=20),
    )
    find = functools.partial(estimates, scores, np.arange(4), row, center=None)
    np.testing.assert_allclose(find(ridge=1e-9), find(), atol=1e-10)
    assert np.abs(find(ridge=1e9)).max() < 1e-8
    assert not find(rtol=1.0).any()


def test_a_constant_in_every_score_changes_no_ranking(float64):
    matrix = np.random.default_rng(0).normal(size=(10, 30))
    items = np.arange(6)
    plain = estimates(matrix[:7], items, matrix[7:])
    moved = estimates(matrix[:7] - 9, items, matrix[7:] - 9)
    np.testing.assert_allclose(moved, plain - 9, atol=1e-10)


# The cases of the bar: what float32 must survive.
HARD = {
    "rank-deficient": (low_rank(5, 14, 40), 10, 8, {"rtol": 1e-4}),
    "offset -9, spread 0.08": (
        -9 + 0.08 * np.random.default_rng(3).normal(size=(90, 300)),
        50,
        30,
        {"rtol": 0.03},
    ),
    "square": (
        low_rank(12, 60, 200, seed=4) + 0.3 * np.random.default_rng(5).normal(size=(60, 200)),
        40,
        40,
        {"ridge": 1e-2},
    ),
}


@pytest.mark.parametrize("center", [search.global_mean, search.item_means])
@pytest.mark.parametrize("name", HARD)
def test_float32_agrees_with_float64(name, center):
    matrix, k_q, k_i, settings = HARD[name]
    matrix = matrix.astype(np.float32)
    items = np.random.default_rng(0).permutation(matrix.shape[1])[:k_i]
    result = estimates(matrix[:k_q], items, matrix[k_q:], center=center, **settings)
    assert result.dtype == np.float32
    offsets = center(matrix[:k_q].astype(float))
    expected = reference(matrix[:k_q], items, matrix[k_q:], offsets=offsets, **settings)
    spread = (expected - offsets).std()
    np.testing.assert_allclose(result, expected, rtol=0, atol=2e-5 * max(spread, 0.1))
    # And so the ranking is that of float64, but for what differs by less than the bound.
    top, exact = np.argsort(-result, axis=1)[:, :10], np.sort(-expected, axis=1)[:, :10]
    got = -np.take_along_axis(expected, top, axis=1)
    np.testing.assert_allclose(got, exact, atol=4e-5 * max(spread, 0.1))


def test_the_cliff_at_equal_counts_needs_a_ridge():
    matrix, k_q, k_i, settings = HARD["square"]
    items = np.arange(k_i)
    errors = [
        np.abs(estimates(matrix[:k_q], items, matrix[k_q:], **s) - matrix[k_q:]).mean()
        for s in ({}, settings)
    ]
    assert errors[1] < errors[0] / 2


def test_index_is_a_pytree_and_scores_can_be_jitted():
    index = search.cur_index(np.float32(R), [0, 1])
    assert len(jax.tree.leaves(index)) == 6
    jitted = jax.jit(search.cur_scores)(index, jnp.float32([[2, 1], [0, 1]]))
    np.testing.assert_allclose(
        jitted, search.cur_scores(index, np.float32([[2, 1], [0, 1]])), rtol=1e-6
    )
    assert int(index.rank) == 2


def test_an_index_comes_back_from_its_file(tmp_path):
    index = search.cur_index(np.float32(R), [0, 1], rtol=0.1)
    search.save_index(tmp_path / "docs.index", index)
    for mine, theirs in zip(index, search.load_index(tmp_path / "docs.index"), strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype


def test_a_damaged_index_is_refused_by_name(tmp_path):
    path = tmp_path / "docs.index"
    search.save_index(path, search.cur_index(np.float32(R), [0, 1]))
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] + b"xyz")
    with pytest.raises(ValueError, match=r"docs\.index: checksum does not match its header"):
        search.load_index(path)
    path.write_bytes(whole[:-64])
    with pytest.raises(ValueError, match=r"docs\.index: has .* the file is truncated"):
        search.load_index(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"docs\.index: not an array file"):
        search.load_index(path)


@pytest.mark.parametrize("mmap", [False, True])
def test_a_mapped_index_answers_alike(tmp_path, mmap):
    matrix = low_rank(4, 20, 60).astype(np.float32)
    index = search.cur_index(matrix[:15], [3, 9, 20, 31, 40, 59], rtol=1e-3)
    search.save_index(tmp_path / "docs.index", index)
    loaded = search.load_index(tmp_path / "docs.index", mmap=mmap)
    assert isinstance(loaded.item_embeddings, np.memmap) == mmap
    mine, theirs = (
        search.anncur(i, lambda q, j: matrix[15 + q, j], 5, k=3, budget=12) for i in (loaded, index)
    )
    np.testing.assert_array_equal(mine.ids, theirs.ids)


@pytest.mark.parametrize("offsets", [None, "own"])
def test_added_items_are_those_of_an_index_of_all(offsets, float64):
    matrix, items = np.random.default_rng(0).normal(size=(9, 40)) + 3, np.array([2, 7, 11, 29])
    item_offsets = np.linspace(-1, 1, 40) if offsets else np.full(40, 0.5)
    whole = search.cur_index(matrix, items, rtol=0.1, center=lambda scores: item_offsets)
    part = search.cur_index(
        matrix[:, :30], items, rtol=0.1, center=lambda scores: item_offsets[:30]
    )
    grown = search.add_items(part, matrix[:, 30:], offsets=item_offsets[30:] if offsets else None)
    for mine, theirs in zip(grown, whole, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


def test_an_index_is_inner_products_for_other_tools():
    matrix = low_rank(4, 20, 60).astype(np.float32) - 9
    index = search.cur_index(matrix[:15], [3, 9, 20, 31], rtol=1e-3)
    exact_scores = matrix[15:, np.asarray(index.anchor_items)]
    vectors = search.item_matrix(index)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    result = search.query_vectors(index, exact_scores) @ vectors.T
    np.testing.assert_allclose(result, search.cur_scores(index, exact_scores), atol=1e-4)


def test_faiss_finds_in_an_indexs_items_what_we_find():
    faiss = pytest.importorskip("faiss", reason="needs faiss-cpu, of the extra peers")
    matrix = low_rank(4, 20, 60).astype(np.float32) - 9
    index = search.cur_index(matrix[:15], [3, 9, 20, 31], rtol=1e-3)
    exact_scores = matrix[15:, np.asarray(index.anchor_items)]
    vectors = search.item_matrix(index)
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    _, ids = flat.search(search.query_vectors(index, exact_scores), 5)
    estimates = np.asarray(search.cur_scores(index, exact_scores))
    np.testing.assert_array_equal(ids, np.argsort(-estimates, axis=1)[:, :5])


def test_columns_preference_is_the_index_of_the_transpose(float64):
    matrix = low_rank(3, 12, 20)
    queries, items = [1, 4, 6, 9], [0, 5, 11, 17]
    index = search.cur_index(matrix[:, items].T, queries, center=None, rtol=1e-10)
    middle = np.linalg.pinv(matrix[np.ix_(queries, items)], rcond=1e-10)
    expected = matrix[:, items] @ middle  # C U, [m, k_q]
    np.testing.assert_allclose(index.item_embeddings, expected, atol=1e-10)
    result = search.cur_scores(index, matrix[queries, 18])  # a new item, from the anchor queries
    np.testing.assert_allclose(result, matrix[:, 18], atol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: search.cur_index(R, [0, 0]), "anchor_items must be distinct, got 1 repeated"),
        (lambda: search.cur_index(R, [4]), "anchor_items must be from 0 to 3, got 4 to 4"),
        (lambda: search.cur_index(R, []), r"anchor_items must be int \[k_i\]"),
        (lambda: search.cur_index(R * np.nan, [0]), "anchor_scores must be finite, got 8"),
        (
            lambda: search.cur_index(R[:0], [0]),
            r"anchor_scores must not be empty, got shape \(0, 4\)",
        ),
        (lambda: search.cur_index(R, [0], ridge=-1), "ridge must be >= 0, got -1"),
        (lambda: search.cur_index(R, [0], ridge=np.inf), "ridge must be finite, got inf"),
        (lambda: search.cur_index(R, [0], rtol=np.nan), "rtol must be >= 0, got nan"),
        (
            lambda: search.cur_index(R, [0], center="mean"),
            r"center must be a function \[k_q, n\] -> \[n\].*got 'mean'",
        ),
        (
            lambda: search.cur_index(R, [0], center=lambda scores: scores[0] * np.nan),
            r"center\(anchor_scores\) must be finite",
        ),
        (lambda: search.cur_index(R, [True, False]), r"anchor_items must be int \[k_i\], got bool"),
        (lambda: search.cur_index(R, [0.0, 1.0]), r"anchor_items must be int \[k_i\], got float64"),
        (lambda: search.cur_index(R, [2**32]), "anchor_items must be from 0 to 3, got 4294967296"),
        (
            lambda: search.cur_index(R.astype(str), [0]),
            "anchor_scores must be real numbers, got <U",
        ),
        (lambda: search.cur_index([[1.0], [1.0, 2.0]], [0]), "anchor_scores must be one array"),
        (
            lambda: search.add_items(R, R),
            "index must be a `CurIndex`, as search.cur_index gives it, got array",
        ),
        (
            lambda: search.add_items(search.cur_index(R, [0]), R, offsets=[0, 0, 0, np.nan]),
            "offsets must be finite",
        ),
        (
            lambda: search.query_vectors(search.cur_index(R, [0]), [[np.nan]]),
            "exact_scores must be finite: row 0 is not",
        ),
        (
            lambda: search.cur_scores(search.cur_index(R, [0, 1]), np.zeros((2, 3))),
            r"exact_scores must be \[2, 2\], one per anchor item",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


BUILT_FROM_SCORES = {
    "cur_index": lambda scores: search.cur_index(scores, [0, 1]),
    "row_basis": search.row_basis,
    "factor_basis": search.factor_basis,
    "pivoted_qr": lambda scores: search.anchors.pivoted_qr(scores, 2),
    "deim": lambda scores: search.anchors.deim(scores, 2),
    "leverage": lambda scores: search.anchors.leverage(jax.random.key(0), scores, 2),
    "kmeans": lambda scores: search.anchors.kmeans_items(jax.random.key(0), scores, 2),
    "fixed_items_index": lambda scores: search.fixed_items_index(scores[:, :2], [0, 1]),
    "item_cur_index": lambda scores: search.item_cur_index(scores, [0, 1]),
    "oracle_scores": lambda scores: search.oracle_scores(scores, [0, 1], [0, 1]),
}


@pytest.mark.parametrize("name", BUILT_FROM_SCORES)
def test_a_row_of_nan_or_1e20_does_not_enter_the_center_of_all(name):
    scores, build = np.random.default_rng(0).normal(size=(9, 7)), BUILT_FROM_SCORES[name]
    build(scores)
    for bad, message in (
        (np.nan, "must be finite, got 1 that are not"),
        (np.inf, "must be finite, got 1 that are not"),
        (1e20, r"must be of similar sizes: row 4 has 1e\+20, the median is .*; leave it out"),
    ):
        scores[4, 1] = bad
        with pytest.raises(ValueError, match=message):
            build(scores)
    with pytest.raises(ValueError, match=r"must not be empty, got shape \(0, "):
        build(scores[:0])


def test_no_query_has_no_estimates():
    index = search.cur_index(R, [0, 1])
    assert search.cur_scores(index, np.zeros((0, 2))).shape == (0, 4)
    assert search.cur_scores(index, np.zeros(2)).shape == (4,)


@pytest.mark.parametrize(("fall", "limit"), [(1e-1, 1e-6), (1e-4, 1e-7)])
def test_estimates_have_the_digits_of_float64_however_ill_conditioned(fall, limit):
    """Little conditioned scores are multiplied in float32, others in float64."""
    rng = np.random.default_rng(0)
    spectrum = fall ** (np.arange(60) / 25)
    left = np.linalg.qr(rng.normal(size=(60, 60)))[0] * spectrum
    scores = np.float32(left @ rng.normal(size=(60, 300)))
    anchors = np.arange(25)
    index = search.cur_index(scores, anchors, center=None, rtol=0)
    exact = np.linalg.pinv(np.float64(scores[:, anchors])) @ np.float64(scores)
    error = np.linalg.norm(np.asarray(index.item_embeddings).T - exact) / np.linalg.norm(exact)
    assert error < limit
