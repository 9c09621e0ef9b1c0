"""The checks of SIRL: symmetric triplets, preferences, the grid world and its human, prediction of features."""

import jax
import numpy as np
import pytest

from jaxsim import data, evaluation, losses


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def triplet(first, second, odd, margin=1.0):
    """(value, gradients by the three) of one symmetric triplet."""

    def loss(first, second, odd):
        return losses.symmetric_triplet(first[None], second[None], odd[None], margin=margin)

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(first, second, odd)


A, B, N = np.array([0.0, 0.0]), np.array([1.0, 0.0]), np.array([0.0, 2.0])


def test_numbers():
    assert triplet(A, B, N)[0] == 0
    np.testing.assert_allclose(triplet(A, B, N, margin=5.0)[0], 3)  # 2 + 1


def test_the_pair_may_be_exchanged_and_all_three_moved():
    value, gradients = triplet(A, B, N, margin=5.0)
    turned, theirs = triplet(B, A, N, margin=5.0)
    np.testing.assert_allclose(turned, value)
    np.testing.assert_allclose(theirs, [gradients[1], gradients[0], gradients[2]])
    np.testing.assert_allclose(sum(gradients), 0, atol=1e-14)


def test_slopes_of_active_hinges():
    # dA = 2 (N - P), dP = 2 (P - A), dN = 2 (A - N) of one triplet, and its mirror.
    _, (first, second, odd) = triplet(A, B, N, margin=5.0)
    np.testing.assert_allclose(first, 2 * (N - B) + 2 * (A - B))
    np.testing.assert_allclose(second, 2 * (B - A) + 2 * (N - A))
    np.testing.assert_allclose(odd, 2 * (A - N) + 2 * (B - N))


def test_equal_embeddings_cost_both_margins_and_have_no_slope():
    value, gradients = triplet(A, A, A, margin=1.5)
    np.testing.assert_allclose(value, 3)
    assert not np.any(gradients)


def test_bad_shapes_are_named():
    with pytest.raises(
        ValueError, match=r"odd must be \[1, 2\], the shape of first, got shape \(2,\)"
    ):
        losses.symmetric_triplet(A[None], B[None], N)


def preference(loss, first, second, label):
    """(value, slopes by the two rewards) of one pair."""

    def value(first, second):
        return loss(first[None], second[None], np.array([label]))

    return jax.jit(jax.value_and_grad(value, argnums=(0, 1)))(np.array(first), np.array(second))


def test_preferences_by_number():
    np.testing.assert_allclose(
        preference(losses.bradley_terry, 2.0, 0.5, 0.0)[0], 0.2014132779827524, rtol=1e-12
    )
    np.testing.assert_allclose(
        preference(losses.bradley_terry, 0.7, 0.7, 0.0)[0], np.log(2), rtol=1e-12
    )
    np.testing.assert_allclose(
        preference(losses.expected_preference, 2.0, 0.5, 0.0)[0], -0.8175744761936437, rtol=1e-12
    )


def test_a_label_of_one_half_has_its_minimum_at_equal_rewards():
    for level in (-3.0, 0.0, 2.0):
        value, slopes = preference(losses.bradley_terry, level, level, 0.5)
        np.testing.assert_allclose(value, np.log(2))
        np.testing.assert_allclose(slopes, 0, atol=1e-15)
        for ahead in (-1.0, -1e-3, 1e-3, 1.0):
            assert preference(losses.bradley_terry, level + ahead, level, 0.5)[0] > value


def test_far_rewards_are_exact():
    value, slopes = preference(losses.bradley_terry, 60.0, -60.0, 0.5)
    assert value == 60
    np.testing.assert_allclose(slopes, [0.5, -0.5])


def test_the_expected_form_has_no_slope_where_it_is_confidently_wrong():
    value, slopes = preference(losses.expected_preference, -60.0, 60.0, 0.0)
    np.testing.assert_allclose(value, 0, atol=1e-15)
    np.testing.assert_allclose(slopes, 0, atol=1e-15)
    np.testing.assert_allclose(preference(losses.bradley_terry, -60.0, 60.0, 0.0)[1], [-1, 1])


def test_the_penalty_of_rewards():
    plain = losses.expected_preference(np.array([2.0]), np.array([0.5]), np.zeros(1))
    penalized = losses.expected_preference(
        np.array([2.0]), np.array([0.5]), np.zeros(1), penalty=0.1
    )
    np.testing.assert_allclose(penalized - plain, 0.1 * (4 + 0.25))


TRAJECTORIES = data.grid_trajectories()
FEATURES = data.grid_features(TRAJECTORIES)
QUERIES = data.draw_queries(np.arange(490), 500, size=3, seed=0)


def test_490_distinct_trajectories_of_four_moves_each_way():
    assert TRAJECTORIES.shape == (490, 19)
    assert len(np.unique(TRAJECTORIES, axis=0)) == 490
    moves = np.diff(TRAJECTORIES[:, :18].reshape(490, 9, 2), axis=1)
    np.testing.assert_array_equal(moves.sum(axis=1), np.full((490, 2), 4))
    np.testing.assert_array_equal(np.sort(moves, axis=2), np.tile([0.0, 1.0], (490, 8, 1)))


def test_features_are_from_0_to_1():
    assert FEATURES.shape == (490, 4)
    np.testing.assert_array_equal(FEATURES.min(axis=0), 0)
    np.testing.assert_array_equal(FEATURES.max(axis=0), 1)
    np.testing.assert_allclose(FEATURES.var(axis=0).mean(), 0.0705, atol=5e-5)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_answers_do_not_depend_on_the_order_of_the_query(order):
    pair, odd, valid = data.answer_similarity(FEATURES, QUERIES)
    turned_pair, turned_odd, turned_valid = data.answer_similarity(FEATURES, QUERIES[:, order])
    np.testing.assert_array_equal(turned_valid, valid)
    np.testing.assert_array_equal(turned_odd[valid], odd[valid])
    np.testing.assert_array_equal(np.sort(turned_pair, axis=1)[valid], np.sort(pair, axis=1)[valid])


def test_answers_do_not_depend_on_rigid_motions_of_the_features():
    random = np.random.default_rng(0)
    rotation = np.linalg.qr(random.normal(size=(4, 4)))[0]
    moved = FEATURES.astype(float) @ rotation + random.normal(size=4)
    for mine, theirs in zip(
        data.answer_similarity(FEATURES, QUERIES),
        data.answer_similarity(moved, QUERIES),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_features_held_linearly_are_predicted_without_error():
    random = np.random.default_rng(0)
    embeddings = FEATURES @ random.normal(size=(4, 4)) + random.normal(size=4)
    train, test = data.split_groups(np.arange(490), seed=0)
    error = evaluation.feature_prediction_error(
        embeddings[train], FEATURES[train], embeddings[test], FEATURES[test]
    )
    np.testing.assert_allclose(error, 0, atol=1e-12)


def test_a_constant_embedding_has_the_features_variance():
    constant = np.ones((490, 6))
    error = evaluation.feature_prediction_error(constant, FEATURES, constant, FEATURES)
    np.testing.assert_allclose(error, FEATURES.astype(float).var(axis=0).mean(), rtol=1e-6)


def test_the_sign_of_theta_is_that_of_a_cost():
    theta = np.array([1.0, 0.0, 0.0, 0.0])
    nearest, farthest = FEATURES[:, 0].argmin(), FEATURES[:, 0].argmax()
    labels = data.answer_preference(FEATURES, np.array([[nearest, farthest]]), theta)
    assert labels == [0]  # the first costs less
