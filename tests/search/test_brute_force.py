"""Exact search against NumPy: in every blocking, on 1 and 8 devices, from memory and from a file."""

import jax
import numpy as np
import pytest

from jaxsim import search, similarity
from jaxsim.search import _brute_force as brute_force

RNG = np.random.default_rng(0)
QUERIES = RNG.integers(-2, 3, size=(11, 3)).astype(np.float32)  # ties everywhere
ITEMS = RNG.integers(-2, 3, size=(50, 3)).astype(np.float32)
ONE = jax.devices()[:1]


def reference(scores, k):
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


def saved(tmp_path, array):
    np.save(tmp_path / "items.npy", array)
    return np.load(tmp_path / "items.npy", mmap_mode="r")


WAYS = {
    "whole": {},
    "one device": {"devices": ONE},
    "blocks": {"block": 10, "query_block": 4, "devices": ONE},
    "blocks on all devices": {"block": 3, "query_block": 4},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("k", [1, 9, 50])
def test_dot_with_ties_to_the_lowest_id(way, k):
    result = search.exact(QUERIES, ITEMS, k=k, **WAYS[way])
    for mine, expected in zip(result, reference(QUERIES @ ITEMS.T, k), strict=True):
        np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("devices", [ONE, None])
def test_a_file_is_streamed(tmp_path, devices):
    items = saved(tmp_path, ITEMS)
    where = np.arange(50) % 3 > 0
    result = search.exact(QUERIES, items, k=9, block=4, where=where, devices=devices)
    expected = reference(np.where(where, QUERIES @ ITEMS.T, -np.inf), 9)
    for mine, theirs in zip(result, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


class Counted:
    """An array of a file that remembers what was read of it at once."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, []

    def __len__(self):
        return len(self.array)

    def __getitem__(self, some):
        rows = self.array[some]
        self.read.append(len(rows))
        return rows


@pytest.mark.parametrize("devices", [ONE, None])
@pytest.mark.parametrize("piece", [64, 500])
def test_numpys_items_are_copied_in_pieces(monkeypatch, devices, piece):
    sizes = []

    def watched(array, **how):
        sizes.append(array.nbytes)
        return copied(array, **how)

    copied = brute_force.copied
    monkeypatch.setattr(brute_force, "copied", watched)
    monkeypatch.setattr(brute_force, "PIECE", piece)
    mine, where = ITEMS.astype(np.float64), np.arange(50) % 3 > 0
    found = search.exact(QUERIES, mine, k=2, block=2, where=where, devices=devices)
    mine[:] = np.nan
    expected = reference(np.where(where, QUERIES @ ITEMS.T, -np.inf), 2)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(sizes) > 1
    assert max(sizes) <= max(piece, ITEMS[:2].nbytes * 2 * (8 if devices is None else 1))


def test_a_file_is_never_read_whole():
    items = Counted(ITEMS)
    result = search.exact(QUERIES, items, k=3, block=6, devices=ONE)
    for mine, expected in zip(result, reference(QUERIES @ ITEMS.T, 3), strict=True):
        np.testing.assert_array_equal(mine, expected)
    assert max(items.read) <= 6
    assert sum(items.read) == 50


@pytest.mark.parametrize("count", [1, 7, 9])
def test_arrays_committed_to_more_devices_than_there_are_items(count):
    everywhere = jax.NamedSharding(jax.make_mesh((8,), ("all",)), jax.P())
    queries, items = jax.device_put((QUERIES, ITEMS[:count]), everywhere)
    exclude = jax.device_put(np.zeros((11, 1), np.int32), everywhere)
    expected = reference(QUERIES @ ITEMS[:count].T, 1)
    np.testing.assert_array_equal(search.exact(queries, items, k=1)[1], expected[1])
    # ... or to another device than the one that is asked for.
    last = search.exact(queries, items, k=1, devices=jax.devices()[7:])
    np.testing.assert_array_equal(last[1], expected[1])
    _, ids = search.exact(queries, items, k=1, exclude=exclude)
    others = reference(QUERIES @ ITEMS[1:count].T, 1)[1] + 1 if count > 1 else -1
    np.testing.assert_array_equal(ids, np.broadcast_to(others, (11, 1)))


def copies():
    """Rows of which many are equal, far from the origin: rounding would order them at random."""
    items = (RNG.normal(size=(300, 24)) + 3).astype(np.float32)
    items[::7] = items[3]
    items[200:250] = items[100:150]
    return items[5:30] + np.float32(0.1) * RNG.normal(size=(25, 24)).astype(np.float32), items


@pytest.mark.parametrize(
    "kernel",
    [
        "dot",
        "cosine",
        "negative_squared_euclidean",
        "negative_euclidean",
        "negative_unit_euclidean",
    ],
)
def test_copies_are_found_in_order_on_any_number_of_devices(kernel):
    queries, items = copies()
    kernel = getattr(similarity, kernel)
    with jax.enable_x64(True):
        scores = np.asarray(jax.jit(kernel)(np.float64(queries), np.float64(items)))
    best = np.sort(-scores, axis=1)[:, :20]
    result = [
        search.exact(queries, items, 20, similarity=kernel, **settings)
        for settings in ({"devices": ONE}, {}, {"query_block": 8, "block": 25})
    ]
    # Distances are differences of squared norms, whose rounding depends on how threads split the sums.
    squares = max(np.square(a).sum(axis=1).max() for a in (queries, items))
    atol = max(1e-5, 4 * np.finfo(np.float32).eps * squares)
    for values, ids in result:
        np.testing.assert_allclose(values, result[0][0], rtol=1e-5, atol=atol)
        # No item that was left out is closer than one that was found, but by rounding.
        np.testing.assert_allclose(-np.take_along_axis(scores, ids, axis=1), best, atol=1e-4)
        ids = np.asarray(ids)
        for first, second in (
            (3, 7),
            (101, 201),
            (149, 249),
        ):  # of two copies the first comes first
            both = (ids == first).any(axis=1) & (ids == second).any(axis=1)
            places = [(ids[both] == item).argmax(axis=1) for item in (first, second)]
            assert (places[0] < places[1]).all()
        # Other ways of computing it change places only among scores that differ by rounding.
        moved = np.asarray(result[0][1]) != ids
        gap = np.abs(
            np.take_along_axis(scores, ids, axis=1)
            - np.take_along_axis(scores, result[0][1], axis=1)
        )
        assert (gap[moved] < 1e-5).all()
        assert moved.mean() < 0.02


def test_long_rows_are_searched_by_chunks():
    scores = RNG.integers(0, 300, size=(3, 1001)).astype(np.float32)
    scores[0, ::5], scores[1, 3:900] = np.nan, -0.0
    items = np.eye(3, dtype=np.float32)
    result = search.exact(items, scores.T.copy(), k=4, devices=ONE)
    expected = reference(np.where(np.isnan(scores), -np.inf, scores), 4)
    # Row 0 holds NaN, and 0 * NaN is NaN in the others' products.
    np.testing.assert_array_equal(result[1][0], expected[1][0])


def test_filtered_and_excluded_items_are_not_found():
    where = np.arange(50) < 4
    scores, ids = search.exact(QUERIES, ITEMS, k=6, where=where, block=16)
    np.testing.assert_array_equal(ids[:, :4], reference(QUERIES @ ITEMS[:4].T, 4)[1])
    assert (np.asarray(ids[:, 4:]) == -1).all()
    assert np.isneginf(scores[:, 4:]).all()
    exclude = np.stack([np.arange(11), np.arange(11) + 20, np.full(11, -1)], axis=1)
    _, ids = search.exact(QUERIES, ITEMS, k=9, exclude=exclude, block=5)
    masked = QUERIES @ ITEMS.T
    np.put_along_axis(masked, exclude[:, :2], -np.inf, axis=1)
    np.testing.assert_array_equal(ids, reference(masked, 9)[1])


def spoiled(value, row=4):
    queries = QUERIES.copy()
    queries[row, 1] = value
    return queries


@pytest.mark.parametrize(
    "kernel",
    ["cosine", "negative_squared_euclidean", "negative_euclidean", "negative_unit_euclidean"],
)
@pytest.mark.parametrize("bad", [np.nan, 1e20])
def test_an_item_of_nan_is_never_found_and_one_of_1e20_changes_no_other(kernel, bad):
    items = RNG.normal(size=(50, 3)).astype(np.float32) + 3
    queries, kernel = items[:11] + np.float32(0.1), getattr(similarity, kernel)
    expected = [
        np.asarray(a)
        for a in search.exact(queries, np.delete(items, 7, axis=0), 9, similarity=kernel)
    ]
    items[7] = [bad, 0, 0]
    scores, ids = search.exact(queries, items, 9, similarity=kernel)
    if np.isnan(bad) or ("unit" not in kernel.__name__ and kernel is not similarity.cosine):
        assert not (np.asarray(ids) == 7).any()
        np.testing.assert_array_equal(ids, expected[1] + (expected[1] >= 7))
        np.testing.assert_allclose(scores, expected[0], rtol=1e-5, atol=1e-4)
    else:  # to a direction its length is nothing
        assert np.isfinite(scores).all()
    _, all_of_them = search.exact(queries, items, 50, similarity=kernel)
    assert not (np.asarray(all_of_them)[:, :49] < 0).any()


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_excluded_numbers_that_are_no_items_mean_nothing(dtype):
    """In 32 bits 2^32 + 5 is 5."""
    wide = (np.arange(11)[:, None] + 2**32).astype(dtype)
    plain = search.exact(QUERIES, ITEMS, k=3)[1]
    np.testing.assert_array_equal(search.exact(QUERIES, ITEMS, k=3, exclude=wide)[1], plain)
    small = np.arange(11)[:, None]
    both = search.exact(QUERIES, ITEMS, k=3, exclude=np.concatenate([wide, small.astype(dtype)], 1))
    np.testing.assert_array_equal(both[1], search.exact(QUERIES, ITEMS, k=3, exclude=small)[1])


def test_lists_integers_and_wide_integers_are_vectors():
    expected = search.exact(QUERIES, ITEMS, k=4)[1]
    for queries, items in (
        (QUERIES.tolist(), ITEMS.tolist()),
        (list(QUERIES), ITEMS.astype(np.int8)),
        (QUERIES.astype(np.int64) * 2**40, ITEMS.astype(np.int64) * 2**35),
    ):
        np.testing.assert_array_equal(search.exact(queries, items, k=4)[1], expected)


def test_no_query_finds_nothing():
    scores, ids = search.exact(QUERIES[:0], ITEMS, k=4)
    assert scores.shape == ids.shape == (0, 4)


def test_late_interaction_of_token_vectors():
    def texts(count, length):
        where = np.arange(length) < RNG.integers(1, length + 1, size=(count, 1))
        return {"vectors": np.float32(RNG.normal(size=(count, length, 8))), "where": where}

    queries, items = texts(5, 4), texts(30, 6)
    scores, ids = search.exact(queries, items, k=3, similarity=similarity.max_sim)
    dots = np.einsum("qad,ibd->qiab", queries["vectors"], items["vectors"])
    dots = np.where(items["where"][:, None], dots, -np.inf).max(axis=3)
    expected = (dots * queries["where"][:, None]).sum(axis=2)
    np.testing.assert_array_equal(ids, reference(expected, 3)[1])
    np.testing.assert_allclose(scores, reference(expected, 3)[0], rtol=1e-5)


def test_blocks_of_an_accelerator_s_memory_find_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    queries, items = (rng.normal(size=(n, 300)).astype(np.float32) for n in (5, 700))
    device = jax.devices()[0]
    expected = search.exact(queries, items, k=4, devices=device)
    assert brute_force._block_of(items, 128) == 2**24 // 128
    monkeypatch.setattr(brute_force, "block_entries", lambda least: 2**28)
    # As many numbers of the items as of the scores: long vectors are held too.
    assert brute_force._block_of(items, 128) == 2**28 // 300
    assert brute_force._block_of(items[:, :8], 128) == 2**28 // 128
    for ours, theirs in zip(
        search.exact(queries, items, k=4, devices=device), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_search_works_inside_a_compiled_function():
    result = jax.jit(lambda q, i: search.exact(q, i, k=5))(QUERIES, ITEMS)
    np.testing.assert_array_equal(result[1], reference(QUERIES @ ITEMS.T, 5)[1])


def test_an_approximate_search_keeps_its_recall():
    queries, items = RNG.normal(size=(9, 16)), RNG.normal(size=(2000, 16))
    where = np.arange(2000) % 2 == 0
    _, ids = search.approximate(queries, items, 10, recall_target=0.9, where=where)
    truth = reference(np.where(where, queries @ items.T, -np.inf), 10)[1]
    hits = [
        len(set(a) & set(b)) for a, b in zip(np.asarray(ids).tolist(), truth.tolist(), strict=True)
    ]
    assert np.mean(hits) >= 9
    assert where[np.asarray(ids)].all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: search.exact(QUERIES, ITEMS, k=51), "k must be at most 50, the number of items"),
        (lambda: search.exact(QUERIES, ITEMS[:0], k=1), "items must not be empty, got 0 rows"),
        (lambda: search.exact(QUERIES, ITEMS, k=1, where=[True]), r"where must be \[50\]"),
        (lambda: search.exact(QUERIES, ITEMS, k=1, exclude=[[1]]), r"exclude must be \[11, any\]"),
        (
            lambda: search.exact(QUERIES, ITEMS[:, :2], k=1),
            r"queries must be \[any, 2\], as wide as items, got shape \(11, 3\)",
        ),
        (
            lambda: search.exact(QUERIES[0], ITEMS, k=1),
            r"queries must be \[rows, dim\], got shape \(3,\): a single row is queries\[None\]",
        ),
        (
            lambda: search.exact(QUERIES, ITEMS, k=True),
            "k must be a whole number of at least 1, got True",
        ),
        (
            lambda: search.exact(QUERIES, ITEMS, k=1, similarity="cosine"),
            "similarity must be a function of jaxsim.similarity.*got 'cosine'",
        ),
        (
            lambda: search.exact(QUERIES, ITEMS, k=1, where=np.ones(50)),
            "where must be boolean, True for what counts, got float64",
        ),
        (
            lambda: search.exact(QUERIES, ITEMS, k=1, exclude=np.ones((11, 1), bool)),
            "exclude must be integers, got bool",
        ),
        (
            lambda: search.exact(QUERIES, ITEMS, k=1, exclude=np.ones((11, 1))),
            "exclude must be integers, got float64",
        ),
        (
            lambda: search.exact(QUERIES, ITEMS, k=1, devices=["cpu"]),
            "devices must be devices, such as jax.devices",
        ),
        (lambda: search.exact([["a"]], ITEMS, k=1), "queries must be real numbers, got <U1"),
        (lambda: search.exact(spoiled(np.nan), ITEMS, k=1), "queries must be finite: row 4 is not"),
        (
            lambda: search.exact(jax.numpy.asarray(spoiled(np.inf)), ITEMS, k=1),
            "queries must be finite: row 4 is not",
        ),
        (
            lambda: search.exact(
                spoiled(1e20), ITEMS, k=1, similarity=similarity.negative_euclidean
            ),
            "queries must have squares that fit float32: row 4 has 1e",
        ),
        (
            lambda: search.approximate(spoiled(np.nan), ITEMS, 1, recall_target=0.9),
            "queries must be finite: row 4 is not",
        ),
        (
            lambda: search.approximate(QUERIES, ITEMS, 1, recall_target=np.nan),
            "recall_target must be > 0, got nan",
        ),
        (
            lambda: search.approximate(QUERIES, ITEMS, 1, recall_target=0.0),
            "recall_target must be > 0, got 0",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
