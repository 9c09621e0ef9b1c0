"""annCUR, ADACUR and AXN: the checks that their method states, each asserted, in float64."""

import functools

import jax
import numpy as np
import pytest

from jaxsim import evaluation, search
from jaxsim.numerics import sharded_top_k, top_k

R = np.array([[1.0, 0, 2, 1], [0, 1, 1, 3]])
ROW = np.array([2.0, 1, 5, 5])
RANDOM = np.random.default_rng(0)
MATRIX = RANDOM.normal(size=(14, 24))  # of full rank: 6 anchor queries, 8 others


@pytest.fixture(autouse=True)
def _double(float64):
    """All of it in double precision."""


def estimates(scores, items, row, *, center=None, **settings):
    index = search.cur_index(scores, np.asarray(items), center=center, **settings)
    return np.asarray(search.cur_scores(index, row[..., np.asarray(items)]))


regress = jax.jit(search.row_regression)


def regressed(scores, items, row, *, ridge=0.0, prior=None):
    items = np.asarray(items)
    w = regress(scores, items, row[items], np.ones(len(items), bool), ridge=ridge, prior=prior)
    return np.asarray(w), np.asarray(w) @ scores


def low_rank(rank, rows, columns):
    return RANDOM.normal(size=(rows, rank)) @ RANDOM.normal(size=(rank, columns))


@pytest.mark.parametrize("items", [[0, 1], [2]])
def test_1_two_queries_by_hand(items):
    np.testing.assert_allclose(estimates(R, items, ROW), ROW, atol=1e-12)
    np.testing.assert_allclose(regressed(R, items, ROW)[1], ROW, atol=1e-12)
    inverse = {2: np.eye(2), 1: [[0.4, 0.2]]}[len(items)]
    index = search.cur_index(R, items, center=None)
    np.testing.assert_allclose(index.inverse, inverse, atol=1e-12)


def test_2_one_query_by_hand():
    row = np.array([2.0, 0, 5, 0])
    expected = [2.4, 0, 4.8, 2.4]
    index = search.cur_index(R[:1], [0, 2], center=None)
    np.testing.assert_allclose(index.inverse, [[0.2], [0.4]], atol=1e-12)
    np.testing.assert_allclose(estimates(R[:1], [0, 2], row), expected, atol=1e-12)
    w, found = regressed(R[:1], [0, 2], row)
    np.testing.assert_allclose(w, [2.4], atol=1e-12)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    w, found = regressed(R[:1], [0, 2], row, ridge=1.0)
    np.testing.assert_allclose(w, [2], atol=1e-12)
    np.testing.assert_allclose(found, [2, 0, 4, 2], atol=1e-12)


@pytest.mark.thorough
def test_3_three_calls_return_the_true_two_best():
    w, found = regressed(R, [0], ROW)
    np.testing.assert_allclose(w, [2, 0], atol=1e-12)
    np.testing.assert_allclose(found, [2, 0, 4, 2], atol=1e-12)
    asked = []

    def scorer(rows, items):
        asked.extend(items.tolist())
        return ROW[items]

    found = search.adaptive(
        search.row_basis(R, center=None), scorer, 1, k=2, budget=3, rounds=3, first=[0], ridge=0.0
    )
    assert asked == [0, 2, 3]
    assert found.ids.tolist() == [[2, 3]]


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (5, 5)])
def test_4_rows_of_low_rank_are_rebuilt(shape):
    k_q, k_i = shape
    matrix = low_rank(3, k_q + 4, 20)
    found = estimates(matrix[:k_q], np.arange(k_i), matrix[k_q:], rtol=1e-10)
    np.testing.assert_allclose(found, matrix[k_q:], atol=1e-11)


@pytest.mark.thorough
@pytest.mark.parametrize("k_i", [3, 6, 9])
def test_5_index_and_regression_are_one_thing_and_linear(k_i):
    scores, rows, items = MATRIX[:6], MATRIX[6:], np.arange(k_i) * 2
    found = estimates(scores, items, rows)
    np.testing.assert_allclose(regressed(scores, items, rows[0])[1], found[0], atol=1e-10)
    combined = estimates(scores, items, 2 * rows[0] - rows[1])
    np.testing.assert_allclose(combined, 2 * found[0] - found[1], atol=1e-11)
    order = RANDOM.permutation(24)
    moved = estimates(scores[:, order], np.argsort(order)[items], rows[:, order])
    np.testing.assert_allclose(moved, found[:, order], atol=1e-11)
    np.testing.assert_allclose(estimates(7 * scores, items, 7 * rows), 7 * found, atol=1e-10)


def test_6_anchors_are_reproduced():
    items = np.arange(5)
    found = estimates(MATRIX[:6], items, MATRIX[7])
    np.testing.assert_allclose(found[items], MATRIX[7, items], atol=1e-12)
    found = estimates(MATRIX[:6], np.arange(9), MATRIX[:6])
    np.testing.assert_allclose(found, MATRIX[:6], atol=1e-11)


@pytest.mark.thorough
@pytest.mark.parametrize("count", [4, 9])
def test_7_limits_of_ridge_and_cutoff(count):
    items, prior = np.arange(count), RANDOM.normal(size=6)
    plain = estimates(MATRIX[:6], items, MATRIX[7])
    np.testing.assert_allclose(
        estimates(MATRIX[:6], items, MATRIX[7], ridge=1e-9), plain, atol=1e-9
    )
    np.testing.assert_allclose(
        regressed(MATRIX[:6], items, MATRIX[7], ridge=1e-10)[1], plain, atol=1e-7
    )
    assert np.abs(estimates(MATRIX[:6], items, MATRIX[7], ridge=1e9)).max() < 1e-8
    w, _ = regressed(MATRIX[:6], items, MATRIX[7], ridge=1e12)
    assert np.abs(w).max() < 1e-8
    w, _ = regressed(MATRIX[:6], items, MATRIX[7], ridge=1e12, prior=prior)
    np.testing.assert_allclose(w, prior, atol=1e-8)
    assert not estimates(MATRIX[:6], items, MATRIX[7], rtol=1.0).any()


def test_8_a_constant_in_every_score_changes_no_ranking():
    items = np.arange(4)
    find = functools.partial(estimates, center=search.global_mean)
    plain = find(MATRIX[:6], items, MATRIX[6:])
    moved = find(MATRIX[:6] - 9, items, MATRIX[6:] - 9)
    np.testing.assert_array_equal(np.argsort(-moved, axis=1), np.argsort(-plain, axis=1))


class Counted:
    """A scorer that remembers every pair it was asked for."""

    def __init__(self, scores):
        self.scores, self.pairs = scores, []

    def __call__(self, rows, items):
        self.pairs += list(zip(rows.tolist(), items.tolist(), strict=True))
        return self.scores[rows, items]


@pytest.mark.thorough
def test_9_one_uniform_round_and_a_rerank_is_anncur():
    key = jax.random.key(3)
    found = search.adaptive(
        MATRIX[:6],
        Counted(MATRIX[6:]),
        8,
        k=5,
        budget=10,
        rounds=1,
        rerank_share=0.5,
        key=key,
        ridge=0.0,
    )
    items = found.scored.ids[0, :5]
    assert (found.scored.ids[:, :5] == items).all()
    index = search.cur_index(MATRIX[:6], items)
    fixed = search.anncur(index, Counted(MATRIX[6:]), 8, k=5, budget=10)
    np.testing.assert_array_equal(np.sort(found.scored.ids), np.sort(fixed.scored.ids))
    np.testing.assert_array_equal(found.ids, fixed.ids)


@pytest.mark.thorough
@pytest.mark.parametrize("rounds", [1, 3])
def test_9_the_whole_budget_finds_all_and_pays_for_each_once(rounds):
    scorer = Counted(MATRIX[6:])
    basis = search.row_basis(MATRIX[:6])
    found = search.adaptive(basis, scorer, 8, k=5, budget=24, rounds=rounds)
    assert (found.calls == 24).all()
    assert len(scorer.pairs) == len(set(scorer.pairs)) == 8 * 24
    assert evaluation.top_k_recall(MATRIX[6:], found.ids, 5) == 1


@pytest.mark.thorough
def test_10_recall_by_hand_and_never_falling_with_the_budget():
    exact = np.array([[4.0, 3, 2, 1, 0, 0, 0, 0]])
    assert evaluation.top_k_recall(exact, np.array([[1, 7]]), 2) == 0.5
    index = search.cur_index(MATRIX[:6], np.arange(4))
    recalls = [
        evaluation.top_k_recall(
            MATRIX[6:], search.anncur(index, Counted(MATRIX[6:]), 8, k=5, budget=b).ids, 5
        )
        for b in (4, 8, 16, 24)
    ]
    assert recalls == sorted(recalls)
    assert recalls[-1] == 1


@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_11_shards_of_the_items_change_nothing(shards):
    scores = np.random.default_rng(1).integers(0, 4, size=(5, 32)).astype(float)  # ties everywhere
    expected = top_k(scores, 7)
    columns = np.moveaxis(scores.reshape(5, shards, -1), 1, 0)
    found = jax.pmap(
        functools.partial(sharded_top_k, k=7, axis_name="devices"), "devices", out_axes=None
    )(columns)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(expected[1], np.argsort(-scores, axis=1, kind="stable")[:, :7])
