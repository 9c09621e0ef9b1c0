"""Recall and reciprocal rank against float64 loops, with every policy on ties."""

import itertools

import jax
import numpy as np
import pytest

from jaxsim import evaluation
from jaxsim.numerics import mean

RNG = np.random.default_rng(0)
SCORES = RNG.integers(0, 4, size=(12, 7)).astype(np.float32)  # ties everywhere
RELEVANT = RNG.random((12, 7)) < 0.3
RELEVANT[5] = False  # a query without anything relevant does not count


def orders(scores):
    """All orders that the scores allow."""
    groups = [np.flatnonzero(scores == s) for s in sorted(set(scores), reverse=True)]
    for parts in itertools.product(*(itertools.permutations(g) for g in groups)):
        yield [i for part in parts for i in part]


def figure(order, relevant, k, kind):
    places = [p for p, i in enumerate(order, 1) if relevant[i]]
    if kind == "precision":
        return np.mean([number / place for number, place in enumerate(places, 1)])
    return sum(p <= k for p in places) / len(places) if kind == "recall" else 1 / min(places)


def reference(scores, relevant, k, ties, kind):
    values = []
    for s, r in zip(scores, relevant, strict=True):
        if not r.any():
            continue
        if ties == "trec_eval":
            order = sorted(range(len(s)), key=lambda i: (-s[i], -i))
            values.append(figure(order, r, k, kind))
        else:
            each = [figure(order, r, k, kind) for order in orders(s)]
            values.append(min(each) if ties == "pessimistic" else np.mean(each))
    return np.mean(values)


@pytest.mark.parametrize("ties", ["pessimistic", "trec_eval", "expected"])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_score_recall(ties, k):
    value = jax.jit(evaluation.score_recall, static_argnums=2, static_argnames="ties")(
        SCORES, RELEVANT, k, ties=ties
    )
    np.testing.assert_allclose(value, reference(SCORES, RELEVANT, k, ties, "recall"), rtol=1e-5)


@pytest.mark.parametrize("ties", ["pessimistic", "trec_eval", "expected"])
def test_score_average_precision(ties):
    value = jax.jit(evaluation.score_average_precision, static_argnames="ties")(
        SCORES, RELEVANT, ties=ties
    )
    np.testing.assert_allclose(value, reference(SCORES, RELEVANT, 1, ties, "precision"), rtol=1e-5)


def test_average_precision_of_all_ties_is_that_of_one_relevant_anywhere():
    harmonic = np.sum(1 / np.arange(1, 301)) / 300
    relevant = np.arange(300)[None] == 17
    value = evaluation.score_average_precision(np.zeros((1, 300)), relevant, ties="expected")
    np.testing.assert_allclose(value, harmonic, rtol=1e-5)
    spoiled = np.where(relevant, np.nan, 0)
    assert np.isnan(evaluation.score_average_precision(spoiled, relevant, ties="expected"))


@pytest.mark.parametrize("ties", ["pessimistic", "trec_eval", "expected"])
def test_score_reciprocal_rank(ties):
    value = jax.jit(evaluation.score_reciprocal_rank, static_argnames="ties")(
        SCORES, RELEVANT, ties=ties
    )
    np.testing.assert_allclose(value, reference(SCORES, RELEVANT, 1, ties, "rank"), rtol=1e-5)


def test_a_constant_scorer_does_not_look_good():
    relevant = np.zeros((1, 100), bool)
    relevant[0, 0] = True
    constant = np.zeros((1, 100))
    assert evaluation.score_recall(constant, relevant, 10) == 0
    assert evaluation.score_reciprocal_rank(constant, relevant) == pytest.approx(0.01)


SPOILED = np.where(np.arange(84).reshape(12, 7) == 8, np.nan, SCORES)  # in query 1


@pytest.mark.parametrize("ties", ["pessimistic", "trec_eval", "expected"])
@pytest.mark.parametrize("name", ["score_recall", "score_reciprocal_rank"])
def test_a_nan_among_its_scores_is_nan_for_that_query_alone(name, ties):
    settings = {"ties": ties, "reduce_fn": None} | ({"k": 3} if name == "score_recall" else {})
    figure = getattr(evaluation, name)
    values, _ = figure(SPOILED, RELEVANT, **settings)
    whole, _ = figure(SCORES, RELEVANT, **settings)
    np.testing.assert_array_equal(np.isnan(values), np.arange(12) == 1)
    np.testing.assert_array_equal(np.delete(values, 1), np.delete(whole, 1))
    assert np.isnan(figure(SPOILED, RELEVANT, **settings | {"reduce_fn": mean}))
    # A query that does not count spoils nothing.
    unasked = RELEVANT & (np.arange(12) != 1)[:, None]
    assert np.isfinite(figure(SPOILED, unasked, **settings | {"reduce_fn": mean}))


def test_top_k_recall_of_scores_with_a_nan_is_nan():
    values, _ = evaluation.top_k_recall(SPOILED, np.zeros((12, 1), int), 2, reduce_fn=None)
    np.testing.assert_array_equal(np.isnan(values), np.arange(12) == 1)


HASHES = np.array([2**32 + 5, 5, -1, 2**62, 7, 2**32 + 7])
UNSIGNED = np.array([2**63 + 5, 2**63 + 6, 5], np.uint64)


@pytest.mark.parametrize("name", ["recall", "precision", "average_precision", "ndcg"])
def test_ids_beyond_32_bits_are_kept_apart(name):
    """5 and 2**32 + 5 are equal in 32 bits."""
    figure = getattr(evaluation, name)
    assert figure(np.array([[2**32 + 5]]), np.array([[5]]), k=1) == 0
    assert figure(HASHES[None], np.array([[2**62, -1]]), k=6) == figure(
        np.array([[1, 2, -1, 4, 7, 8]]), np.array([[4, -1]]), k=6
    )
    assert figure(UNSIGNED[None], np.array([[5]]), k=3) == figure(
        np.array([[1, 2, 3]]), np.array([[3]]), k=3
    )


def test_a_returned_ranking_keeps_its_order():
    ids = np.array([[5, 3, 3, 9, -1], [1, 0, 2, 4, 5]])
    truth = np.array([[3, 9, -1], [7, -1, -1]])
    assert evaluation.recall(ids, truth, 2) == pytest.approx((1 / 2 + 0) / 2)
    assert evaluation.recall(ids, truth, 4) == pytest.approx((2 / 2 + 0) / 2)
    assert evaluation.reciprocal_rank(ids, truth) == pytest.approx((1 / 2 + 0) / 2)
    assert evaluation.reciprocal_rank(ids, truth, k=1) == 0


def test_queries_without_truth_do_not_count():
    ids = np.array([[1, 2], [3, 4]])
    truth = np.array([[-1], [3]])
    _, counts = evaluation.recall(ids, truth, 1, reduce_fn=None)
    np.testing.assert_array_equal(counts, [0, 1])
    assert evaluation.recall(ids, truth, 1) == 1


def test_top_k_recall_of_the_method_file():
    exact = np.array([[9.0, 8, 1, 2, 3, 4, 5, 6]])
    assert evaluation.top_k_recall(exact, np.array([[1, 7]]), 2) == 0.5


def test_top_k_recall_is_set_overlap_and_never_falls_with_more_returned():
    exact = np.random.default_rng(1).integers(0, 9, size=(8, 30)).astype(np.float32)
    order = np.random.default_rng(2).permuted(np.tile(np.arange(30), (8, 1)), axis=1)
    before = 0
    for returned in (1, 5, 12, 30):
        ids = order[:, :returned]
        expected = [
            len(
                set(sorted(range(30), key=lambda i: (-s[i], i))[:6])
                & set(sorted(mine, key=lambda i: (-s[i], i))[:6])
            )
            / 6
            for s, mine in zip(exact, ids, strict=True)
        ]
        value = evaluation.top_k_recall(exact, np.pad(ids, ((0, 0), (0, 2)), constant_values=-1), 6)
        np.testing.assert_allclose(value, np.mean(expected), rtol=1e-6)
        assert value >= before
        before = value
    assert before == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: evaluation.recall(np.zeros((2, 3), int), np.zeros((1, 3), int), 1),
            r"truth must be \[2",
        ),
        (
            lambda: evaluation.recall(np.zeros((2, 3), int), np.zeros((2, 3), int), 4),
            "k must be at most 3",
        ),
        (
            lambda: evaluation.score_recall(SCORES, RELEVANT, 8),
            "k must be at most 7, the number of items",
        ),
        (lambda: evaluation.score_recall(SCORES, RELEVANT, 1, ties="x"), "ties must be one of"),
        (lambda: evaluation.score_recall(SCORES, RELEVANT * 1.0, 1), "relevant must be boolean"),
        (lambda: evaluation.top_k_recall(SCORES, np.zeros((3, 1), int), 1), r"ids must be \[12"),
        (
            lambda: evaluation.top_k_recall(SCORES, np.full((12, 1), 7), 1),
            "ids must be below 7, the number of items",
        ),
        (
            lambda: evaluation.top_k_recall(SCORES, np.zeros((12, 1)), 1),
            "ids must be integers, got float",
        ),
        (
            lambda: evaluation.recall(np.ones((1, 2), bool), np.ones((1, 2), int), 1),
            "ids must be integers, got bool",
        ),
        (
            lambda: evaluation.recall(np.ones((1, 2), int), np.array([[1.0]]), 1),
            "truth must be integers, got float",
        ),
        (lambda: evaluation.recall([["a"]], [["b"]], 1), "ids must be numbers, got <U1"),
        (
            lambda: evaluation.recall([[1]], [[1]], True),
            "k must be a whole number of at least 1, got True",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
