"""nDCG against loops in float64, its tie policies against all orders of what ties."""

import functools
import itertools

import jax
import numpy as np
import pytest

from jaxsim import evaluation

K = 3


def dcg(gains, k):
    return sum(gain / np.log2(2 + place) for place, gain in enumerate(gains[:k]))


def by_hand(order, grades, k, gain=lambda g: g):
    gains = [gain(g) if g > 0 else 0.0 for g in grades]
    best = dcg(sorted(gains, reverse=True), k)
    return dcg([gains[i] for i in order], k) / best if best else None


@pytest.mark.thorough
def test_a_returned_ranking():
    ids = np.array([[4, 2, 4, 9, -1], [0, 1, 2, 3, 4], [7, 7, 7, 7, 7]])
    truth = np.array([[2, 4, 8, -1], [5, 6, 7, 8], [-1, -1, -1, -1]])
    grades = np.array([[1.0, 3, 2, 9], [1, 1, 1, 1], [2, 2, 2, 2]])
    values, counts = evaluation.ndcg(ids, truth, 4, grades=grades, reduce_fn=None)
    # Item 4 counts once; the place of its copy is lost. Padding has no grade.
    expected = dcg([3, 1, 0, 0], 4) / dcg([3, 2, 1], 4)
    np.testing.assert_allclose(values, [expected, 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(counts, [1, 1, 0])
    np.testing.assert_allclose(
        evaluation.ndcg(ids, truth, 4, grades=grades), expected / 2, rtol=1e-6
    )
    plain = evaluation.ndcg(ids[:1], truth[:1], 2)
    np.testing.assert_allclose(plain, 1, rtol=1e-6)


def test_what_was_judged_irrelevant_gains_nothing():
    ids, truth = np.array([[0, 1, 2]]), np.array([[0, 1, 2]])
    value = evaluation.ndcg(ids, truth, 3, grades=np.array([[-1.0, 0.0, 1.0]]))
    np.testing.assert_allclose(value, 0.5, rtol=1e-6)


@functools.cache
def jitted(ties, gain):
    score = functools.partial(evaluation.score_ndcg, k=K, ties=ties, gain=gain, reduce_fn=None)
    return jax.jit(score)


@pytest.mark.parametrize("ties", ["pessimistic", "trec_eval", "expected"])
@pytest.mark.parametrize("gain", [evaluation.linear_gain, evaluation.exponential_gain])
def test_scores_and_their_ties(ties, gain):
    random = np.random.default_rng(0)
    scores = random.integers(0, 3, size=(8, 5)).astype(np.float32)
    scores[0], scores[1, 2] = 1, -np.inf
    grades = random.integers(0, 4, size=(8, 5)).astype(np.float32)
    grades[2] = 0
    values, counts = jitted(ties, gain)(scores, grades)
    gained = (lambda g: 2.0**g - 1) if gain is evaluation.exponential_gain else (lambda g: g)
    for row, value, count in zip(range(8), values, counts, strict=True):
        mine = scores[row]
        orders = [o for o in itertools.permutations(range(5)) if all(np.diff(mine[list(o)]) <= 0)]
        each = [by_hand(order, grades[row], K, gained) for order in orders]
        if each[0] is None:
            assert count == 0
            continue
        if ties == "trec_eval":
            order = sorted(range(5), key=lambda i: (-mine[i], -i))
            each = [by_hand(order, grades[row], K, gained)]
        expected = np.min(each) if ties == "pessimistic" else np.mean(each)
        np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("ties", ["pessimistic", "trec_eval", "expected"])
def test_a_nan_among_scores_or_grades_is_nan_for_that_query_alone(ties):
    scores, grades = np.random.default_rng(1).random((2, 8, 5)).astype(np.float32)
    whole, _ = jitted(ties, evaluation.linear_gain)(scores, grades)
    for side in range(2):
        spoiled = [scores.copy(), grades.copy()]
        spoiled[side][4, 2] = np.nan
        values, counts = jitted(ties, evaluation.linear_gain)(*spoiled)
        np.testing.assert_array_equal(np.isnan(values), np.arange(8) == 4)
        np.testing.assert_array_equal(np.delete(values, 4), np.delete(whole, 4))
        assert counts[4] == 1


def test_a_nan_grade_is_nan_where_the_item_is_judged():
    ids, truth, grades = np.array([[0, 1]]), np.array([[1, 2, -1]]), np.array([[1.0, np.nan, 1.0]])
    assert np.isnan(evaluation.ndcg(ids, truth, 2, grades=grades))
    grades = np.array([[1.0, 1.0, np.nan]])  # of padding
    assert evaluation.ndcg(ids, truth, 2, grades=grades) == evaluation.ndcg(ids, truth, 2)


def test_an_item_judged_twice_counts_once():
    once = evaluation.ndcg(np.array([[3, 1]]), np.array([[1, 2]]), 2, grades=np.array([[2.0, 1.0]]))
    twice = evaluation.ndcg(
        np.array([[3, 1]]), np.array([[1, 2, 1]]), 2, grades=np.array([[2.0, 1.0, 9.0]])
    )
    assert once == twice


def test_r_precision():
    ids = np.array([[1, 2, 3], [3, 9, 9], [5, -1, -1], [1, 2, 3]])
    truth = np.array([[1, 3], [3, 9], [5, 6], [-1, -1]])
    values, counts = evaluation.precision_at_r(ids, truth, reduce_fn=None)
    np.testing.assert_allclose(values[:3], [0.5, 1, 0.5])
    np.testing.assert_array_equal(counts, [1, 1, 1, 0])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="grades"):
        evaluation.ndcg(np.zeros((1, 3), int), np.zeros((1, 2), int), 3, grades=np.ones((1, 3)))
    with pytest.raises(ValueError, match="k must be"):
        evaluation.ndcg(np.zeros((1, 3), int), np.zeros((1, 2), int), 4)
    with pytest.raises(ValueError, match=r"gain must be a function of grades.*got 'exponential'"):
        evaluation.score_ndcg(np.ones((1, 3)), np.ones((1, 3)), 3, gain="exponential")
    with pytest.raises(ValueError, match="ties"):
        evaluation.score_ndcg(np.ones((1, 3)), np.ones((1, 3)), 3, ties="best")
