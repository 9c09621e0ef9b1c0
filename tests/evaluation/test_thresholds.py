"""Metrics of one threshold against loops over thresholds in float64, and against scikit-learn."""

import functools
import itertools

import jax
import numpy as np
import pytest
from sklearn import metrics

from jaxsim import evaluation

RNG = np.random.default_rng(0)
SCORES = np.float32(RNG.integers(0, 9, size=40))  # many ties
LABELS = RNG.random(40) < 0.3
PAPER = np.float32([0.9, 0.8, 0.8, 0.7, 0.6, 0.5]), np.array([1, 0, 1, 1, 0, 1], bool)


def ranking(scores, labels, order):
    """(precision, hits) after each place of an order."""
    hits = np.cumsum(labels[order])
    return hits / np.arange(1, len(order) + 1), hits


def pessimistic(scores, labels):
    return np.lexsort((labels, -scores))


def test_micro_average_precision_is_the_method_files_example():
    value = evaluation.micro_average_precision(*PAPER, positives=5)
    assert float(value) == pytest.approx(0.6166667, abs=1e-6)
    reached = evaluation.recall_at_precision(*PAPER, positives=5, precision=0.9)
    assert float(reached) == pytest.approx(0.2)


def test_constant_scores_are_the_worst_of_all_orders():
    labels = np.array([1, 0, 0, 1], bool)
    worst = 1.0
    for order in itertools.permutations(range(4)):
        precision, _ = ranking(np.ones(4), labels, np.array(order))
        worst = min(worst, (precision * labels[list(order)]).sum() / 2)
    value = evaluation.micro_average_precision(np.ones(4, np.float32), labels)
    assert float(value) == pytest.approx(worst)


def test_of_ties_the_wrong_come_first():
    order = pessimistic(SCORES, LABELS)
    precision, hits = ranking(SCORES, LABELS, order)
    total = LABELS.sum()
    expected = (precision * LABELS[order]).sum() / total
    assert float(evaluation.micro_average_precision(SCORES, LABELS)) == pytest.approx(expected)
    reached = max(hits[precision >= 0.4], default=0) / total
    value = evaluation.recall_at_precision(SCORES, LABELS, precision=0.4)
    assert float(value) == pytest.approx(reached)
    best = max(2 * hits / (np.arange(1, 41) + total))
    assert float(evaluation.f1_max(SCORES, LABELS, ties="pessimistic")) == pytest.approx(best)


def test_together_is_scikit_learns():
    value = evaluation.micro_average_precision(SCORES, LABELS, ties="together")
    assert float(value) == pytest.approx(metrics.average_precision_score(LABELS, SCORES))
    assert float(evaluation.roc_auc(SCORES, LABELS)) == pytest.approx(
        metrics.roc_auc_score(LABELS, SCORES)
    )
    best = max(metrics.f1_score(LABELS, t <= SCORES) for t in np.unique(SCORES))
    assert float(evaluation.f1_max(SCORES, LABELS)) == pytest.approx(best)


def test_auc_counts_pairs_and_ties_by_policy():
    right, wrong = SCORES[LABELS], SCORES[~LABELS]
    above = (right[:, None] > wrong[None]).mean()
    assert float(evaluation.roc_auc(SCORES, LABELS, ties="pessimistic")) == pytest.approx(above)


@pytest.mark.parametrize(
    "metric",
    [
        evaluation.micro_average_precision,
        functools.partial(evaluation.micro_average_precision, ties="together"),
        functools.partial(evaluation.recall_at_precision, precision=0.25),
        evaluation.f1_max,
        evaluation.roc_auc,
    ],
)
def test_what_does_not_count_has_no_influence_and_nan_that_counts_shows(metric):
    where = RNG.random(40) < 0.7
    spoiled = np.where(where, SCORES, np.nan)
    alone = float(metric(SCORES[where], LABELS[where]))
    assert float(jax.jit(metric)(spoiled, LABELS, where=where)) == pytest.approx(alone)
    assert np.isnan(float(metric(spoiled, LABELS)))
    assert float(metric(np.where(SCORES < 3, -np.inf, SCORES), LABELS)) > 0
    assert np.isnan(float(metric(SCORES, np.zeros(40, bool))))


def test_missed_pairs_lower_the_recall_and_cannot_be_fewer_than_found():
    half = evaluation.micro_average_precision(SCORES, LABELS, positives=2 * int(LABELS.sum()))
    whole = evaluation.micro_average_precision(SCORES, LABELS)
    assert float(half) == pytest.approx(float(whole) / 2)
    none = evaluation.micro_average_precision(SCORES, np.zeros(40, bool), positives=3)
    assert float(none) == 0
    with pytest.raises(ValueError, match="positives must be at least"):
        evaluation.f1_max(SCORES, LABELS, positives=1)
    with pytest.raises(ValueError, match="ties must be"):
        evaluation.roc_auc(SCORES, LABELS, ties="expected")


def test_resampled_statistics_are_those_of_the_drawn_rows():
    value, repeats = evaluation.resampled(evaluation.roc_auc, SCORES, LABELS, repeats=5, seed=3)
    assert value == pytest.approx(metrics.roc_auc_score(LABELS, SCORES))
    draws = np.random.default_rng(3).integers(40, size=(5, 40))
    for drawn, repeat in zip(draws, repeats, strict=True):
        assert repeat == pytest.approx(metrics.roc_auc_score(LABELS[drawn], SCORES[drawn]))


def test_groups_are_drawn_whole():
    groups = np.array(["a"] * 30 + ["b"] * 10)

    def count(groups, *, where):
        both = [np.sum(where & (np.asarray(groups) == number)) for number in (0, 1)]
        assert both[0] % 30 == 0
        assert both[1] % 10 == 0
        return sum(both)

    numbers = np.array([0] * 30 + [1] * 10)
    value, repeats = evaluation.resampled(count, numbers, groups=groups, repeats=20)
    assert value == 40
    assert set(repeats) == {20.0, 40.0, 60.0}
    with pytest.raises(ValueError, match=r"arrays\[1\]"):
        evaluation.resampled(evaluation.roc_auc, SCORES, LABELS[:3])
