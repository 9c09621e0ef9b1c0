"""Equal texts are one text: in the loss, among mined negatives, and in the figures of what is held out."""

import itertools

import jax
import numpy as np
import pytest
from tiers import parameters

from jaxsim import losses, pretrained, similarity
from jaxsim.commands.fine_tuning.texts import Task
from jaxsim.commands.inputs.columns import Pairs
from jaxsim.commands.options.train import parsed
from jaxsim.commands.train.losses import Call
from jaxsim.commands.train.tables import held_out

LOSSES = ["info_nce", "symmetric_info_nce", "joint_info_nce", "siglip", "simple_contrastive"]
A, B, C, D, E = "red green", "old new", "blue round", "square large", "hard light"


@pytest.fixture
def model(tiny):
    return pretrained.load(tiny)


def task_of(model, pairs, held=None, *, loss=losses.info_nce, size=None, graded=False):
    size = size or len(pairs.queries)
    held = held or pairs
    return Task(model, loss, pairs, held, size, graded=graded, prompts=(None, None))


def loss_of(task):
    """The objective of the first batch, which holds all rows."""
    batch = task.batches(epochs=1, steps=None, seed=0)[0]
    return float(task.objective()(task.model.params, batch, key=jax.random.key(0), axis_name=None))


def scores_of(model, queries, documents):
    """exp(cosine / 0.05) of each query with each document, float64."""
    texts = [*queries, *documents]
    vectors = np.asarray(model.encode(model.params, model.tokenize(texts)), np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.exp(vectors[: len(queries)] @ vectors[len(queries) :].T / 0.05)


@pytest.mark.thorough
def test_a_negative_that_is_the_document_of_another_row(model):
    """Each row's negative is the other's document: of four candidates two are copies of its own."""
    queries, documents = [A, B], [C, D]
    task = task_of(model, Pairs(queries, documents, [[D], [C]], None))
    s = scores_of(model, queries, documents)
    expected = np.mean([np.log(2 * s[i].sum()) - np.log(2 * s[i, i]) for i in (0, 1)])
    assert loss_of(task) == pytest.approx(expected, abs=1e-4)
    assert task.left_out == 0


@pytest.mark.thorough
def test_negatives_that_are_right_are_left_out(model):
    """Row 0: its own document; row 1: the query itself; row 2: a document that row 0 gives the query."""
    queries, documents = [A, B, A], [C, D, E]
    task = task_of(model, Pairs(queries, documents, [[C, D], [D, B], [C, D]], None))
    assert task.document_where.tolist() == [
        [True, False, True],
        [True, False, False],
        [True, False, True],
    ]
    assert task.left_out == 4
    # What is left: C and D of row 0, D of row 1, E and D of row 2.
    texts = [C, D, D, E, D]
    s = scores_of(model, [A, B], texts)
    right = [[True, False, False, True, False], [False, True, True, False, True]]
    each = [np.log(s[i].sum()) - np.log(s[i, right[i]].sum()) for i in (0, 1)]
    assert loss_of(task) == pytest.approx((2 * each[0] + each[1]) / 3, abs=1e-4)


def test_rows_may_have_different_numbers_of_negatives(model):
    queries, documents = [A, B, C], [C, D, B]
    task = task_of(model, Pairs(queries, documents, [[D, E], [], [A]], None))
    assert task.ids[1].tolist() == [[0, 1, 2], [1, -1, -1], [3, 4, -1]]
    assert task.document_where.tolist() == [[True] * 3, [True, False, False], [True, True, False]]
    assert (task.left_out, task.negatives) == (0, [2, 0, 1])
    texts = [C, D, E, D, B, A]  # of all rows, without what they lack
    s = scores_of(model, queries, texts)
    right = [[0], [1, 3], [4]]
    each = [np.log(s[i].sum()) - np.log(s[i, right[i]].sum()) for i in range(3)]
    assert loss_of(task) == pytest.approx(np.mean(each), abs=1e-4)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name",
    ["info_nce", "given_triplet", "group_info_nce", "hard_negative_hardness_info_nce", "kalm"],
)
def test_what_a_row_lacks_has_no_influence_and_no_gradient(model, name):
    """The same loss and gradient as where the row ends with other texts that do not count."""
    values = []
    for texts in ([[D, E], [A], [E, A]], [[D, E], [A, E], [E, A]]):
        task = task_of(model, Pairs([A, B, C], [C, D, B], texts, None), loss=Call(name, {}))
        task.document_where[1] = [True, True, False]
        batch = task.batches(epochs=1, steps=None, seed=0)[0]
        objective = task.objective()
        values.append(
            jax.value_and_grad(
                lambda params, batch=batch, objective=objective: objective(
                    params, batch, key=jax.random.key(0), axis_name=None
                )
            )(model.params)
        )
    (one, slopes), (other, others) = values
    assert np.isfinite(one)
    assert float(one) == pytest.approx(float(other), abs=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), slopes, others)


@pytest.mark.thorough
@pytest.mark.parametrize("name", parameters(LOSSES, quick=["info_nce"]))
def test_every_loss_of_pairs_gets_the_ids_of_negatives(model, name):
    loss, asked = Call(name, {}), {}

    def spy(queries, documents, **settings):
        asked.update(settings, shape=documents.shape)
        return loss(queries, documents, **settings)

    task = task_of(model, Pairs([A, B], [C, D], [[D, C], [C, E]], None), loss=spy)
    assert np.isfinite(loss_of(task))
    real = np.flatnonzero(asked["where"])  # devices share a batch equally
    order = real[np.argsort(np.asarray(asked["query_ids"])[real])]
    assert np.asarray(asked["document_ids"])[order].tolist() == [[0, 1, 0], [1, 0, 2]]
    assert np.asarray(asked["document_where"])[order].tolist() == [[True, True, False], [True] * 3]


@pytest.mark.thorough
def test_equal_rows_that_are_held_out_all_count_as_found(model):
    texts = [A, B, C, B]
    figures = task_of(model, Pairs(texts, texts, None, None)).validate(model.params)
    assert (figures["accuracy in batch"], figures["recall@1"], figures["MRR@10"]) == (1, 1, 1)


@pytest.mark.thorough
def test_a_query_with_two_documents_may_find_either(model):
    held = Pairs([A, A, B], [A, D, B], None, None)  # a text is nearest to itself
    figures = task_of(model, held).validate(model.params)
    assert (figures["accuracy in batch"], figures["MRR@10"]) == (1, 1)
    assert figures["recall@1"] == pytest.approx((1 / 2 + 1) / 2)  # per query, of all its documents
    apart = task_of(model, held, size=1).validate(model.params)
    assert apart["accuracy in batch"] == 1
    wrong = Pairs([A, A, B], [B, D, A], None, None)  # each query's own text is that of the other
    figures = task_of(model, wrong).validate(model.params)
    assert (figures["accuracy in batch"], figures["recall@1"]) == (0, 0)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", parameters(["dot", "negative_euclidean", "negative_manhattan"], quick=["dot"])
)
def test_figures_are_those_of_the_models_similarity(model, name):
    model = model.replace(similarity=getattr(similarity, name))
    queries = [" ".join(words) for words in itertools.permutations(["red", "old", "blue"], 2)]
    documents = [f"{query} {word}" for query, word in zip(queries, "abcdef", strict=True)]
    vectors = np.asarray(model.encode(model.params, model.tokenize([*queries, *documents])))
    scores = np.asarray(model.similarity(vectors[:6], vectors[6:]))
    own = scores.diagonal()[:, None]
    ranks = 1 + (scores > own).sum(axis=1)
    figures = task_of(model, Pairs(queries, documents, None, None)).validate(model.params)
    assert figures["MRR@10"] == pytest.approx((1 / ranks).mean())
    assert figures["accuracy in batch"] == pytest.approx((ranks == 1).mean())
    graded = Pairs(queries, documents, None, [0.1, 0.5, 0.3, 0.9, 0.2, 0.7])
    task = task_of(model, graded, loss=losses.cosent, graded=True)
    expected = np.corrcoef(own[:, 0], graded.scores)[0, 1]
    assert task.validate(model.params)["pearson"] == pytest.approx(expected, abs=1e-4)


def test_copies_of_a_row_are_held_out_together():
    queries = [f"q{n % 10}" for n in range(40)]
    options = parsed(
        ["--model", "m", "--pairs", "p", "--out", "o", "--held-out", "0.3", "--loss", "info_nce"]
    )
    one = options.sources[0]
    one.pairs = Pairs(queries, [f"d {query}" for query in queries], None, None)
    held_out(options, one)
    assert (len(one.pairs.queries), len(one.held.queries)) == (28, 12)
    assert not set(one.pairs.queries) & set(one.held.queries)
