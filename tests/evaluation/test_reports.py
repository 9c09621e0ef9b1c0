"""Reports have the figures that the functions give one by one, and the intervals of their means."""

import jax
import numpy as np
import pytest

from jaxsim import evaluation, search

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 5, 40)
Z = (np.eye(5)[LABELS] + RNG.normal(size=(40, 5))).astype(np.float32)


@pytest.mark.thorough
def test_classes_all_at_once():
    found = evaluation.report(Z, LABELS, key=jax.random.key(0))
    expected = {
        "recall@1": evaluation.class_recall(Z, LABELS, 1),
        "recall@10": evaluation.class_recall(Z, LABELS, 10),
        "MRR": evaluation.class_reciprocal_rank(Z, LABELS),
        "R-precision": evaluation.r_precision(Z, LABELS),
        "MAP@R": evaluation.map_at_r(Z, LABELS),
        "NMI": evaluation.class_nmi(Z, LABELS, key=jax.random.key(0)),
    }
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].value, value, rtol=1e-5)
    values, _ = evaluation.map_at_r(Z, LABELS, reduce_fn=None)
    assert found["MAP@R"][1:] == evaluation.interval(np.asarray(values, float), 0)
    assert found["NMI"][1:] == (None, None)


def test_the_rank_of_the_closest_match_beside_numpy():
    unit = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -np.inf)
    same = LABELS[:, None] == LABELS
    np.fill_diagonal(same, False)
    best = np.where(same, scores, -np.inf).max(axis=1, keepdims=True)
    ranks = 1 + ((scores >= best) & (LABELS[:, None] != LABELS)).sum(axis=1)
    np.testing.assert_allclose(
        evaluation.class_reciprocal_rank(Z, LABELS), (1 / ranks).mean(), rtol=1e-5
    )
    assert evaluation.class_reciprocal_rank(np.ones((4, 2)), np.array([0, 0, 1, 1])) == 1 / 3


@pytest.mark.thorough
def test_rankings_all_at_once():
    truth = np.where(RNG.uniform(size=(6, 3)) < 0.8, RNG.integers(0, 30, (6, 3)), -1)
    truth[:, 0] = 0
    _, ids = search.exact(Z[:6], Z[:30], k=10)
    found = evaluation.retrieval_report(ids, truth, ks=(1, 5))
    np.testing.assert_allclose(found["nDCG@5"].value, evaluation.ndcg(ids, truth, 5), rtol=1e-5)
    np.testing.assert_allclose(
        found["precision@1"].value, evaluation.precision(ids, truth, 1), rtol=1e-5
    )
    assert set(found) == {"MRR"} | {
        f"{name}@{k}" for name in ("nDCG", "MAP", "recall", "precision") for k in (1, 5)
    }
    assert all(one.low <= one.value <= one.high for one in found.values())


def test_padding_nan_and_what_does_not_fit():
    where = np.arange(40) < 30
    broken = np.where(where[:, None], Z, np.nan)
    part = evaluation.report(broken, LABELS, ks=(1,), where=where, key=jax.random.key(1))
    whole = evaluation.report(Z[:30], LABELS[:30], ks=(1,), key=jax.random.key(1))
    np.testing.assert_allclose(
        [one.value for one in part.values()], [one.value for one in whole.values()], rtol=1e-5
    )
    assert np.isnan(evaluation.report(broken, LABELS, ks=(1,))["MRR"].value)
    with pytest.raises(ValueError, match=r"recall@1 needs a query with a match"):
        evaluation.report(Z[:3], np.arange(3), ks=(1,))
    with pytest.raises(ValueError, match="key is for NMI"):
        evaluation.report(Z, LABELS, references=Z, reference_labels=LABELS, key=jax.random.key(0))
