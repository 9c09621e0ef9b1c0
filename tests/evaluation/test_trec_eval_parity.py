"""Figures of rankings compared with trec_eval's own (pytrec-eval-terrier), ties included; skipped without it."""

import numpy as np
import pytest

from jaxsim import evaluation

trec = pytest.importorskip("pytrec_eval", reason="needs pytrec-eval-terrier, of the extra peers")

QUERIES, ITEMS, K = 12, 30, 10
MEASURES = {"ndcg_cut_10", "map_cut_10", "recip_rank", "Rprec", "P_10", "recall_10"}


@pytest.fixture(scope="module")
def both():
    """(scores, grades, what trec_eval says of every query by measure)"""
    random = np.random.default_rng(0)
    scores = random.integers(0, 9, size=(QUERIES, ITEMS)).astype(np.float32)
    grades = random.choice([0, 0, 0, 1, 2], size=(QUERIES, ITEMS))
    names = [f"{item:03d}" for item in range(ITEMS)]
    rows = range(QUERIES)
    judged = {f"q{q}": dict(zip(names, grades[q].tolist(), strict=True)) for q in rows}
    run = {f"q{q}": dict(zip(names, scores[q].astype(float).tolist(), strict=True)) for q in rows}
    result = trec.RelevanceEvaluator(judged, MEASURES).evaluate(run)
    return scores, grades, {m: [result[f"q{q}"][m] for q in rows] for m in MEASURES}


def test_scores_with_ties(both):
    scores, grades, theirs = both
    ties = {"ties": "trec_eval", "reduce_fn": None}
    result = {
        "ndcg_cut_10": evaluation.score_ndcg(scores, grades, K, **ties),
        "recall_10": evaluation.score_recall(scores, grades > 0, K, **ties),
        "recip_rank": evaluation.score_reciprocal_rank(scores, grades > 0, **ties),
    }
    for name, (values, _) in result.items():
        np.testing.assert_allclose(values, theirs[name], atol=1e-6, err_msg=name)


def test_returned_rankings(both):
    scores, grades, theirs = both
    ids = np.stack([np.lexsort((-np.arange(ITEMS), -row)) for row in scores])
    truth = np.where(grades > 0, np.arange(ITEMS), -1)
    result = {
        "ndcg_cut_10": evaluation.ndcg(ids, truth, K, grades=grades, reduce_fn=None),
        "P_10": evaluation.precision(ids, truth, K, reduce_fn=None),
        "recall_10": evaluation.recall(ids, truth, K, reduce_fn=None),
        "Rprec": evaluation.precision_at_r(ids, truth, reduce_fn=None),
        "recip_rank": evaluation.reciprocal_rank(ids, truth, reduce_fn=None),
    }
    for name, (values, _) in result.items():
        np.testing.assert_allclose(values, theirs[name], atol=1e-6, err_msg=name)
    # trec_eval divides by all relevant items where our AP@k divides by those that k has room for.
    relevant = (grades > 0).sum(axis=1)
    values, _ = evaluation.average_precision(ids, truth, K, reduce_fn=None)
    np.testing.assert_allclose(
        values * np.minimum(relevant, K) / relevant, theirs["map_cut_10"], atol=1e-6
    )
