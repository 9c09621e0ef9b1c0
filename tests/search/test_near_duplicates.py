"""Near-duplicates in blocks: the groups of a plain loop, each pair once, and none within a group."""

import numpy as np
import pytest

from jaxsim import search, similarity
from jaxsim.search import _near_duplicates

RNG = np.random.default_rng(4)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 8 rows against 16, so that few rows are many blocks."""
    for name, value in (("ROWS", 8), ("ENTRIES", 128), ("COLUMNS", 8)):
        monkeypatch.setattr(_near_duplicates, name, value)


def by_a_plain_loop(scores, threshold):
    """The lowest id of each row's group, which spreads along the chains."""
    groups = np.arange(len(scores))
    while True:
        spread = np.where(scores >= threshold, groups, len(scores)).min(axis=1)
        spread = np.minimum(groups, spread)
        if (spread == groups).all():
            return groups
        groups = spread


def families():
    """Three families far from each other, whose rows are mixed, and rows of none."""
    centers = 20 * np.eye(4)[RNG.integers(0, 4, 67)]
    return np.where(centers[:, 3:] > 0, 20 * RNG.normal(size=(67, 4)), centers)


ROWS = {
    "chains": RNG.integers(-2, 3, size=(67, 4)),
    "families": families() + 0.01 * RNG.normal(size=(67, 4)),
    "one group": np.ones((67, 4)),
    "none": 50 * RNG.normal(size=(67, 4)),
    "a hub": np.concatenate([np.zeros((1, 4)), 3 * np.linalg.qr(RNG.normal(size=(66, 4)))[0]]),
}


@pytest.mark.parametrize("name", list(ROWS))
def test_groups_are_those_of_a_plain_loop_whatever_the_blocks(name, small_blocks):
    rows = np.float32(ROWS[name])
    squares = -((rows[:, None].astype(np.float64) - rows) ** 2).sum(axis=2)
    for threshold in (-9.0, -1.5):
        found = search.near_duplicates(
            rows, threshold, similarity=similarity.negative_squared_euclidean
        )
        np.testing.assert_array_equal(found, by_a_plain_loop(squares, threshold), str(threshold))


@pytest.mark.parametrize(
    ("name", "columns"),
    [("none", sum(67 - stop for stop in range(8, 67, 8))), ("one group", 67 - 8)],
)
def test_each_pair_is_compared_once_and_none_within_a_group(
    name, columns, small_blocks, monkeypatch
):
    seen, near = [], _near_duplicates._near

    def counted(vectors, first, begin, *settings):
        seen.append(67 - begin)
        return near(vectors, first, begin, *settings)

    monkeypatch.setattr(_near_duplicates, "_near", counted)
    search.near_duplicates(np.float32(ROWS[name]), 0.9999)
    assert sum(seen) == columns  # rows behind a block that are compared with it


def test_another_threshold_compiles_nothing(small_blocks):
    rows = np.float32(ROWS["chains"])
    search.near_duplicates(rows, 0.9)
    programs = _near_duplicates._near, _near_duplicates._close
    before = [program._cache_size() for program in programs]
    search.near_duplicates(rows, 0.7)
    assert [program._cache_size() for program in programs] == before
