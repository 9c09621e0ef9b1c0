"""The grid world and its simulated human, against walks, loops and frequencies."""

import itertools
import math

import numpy as np
import pytest

from jaxsim import data

TRAJECTORIES = data.grid_trajectories()
FEATURES = data.grid_features(TRAJECTORIES)
RANDOM = np.random.default_rng(0)
# Ties are rare but among the angles of one path.
TRIPLES = np.concatenate(
    [data.draw_queries(np.arange(n), count, size=3, seed=0) for n, count in ((490, 300), (7, 60))]
)
COUPLES = data.draw_queries(np.arange(490), 300, size=2, seed=1)
THETA = np.array([0.7, -0.2, 0.4, -0.9])


def walks(cell=(0, 0)):
    """All shortest walks from a cell to (4, 4), by recursion."""
    if cell == (4, 4):
        return [[cell]]
    x, y = cell
    onward = [there for there in ((x + 1, y), (x, y + 1)) if max(there) <= 4]
    return [[cell, *rest] for there in onward for rest in walks(there)]


def test_trajectories_are_all_walks_with_all_angles():
    expected = {
        (*itertools.chain(*walk), angle) for walk in walks() for angle in range(-90, 91, 30)
    }
    assert {tuple(row) for row in TRAJECTORIES.tolist()} == expected
    assert TRAJECTORIES.shape == (490, 19)
    assert TRAJECTORIES.dtype == np.float32
    for number, of_path in enumerate(TRAJECTORIES.reshape(70, 7, 19)):
        assert len(np.unique(of_path[:, :18], axis=0)) == 1, number


def test_features_are_summed_distances_scaled_over_all():
    def raw(row):
        cells = list(zip(row[0:18:2], row[1:18:2], strict=True))
        distances = [
            sum(math.dist(cell, there) for cell in cells) for there in ((1, 3), (4, 1), (2, 1))
        ]
        return [*distances, abs(row[18])]

    every = np.array([raw(row) for row in TRAJECTORIES.tolist()])
    expected = (every - every.min(axis=0)) / np.ptp(every, axis=0)
    np.testing.assert_allclose(FEATURES, expected, atol=1e-6)
    # The scale is that of all trajectories, whichever are asked about.
    np.testing.assert_array_equal(data.grid_features(TRAJECTORIES[40:50]), FEATURES[40:50])


def test_one_object_elsewhere():
    features = data.grid_features(TRAJECTORIES, objects=[(0, 0)])
    assert features.shape == (490, 2)
    np.testing.assert_array_equal(features.min(axis=0), 0)
    np.testing.assert_array_equal(features.max(axis=0), 1)


def test_splits_share_no_group():
    paths = np.arange(490) // 7
    for groups, count in ((np.arange(490), 98), (paths, 14 * 7)):
        train, test = data.split_groups(groups, share=0.2, seed=3)
        assert len(test) == count
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(490))
        assert not set(groups[train]) & set(groups[test])
    again = data.split_groups(paths, share=0.2, seed=3)
    np.testing.assert_array_equal(again[1], test)
    assert set(data.split_groups(paths, share=0.2, seed=4)[1]) != set(test)


def test_queries_are_distinct_rows_of_those_that_may_be_asked_about():
    rows = np.arange(10, 60, 5)
    queries = data.draw_queries(rows, 400, size=3, seed=0)
    assert set(queries.ravel()) == set(rows)
    assert all(len(set(query)) == 3 for query in queries.tolist())
    counts = np.array([np.sum(queries == row, axis=0) for row in rows])
    assert counts.min() > 15  # each row at each place, 40 times in the mean
    np.testing.assert_array_equal(data.draw_queries(rows, 7, size=3, seed=0), queries[:7])
    assert data.draw_queries(rows, 0, size=2, seed=0).shape == (0, 2)


def test_answers_by_hand():
    line = np.array([[0.0], [0.1], [0.5], [0.5], [0.9]])
    pair, odd, valid = data.answer_similarity(line, np.array([[4, 0, 1], [2, 3, 1], [1, 4, 2]]))
    np.testing.assert_array_equal(pair, [[0, 1], [2, 3], [1, 2]])  # the last is level
    np.testing.assert_array_equal(odd, [4, 1, 4])
    np.testing.assert_array_equal(valid, [True, True, False])
    labels = data.answer_preference(line, np.array([[0, 1], [1, 0], [2, 3]]), np.array([1.0]))
    np.testing.assert_array_equal(labels, [0, 1, 0.5])  # a feature is a cost
    labels = data.answer_preference(line, np.array([[0, 1]]), np.array([[1.0], [-1.0]]))
    np.testing.assert_array_equal(labels, [[0], [1]])


def test_answers_are_the_closest_pairs():
    pair, odd, valid = data.answer_similarity(FEATURES, TRIPLES)
    assert 10 < np.sum(~valid) < 60
    for place, query in enumerate(TRIPLES.tolist()):
        assert sorted([*pair[place], odd[place]]) == sorted(query)
        distances = sorted(
            (math.dist(FEATURES[a], FEATURES[b]) ** 2, a, b)
            for a, b in itertools.combinations(query, 2)
        )
        if valid[place]:
            assert tuple(pair[place]) == distances[0][1:]
        else:
            assert distances[1][0] - distances[0][0] < 2e-6
            first, one, other = query
            near, far = (math.dist(FEATURES[first], FEATURES[x]) ** 2 for x in (one, other))
            assert tuple(pair[place]) == (first, one if far - near > 1e-6 else other)


def test_noisy_answers_have_their_odds():
    count, beta = 40_000, 3.0
    things = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.8]])
    pair, odd, valid = data.sample_similarity(
        things, np.tile([0, 1, 2], (count, 1)), beta=beta, seed=0
    )
    odds = np.exp(-beta * np.array([0.25 + 0.64, 0.64, 0.25]))  # of the pairs without 0, 1, 2
    np.testing.assert_allclose(np.bincount(odd) / count, odds / odds.sum(), atol=0.01)
    assert valid.all()
    assert (pair != odd[:, None]).all()
    labels = data.sample_preference(
        things, np.tile([0, 1], (count, 1)), np.array([0.4, 1.0]), beta=beta, seed=0
    )
    np.testing.assert_allclose(labels.mean(), 1 / (1 + math.exp(beta * 0.2)), atol=0.01)
    level = data.sample_preference(things, np.array([[1, 1]]), np.ones(2), seed=0)
    np.testing.assert_array_equal(level, [0.5])


def test_without_noise_noisy_answers_are_the_rational_ones():
    exact, sampled = (
        data.answer_similarity(FEATURES, TRIPLES),
        data.sample_similarity(FEATURES, TRIPLES, beta=1e9, seed=0),
    )
    valid = exact[2]
    np.testing.assert_array_equal(sampled[0][valid], exact[0][valid])
    np.testing.assert_array_equal(sampled[2], valid)
    rational = data.answer_preference(FEATURES, COUPLES, THETA)
    noisy = data.sample_preference(FEATURES, COUPLES, THETA, beta=1e9, seed=0)
    np.testing.assert_array_equal(noisy, rational)
    costs = FEATURES.astype(float) @ THETA
    clear = np.abs(costs[COUPLES[:, 1]] - costs[COUPLES[:, 0]]) > 1e-5
    np.testing.assert_array_equal(
        rational[clear], (costs[COUPLES[:, 1]] < costs[COUPLES[:, 0]])[clear]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.grid_features(TRAJECTORIES[:, :18]), r"trajectories must be \[any, 19\]"),
        (lambda: data.grid_features(TRAJECTORIES, objects=[1, 2]), r"objects must be \[any, 2\]"),
        (lambda: data.split_groups(np.arange(3), share=0.1, seed=0), "share must leave groups on"),
        (lambda: data.split_groups(np.ones(3), seed=0), "groups must be integers"),
        (lambda: data.draw_queries([1, 2], 1, size=3, seed=0), "rows must be 3 or more"),
        (lambda: data.answer_similarity(FEATURES, COUPLES), r"queries must be \[any, 3\]"),
        (lambda: data.answer_similarity(FEATURES[:9], TRIPLES), "queries must be from 0 to 8"),
        (
            lambda: data.answer_preference(FEATURES, COUPLES, THETA[:3]),
            r"theta must be \[\.\.\., 4",
        ),
        (
            lambda: data.sample_preference(FEATURES, COUPLES, THETA, beta=-1.0, seed=0),
            "beta must be >= 0",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
