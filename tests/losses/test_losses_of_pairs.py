"""What the table does not show of the softmax losses: masks, ids, ties, equalities, errors."""

import functools

import jax
import numpy as np
import pytest
from at_once import at_once

from jaxsim import losses
from jaxsim.similarity import dot

RNG = np.random.default_rng(0)
Q, D = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 4, 3))
FOUR = (
    losses.parts.queries_to_queries,
    losses.parts.documents_to_queries,
    losses.parts.documents_to_documents,
)


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def test_no_directions_is_info_nce():
    expected = at_once(losses.info_nce, Q, D, temperature=0.1)
    found = at_once(losses.joint_info_nce, Q, D, directions=(), temperature=0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_positives_alone_or_all_documents_against_documents():
    def value(direction, documents):
        return at_once(
            losses.joint_info_nce, Q, documents, directions=(direction,), temperature=0.1
        )

    alone, everything = losses.parts.positives_to_positives, losses.parts.documents_to_documents
    np.testing.assert_allclose(value(alone, D[:, 0]), value(everything, D[:, 0]), rtol=1e-12)
    assert value(everything, D) > value(alone, D)


@pytest.mark.parametrize(
    "loss",
    [
        functools.partial(losses.joint_info_nce, directions=FOUR),
        losses.in_batch_hardness_info_nce,
        functools.partial(losses.guided_info_nce, guide=(Q, D)),
    ],
    ids=["joint", "hardness", "guided"],
)
def test_a_missing_document_may_hold_anything(loss):
    kept = np.ones((5, 4), bool)
    kept[1, 0] = kept[2, 3] = kept[3, 1:] = False
    spoiled = np.where(kept[..., None], D, np.nan)
    call = jax.jit(jax.value_and_grad(lambda d: loss(Q, d, document_where=kept, temperature=0.1)))
    value, slope = call(spoiled)
    expected, their_slope = call(np.where(kept[..., None], D, 7.0))
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(slope[kept], their_slope[kept], rtol=1e-9)


def test_a_missing_positive_brings_no_candidates():
    kept, ids = np.ones((5, 4), bool), np.array([0, 1, 1, 2, 3])
    kept[1, 0] = False  # its query has that of row 2

    def value(*directions):
        how = {"query_ids": ids, "document_where": kept, "temperature": 0.1, "reduce_fn": None}
        return at_once(losses.joint_info_nce, Q, D, directions=directions, **how)[0]

    alone, crossed = value(), value(losses.parts.documents_to_documents)
    np.testing.assert_array_equal(np.asarray(crossed > alone), [True, False, True, True, True])
    np.testing.assert_allclose(crossed[1], alone[1], rtol=1e-12)


def test_a_guide_that_prefers_every_other_document_leaves_the_positive_alone():
    guide_queries = np.ones((5, 2))
    guide_documents = np.ones((5, 4, 2))
    guide_documents[:, 0, 1] = -0.5  # each positive is the least
    value, slope = at_once(
        jax.value_and_grad(losses.guided_info_nce),
        Q,
        D,
        guide=(guide_queries, guide_documents),
        directions=(),
    )
    # The other positives tie with the level, which stays; the negatives go.
    np.testing.assert_allclose(
        value, at_once(losses.info_nce, Q, D[:, 0], temperature=0.01), rtol=1e-12
    )
    assert np.isfinite(slope).all()


def test_a_guide_that_prefers_the_positive_changes_nothing():
    guide = np.eye(5), np.stack([np.eye(5), *[-np.eye(5)] * 3], axis=1)
    found = at_once(losses.guided_info_nce, Q, D, guide=guide, temperature=0.1)
    np.testing.assert_allclose(
        found, at_once(losses.expanded_info_nce, Q, D, temperature=0.1), rtol=1e-12
    )


def test_hardness_of_both_kinds_is_hardness_of_all():
    s = Q @ D.reshape(20, 3).T

    def value(chosen):
        logits = s / 0.5 + 2 * s * chosen
        own = s[np.arange(5), np.arange(5) * 4] / 0.5
        return np.mean(np.logaddexp.reduce(logits, axis=1) - own)

    rows, place = np.arange(5)[:, None] == np.arange(20) // 4, np.arange(20) % 4
    for loss, chosen in (
        (losses.hardness_info_nce, ~(rows & (place == 0))),
        (losses.in_batch_hardness_info_nce, ~rows),
        (losses.hard_negative_hardness_info_nce, rows & (place > 0)),
    ):
        found = at_once(loss, Q, D, hardness=2.0, temperature=0.5, similarity=dot)
        np.testing.assert_allclose(found, value(chosen), rtol=1e-12)


def test_hard_negatives_keep_ties_and_all_where_there_are_few():
    scores = np.array([[0.9, 0.5, 0.5, 0.5, 0.1], [0.2, 0.9, 0.1, 0.0, 0.3]])
    positives = np.array([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]], bool)
    where = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)
    for k, expected in ((1, [3, 1]), (2, [3, 2]), (4, [4, 2]), (99, [4, 2])):
        kept, hard = losses.miners.hard_negatives(scores, positives, where, k=k)
        assert (kept == positives).all()
        assert hard.sum(axis=1).tolist() == expected
        assert not (hard & ~(where & ~positives)).any()
    _, hard = losses.miners.hard_negatives(scores, positives, where, fraction=0.25)
    assert hard.sum(axis=1).tolist() == [3, 1]


def test_all_hard_is_plain():
    documents = D[:, 0]
    np.testing.assert_allclose(
        at_once(losses.hard_contrastive, Q, documents, k=9, temperature=0.1),
        at_once(losses.info_nce, Q, documents, temperature=0.1),
    )
    np.testing.assert_allclose(
        at_once(losses.hard_simple_contrastive, Q, documents, fraction=1.0),
        at_once(losses.simple_contrastive, Q, documents),
    )


def test_temperature_and_bias_of_the_sigmoid_may_be_learned():
    loss = jax.jit(lambda t, b: losses.siglip(Q, D[:, 0], temperature=t, bias=b))
    slopes = at_once(jax.grad(loss, argnums=(0, 1)), 0.3, -2.0)
    for place, slope in enumerate(slopes):
        step = np.eye(2)[place] * 1e-6
        ends = [loss(*(np.array([0.3, -2.0]) + sign * step)) for sign in (1, -1)]
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


def test_every_query_weighs_the_same_in_the_average_per_anchor():
    ids = np.array([0, 0, 0, 1, 2])
    values, counts = at_once(losses.anchor_info_nce, Q, D[:, 0], document_ids=ids, reduce_fn=None)
    their_values, pairs = at_once(
        losses.pair_info_nce, Q, D[:, 0], document_ids=ids, reduce_fn=None
    )
    np.testing.assert_allclose(values, their_values)
    assert counts.tolist() == [1] * 5
    assert pairs.tolist() == [3, 3, 3, 1, 1]


CLASSES = np.eye(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.hard_contrastive(Q, D[:, 0]), "give one of k and fraction, got k=None"),
        (lambda: losses.hard_contrastive(Q, D[:, 0], k=0), "k must be a whole number"),
        (lambda: losses.hardness_info_nce(Q, D, hardness=-1.0), "hardness must be >= 0"),
        (lambda: losses.joint_info_nce(Q, D[:4]), r"documents must be \[5, dim\].*got 4 rows"),
        (lambda: losses.joint_info_nce(Q, D, temperature=0.0), "temperature must be > 0"),
        (
            lambda: losses.guided_info_nce(Q, D, guide=(Q, D[:, :2])),
            r"guide\[1\] must be \[5, 4, ...\], one per document",
        ),
        (lambda: losses.group_info_nce(Q, D[:, 0]), r"documents must be \[5, any, any\]"),
        (
            lambda: losses.hydra(Q, np.arange(5), np.arange(4), Q),
            r"partners must be \[5\], one per row of embeddings",
        ),
        (lambda: losses.arcface(Q, np.zeros(5), CLASSES), "labels must be integers, got float"),
        (lambda: losses.arcface(Q, np.zeros(4, int), CLASSES), r"labels must be \[5\]"),
        (lambda: losses.arcface(Q, np.zeros(5, int), CLASSES[0]), r"class_weights must be \[any"),
        (
            lambda: losses.sphereface(Q, np.zeros(5, int), CLASSES, margin=0),
            "margin must be a whole",
        ),
        (
            lambda: losses.proxy_anchor(Q, np.zeros(5, int), CLASSES, axis_name="d"),
            "'d' is not bound",
        ),
        (
            lambda: losses.proxy_nca(Q, np.zeros(5, int), CLASSES[0]),
            r"proxies must be \[any, any\]",
        ),
        (lambda: losses.histogram(Q, np.zeros(5, int), bins=0), "bins must be a whole number"),
        (lambda: losses.fast_ap(Q, np.zeros(5, int), bins=2.5), "bins must be a whole number"),
        (lambda: losses.rank_n_contrast(Q, np.zeros(4)), r"labels must be \[5\]"),
        (lambda: losses.supremix(Q, np.zeros(5), shares=0.1, block=0), "block must be a whole"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "loss",
    [
        functools.partial(losses.hard_contrastive, k=2),
        functools.partial(losses.joint_info_nce, directions=FOUR),
        losses.siglip,
        losses.pair_info_nce,
        losses.ranking_hinge,
    ],
)
def test_no_rows_give_zero(loss):
    assert at_once(loss, np.zeros((0, 3)), np.zeros((0, 3))) == 0
