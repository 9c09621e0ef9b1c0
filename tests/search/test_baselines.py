"""The baselines of annCUR: charged like it, and what their definitions say."""

import numpy as np
import pytest

from jaxsim import search

RNG = np.random.default_rng(0)
QUERIES, ITEMS = (RNG.normal(size=(n, 5)).astype(np.float32) for n in (6, 40))
SCORES, ITEM_SCORES = QUERIES @ ITEMS.T, ITEMS @ ITEMS.T
FIXED = np.array([1, 8, 13, 21, 30, 33, 39])


def test_fixed_items_score_by_shared_anchors_and_pay_for_them():
    index = search.fixed_items_index(ITEM_SCORES[:, FIXED], FIXED)
    result = search.anncur(index, lambda q, i: SCORES[q, i], 6, k=3, budget=12)
    assert (result.calls == 12).all()
    estimates = SCORES[:, FIXED] @ ITEM_SCORES[:, FIXED].T
    estimates[:, FIXED] = -np.inf
    best = np.argsort(-estimates, axis=1)[:, :5]
    np.testing.assert_array_equal(np.sort(result.scored.ids[:, 7:]), np.sort(best))


def test_items_in_the_place_of_queries_rebuild_scores_of_low_rank():
    index = search.item_cur_index(
        ITEM_SCORES[:, FIXED], [0, 4, 9, 17, 25, 36], rtol=1e-4, center=None
    )
    result = search.cur_scores(index, SCORES[:, np.asarray(index.anchor_items)])
    np.testing.assert_allclose(result, SCORES, atol=1e-3)


def test_the_oracle_is_at_least_as_close_as_any_index():
    noisy = SCORES + 0.3 * RNG.normal(size=SCORES.shape)
    rows, columns = np.arange(4), np.arange(3)
    oracle = search.oracle_scores(noisy, rows, columns)
    index = search.cur_index(noisy[rows], columns, center=None)
    plain = np.asarray(search.cur_scores(index, noisy[:, columns]))
    assert np.linalg.norm(oracle - noisy) < np.linalg.norm(plain - noisy)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"item_scores must be \[any, 7\], one per anchor item"):
        search.fixed_items_index(ITEM_SCORES, FIXED)
