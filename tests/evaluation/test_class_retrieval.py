"""recall@k, MAP@R and R-precision for classes, against loops; ties never help."""

import functools

import chex
import numpy as np
import pytest
from absl.testing import parameterized

from jaxsim import evaluation
from jaxsim.similarity import cosine, dot, negative_euclidean

RANDOM = np.random.default_rng(0)
X = np.float32(RANDOM.normal(size=(23, 3)))
LABELS = np.array([0] * 7 + [1] * 5 + [2] * 6 + [3] * 3 + [4] * 2)
UNEVEN = RANDOM.random(23) < 0.7


def ranking(i, scores, labels, kept):
    """Others of query i, closest first; of equal scores those of another class first."""
    others = [j for j in kept if j != i]
    return sorted(others, key=lambda j: (-scores[i, j], labels[j] == labels[i]))


def reference(figure, scores, labels, where):
    counted, values = np.flatnonzero(where), []
    for i in counted:
        hits = [labels[j] == labels[i] for j in ranking(i, scores, labels, counted)]
        relevant = sum(hits)
        if relevant:
            values.append(figure(hits, relevant))
    return np.mean(values)


def average_precision(hits, relevant):
    result = [sum(hits[: place + 1]) / (place + 1) for place in range(relevant) if hits[place]]
    return sum(result) / relevant


FIGURES = {
    "recall@1": (evaluation.class_recall, lambda hits, r: hits[0]),
    "recall@4": (functools.partial(evaluation.class_recall, k=4), lambda hits, r: any(hits[:4])),
    "MAP@R": (evaluation.map_at_r, average_precision),
    "R-precision": (evaluation.r_precision, lambda hits, r: sum(hits[:r]) / r),
}


class Definitions(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.product(name=tuple(FIGURES), rounded=(False, True), block=(None, 5))
    def test_figures_are_their_definitions(self, name, rounded, block):
        figure, by_hand = FIGURES[name]
        x = np.round(X) if rounded else X  # whole coordinates: many equal inner products
        figure = self.variant(functools.partial(figure, similarity=dot, block=block))
        expected = reference(by_hand, x @ x.T, LABELS, UNEVEN)
        np.testing.assert_allclose(figure(x, LABELS, where=UNEVEN), expected, rtol=1e-6)


@pytest.mark.parametrize("name", FIGURES)
def test_embeddings_that_say_nothing_score_nothing(name):
    for x in (np.ones_like(X), 0 * X):
        assert FIGURES[name][0](x, LABELS) == 0


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("kernel", [cosine, negative_euclidean], ids=["cosine", "euclidean"])
def test_a_row_with_a_nan_makes_the_figure_nan_and_padding_does_not(name, kernel):
    spoiled = X.copy()
    spoiled[3, 1] = np.nan
    figure, where = functools.partial(FIGURES[name][0], similarity=kernel), np.arange(23) != 3
    assert np.isnan(figure(spoiled, LABELS))
    others = [i for i in range(23) if i != 3]
    expected = figure(X[others], LABELS[others])
    np.testing.assert_allclose(figure(spoiled, LABELS, where=where), expected, rtol=1e-6)
    padded = figure(
        X[others],
        LABELS[others],
        references=spoiled,
        reference_labels=LABELS,
        reference_where=where,
        ids=np.array(others),
        reference_ids=np.arange(23),
    )
    np.testing.assert_allclose(padded, expected, rtol=1e-6)


@pytest.mark.parametrize("name", FIGURES)
def test_labels_and_ids_beyond_32_bits_are_kept_apart(name):
    wide = LABELS.astype(np.int64) + 2**32 * (LABELS % 2)  # in 32 bits as before
    wide[:2] = 2**32 + 2  # a separate class, in 32 bits the class 2
    separate = np.where(np.arange(23) < 2, 9, LABELS)
    ids = np.arange(23) * 2**33
    figure = FIGURES[name][0]
    assert figure(X, wide) == figure(X, separate)
    assert figure(
        X, LABELS, references=X, reference_labels=LABELS, ids=ids, reference_ids=ids
    ) == figure(X, LABELS)


@pytest.mark.parametrize("name", FIGURES)
def test_classes_that_are_apart_score_one(name):
    assert FIGURES[name][0](np.eye(5)[LABELS], LABELS) == 1


def test_references_are_searched_without_the_query_of_the_same_id():
    queries, ids = X[:6], np.arange(6)
    settings = {"references": X, "reference_labels": LABELS, "similarity": dot}
    values, counts = evaluation.class_recall(
        queries, LABELS[:6], ids=ids, reference_ids=np.arange(23), reduce_fn=None, **settings
    )
    alone, _ = evaluation.class_recall(X, LABELS, similarity=dot, reduce_fn=None)
    np.testing.assert_array_equal(values, alone[:6])
    assert (counts == 1).all()
    # Without ids nothing is left out: the query finds itself where it is the closest.
    longest = X / np.linalg.norm(X, axis=1, keepdims=True)
    assert (
        evaluation.class_recall(longest, LABELS, references=longest, reference_labels=LABELS) == 1
    )


def test_a_class_of_one_does_not_count():
    values, counts = evaluation.map_at_r(X[:3], np.array([0, 0, 1]), reduce_fn=None)
    assert counts.tolist() == [1, 1, 0]
    assert evaluation.map_at_r(X[:2], np.array([0, 1])) == 0
    assert values.shape == (3,)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="k must be at most 23, the number of references, got 24"):
        evaluation.class_recall(X, LABELS, 24)
    with pytest.raises(ValueError, match=r"labels must be \[23\], one per row of embeddings"):
        evaluation.map_at_r(X, LABELS[:4])
    with pytest.raises(ValueError, match="reference_labels need references, got None"):
        evaluation.class_recall(X, LABELS, reference_labels=LABELS)
    with pytest.raises(
        ValueError, match=r"references must be \[any, 3\], as wide as embeddings, got shape"
    ):
        evaluation.class_recall(X, LABELS, references=X[:, :2], reference_labels=LABELS)
    with pytest.raises(ValueError, match="references need reference_labels, got None"):
        evaluation.class_recall(X, LABELS, references=X)
    with pytest.raises(ValueError, match="ids and reference_ids go together"):
        evaluation.class_recall(X, LABELS, references=X, reference_labels=LABELS, ids=np.arange(23))
    with pytest.raises(
        ValueError, match=r"labels must be numbers, got <U1: number them with np\.unique"
    ):
        evaluation.class_recall(X, np.array(list("abcdefghijklmnopqrstuvw")))
    with pytest.raises(
        ValueError, match=r"similarity must be a function such as similarity.cosine, got 'cosine'"
    ):
        evaluation.class_recall(X, LABELS, similarity="cosine")
    with pytest.raises(ValueError, match=r"embeddings must be \[rows, dim\], got shape \(3,\)"):
        evaluation.class_recall(X[0], LABELS)
    assert evaluation.class_recall(X.tolist(), LABELS.tolist()) == evaluation.class_recall(
        X, LABELS
    )
