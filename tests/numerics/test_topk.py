"""Every way to the largest k gives the same ids, ties to the lowest."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxsim.numerics import blocked_top_k, sharded_top_k, top_k

# Few values, so that ties are everywhere.
SCORES = np.random.default_rng(0).integers(0, 5, size=(6, 40)).astype(np.float32)


def reference(scores, k):
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


def test_ties_go_to_the_lowest_index():
    for result, expected in zip(top_k(SCORES, 11), reference(SCORES, 11), strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("block", [1, 7, 11, 40, 100])
def test_blocks_change_nothing(block):
    result = blocked_top_k(lambda columns: columns.T, jnp.asarray(SCORES.T), 11, block=block)
    for mine, expected in zip(result, reference(SCORES, 11), strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_filtered_columns_are_never_found():
    where = np.arange(40) % 5 == 0  # eight are left
    scores, ids = blocked_top_k(
        lambda columns: columns.T, jnp.asarray(SCORES.T), 11, block=7, where=where
    )
    expected = reference(np.where(where, SCORES, -np.inf), 8)
    np.testing.assert_array_equal(ids[:, :8], expected[1])
    assert (np.asarray(ids[:, 8:]) == -1).all()
    assert (np.asarray(scores[:, 8:]) == -np.inf).all()


@pytest.mark.parametrize("shards", [1, 2, 4, 8])
@pytest.mark.parametrize("k", [3, 5, 11, 40])
def test_shards_change_nothing(shards, k):
    columns = np.moveaxis(SCORES.reshape(6, shards, -1), 1, 0)
    result = jax.pmap(
        functools.partial(sharded_top_k, k=k, axis_name="devices"), "devices", out_axes=None
    )(columns)
    for mine, expected in zip(result, reference(SCORES, k), strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_blocks_work_under_checked_shard_map():
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,))

    def per_device(columns):
        return blocked_top_k(lambda some: some.T, columns, 3, block=4)

    mapped = jax.shard_map(
        per_device,
        mesh=mesh,
        in_specs=PartitionSpec("devices"),
        out_specs=PartitionSpec(None, "devices"),
    )
    _, ids = jax.jit(mapped)(SCORES.T)
    np.testing.assert_array_equal(ids[:, :3], reference(SCORES[:, :10], 3)[1])


def test_nan_never_wins():
    scores = np.float32([[np.nan, 1, np.nan, 2]])
    np.testing.assert_array_equal(top_k(scores, 2)[1], [[3, 1]])
    result = blocked_top_k(lambda columns: columns.T, jnp.asarray(scores.T), 2, block=3)
    np.testing.assert_array_equal(result[1], [[3, 1]])


@pytest.mark.parametrize("count", [640, 1001, 5000])
def test_long_rows_are_searched_by_chunks(count):
    random = np.random.default_rng(1)
    scores = random.integers(0, 40, size=(2, 3, count)).astype(np.float32)
    scores[0, 0, ::3], scores[0, 1, 5:600], scores[1, 0] = np.nan, -0.0, -np.inf
    where = random.random((3, count)) < 0.3
    for mask in (None, where):
        masked = np.where(np.isnan(scores) | (False if mask is None else ~where), -np.inf, scores)
        best, ids = jax.jit(functools.partial(top_k, k=5))(scores, where=mask)
        expected = reference(masked.reshape(6, -1), 5)
        np.testing.assert_array_equal(best.reshape(6, -1), expected[0])
        if mask is not None:
            expected[1][np.isneginf(expected[0])] = -1
        np.testing.assert_array_equal(ids.reshape(6, -1), expected[1])


def test_rows_may_exclude_what_they_know():
    exclude = np.array([[0, 3], [1, -1], [39, 38], [5, 5], [99, 2], [7, 8]])
    scores = SCORES.copy()
    for row, ids in enumerate(exclude):
        scores[row, [i for i in ids if 0 <= i < 40]] = -np.inf
    transposed, expected = jnp.asarray(SCORES.T), reference(scores, 11)
    result = blocked_top_k(lambda c: c.T, transposed, 11, block=12, exclude=jnp.asarray(exclude))
    np.testing.assert_array_equal(result[1], expected[1])


def test_k_above_the_candidates_is_refused():
    with pytest.raises(ValueError, match="k must be at most 40, the number of candidates, got 41"):
        top_k(SCORES, 41)
