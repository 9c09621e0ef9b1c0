"""Compatibility of replaced models: templates against loops, the shares of a small matrix by hand."""

import numpy as np
import pytest

from jaxsim import evaluation

RNG = np.random.default_rng(0)
MATRIX = np.float32([[0.5, np.nan, np.nan], [0.5, 0.6, np.nan], [0.7, 0.55, 0.7]])


def loops(queries, labels, gallery, gallery_labels):
    """Class-balanced accuracy of the nearest class mean."""
    templates = {}
    for label in set(gallery_labels):
        rows = gallery[gallery_labels == label].astype(float)
        templates[label] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
    by_class = {}
    for query, label in zip(queries, labels, strict=True):
        nearest = max(templates, key=lambda c: query @ templates[c] / np.linalg.norm(templates[c]))
        by_class.setdefault(label, []).append(nearest == label)
    return np.mean([np.mean(hits) for hits in by_class.values()])


def test_template_accuracy_balances_the_classes():
    labels = np.array([0] * 12 + [1] * 3 + [5] * 2 + [9])  # class 9 has no gallery
    gallery_labels = np.array([0, 0, 1, 1, 5, 5])
    queries = np.float32(RNG.normal(size=(18, 4)) + labels[:, None])
    gallery = np.float32(RNG.normal(size=(6, 4)) + gallery_labels[:, None])
    value = evaluation.template_accuracy(queries, labels, gallery, gallery_labels)
    assert float(value) == pytest.approx(loops(queries, labels, gallery, gallery_labels))
    values, weights = evaluation.template_accuracy(
        queries, labels, gallery, gallery_labels, reduce_fn=None
    )
    assert float((values * weights).sum() / weights.sum()) == pytest.approx(float(value))
    assert float(weights[:12].sum()) == pytest.approx(1)


def test_the_matrix_has_new_queries_in_old_galleries():
    labels = np.array([0, 0, 1, 1])
    models = [np.float32(RNG.normal(size=(4, 3)) + labels[:, None]) for _ in range(3)]
    matrix = np.asarray(evaluation.compatibility_matrix(models, labels, models, labels))
    assert np.isnan(matrix[np.triu_indices(3, 1)]).all()
    for new in range(3):
        for old in range(new + 1):
            expected = loops(models[new], labels, models[old], labels)
            assert matrix[new, old] == pytest.approx(expected)


@pytest.mark.thorough
def test_shares_of_the_method_files_matrix():
    assert float(evaluation.average_compatibility(MATRIX)) == pytest.approx(1 / 3)
    assert float(evaluation.average_compatibility(MATRIX, strict=False)) == pytest.approx(2 / 3)
    assert float(evaluation.average_accuracy(MATRIX)) == pytest.approx(0.5916667)
    assert float(evaluation.average_compatibility(MATRIX[:1, :1])) == 1
    assert np.isnan(evaluation.average_compatibility(np.full((2, 2), np.nan, np.float32)))


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="matrix must be"):
        evaluation.average_accuracy(MATRIX[:2])
    with pytest.raises(ValueError, match="one array per model, got 2 and 1"):
        evaluation.compatibility_matrix([MATRIX] * 2, np.arange(3), [MATRIX], np.arange(3))
    with pytest.raises(ValueError, match="gallery_labels"):
        evaluation.template_accuracy(np.ones((2, 3)), [0, 1], np.ones((2, 3)), [0])
