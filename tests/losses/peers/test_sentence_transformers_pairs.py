"""Every loss of sentence-transformers' bi-encoders on pairs and triplets against ours.

cached forms are the same loss of chunked gradients; so are the forms for sparse encoders, with another
default of the similarity or of the temperature.
"""

import functools

import jax.numpy as jnp
import pytest
from parity import CASES, Peer, assert_same, each, of_ours, torch
from sentence_stub import Given, embedded
from sentence_transformers import sentence_transformer, util

from jaxsim import losses
from jaxsim.similarity import dot

theirs = sentence_transformer.losses
DIRECTIONS = {
    "query_to_query": losses.parts.queries_to_queries,
    "doc_to_query": losses.parts.documents_to_queries,
    "doc_to_doc": losses.parts.documents_to_documents,
}
JOINT = ("query_to_doc", *DIRECTIONS)


def of_pairs(make):
    """A peer's loss of columns, made anew for each call."""
    return lambda columns, labels: embedded(make(Given()), columns, labels)


def grouped(loss, **settings):
    """Ours over a query, its document and its negatives."""

    def called(columns, labels, where):
        documents = columns[1] if len(columns) == 2 else jnp.stack(columns[1:], axis=1)
        return loss(columns[0], documents, where=where, **settings)

    return called


def split_in_two(loss):
    """A cached loss as its two halves have it: the vectors of two mini-batches a column."""

    def called(columns, labels):
        halves = [list(torch.tensor_split(a, 2)) for a in columns]
        return loss(Given()).calculate_loss([[h for h in c if len(h)] for c in halves])

    return called


def guided(loss, **settings):
    """Ours, where the first half of the columns is the student's and the other the guide's."""

    def called(columns, labels, where):
        halves = columns[: len(columns) // 2], columns[len(columns) // 2 :]
        (queries, documents), guide = (
            (q, d[0] if len(d) == 1 else jnp.stack(d, axis=1)) for q, *d in halves
        )
        return loss(queries, documents, guide=guide, temperature=0.5, where=where, **settings)

    return called


def guide(**settings):
    def called(columns, labels):
        half = len(columns) // 2
        loss = theirs.GISTEmbedLoss(Given(), Given("guide"), temperature=0.5, **settings)
        pairs = zip(columns[:half], columns[half:], strict=True)
        return loss([{"sentence_embedding": a, "guide": b} for a, b in pairs], labels)

    return called


def split_guide(**settings):
    """The cached form of a column of the student's and one of the guide's, in two mini-batches."""

    def called(columns, labels):
        half = len(columns) // 2
        loss = theirs.CachedGISTEmbedLoss(
            Given(), Given("guide"), temperature=0.5, mini_batch_size=3, **settings
        )
        halves = [torch.tensor_split(a, 2) for a in columns]
        halves = [[h for h in column if len(h)] for column in halves]
        return loss.calculate_loss(halves[:half], halves[half:])

    return called


def unguided(columns, labels):
    """A guide to which all pairs are alike to themselves alone."""
    apart = torch.eye(len(columns[0]), dtype=columns[0].dtype)
    texts = [{"sentence_embedding": a, "guide": apart} for a in columns]
    loss = theirs.GISTEmbedLoss(Given(), Given("guide"), temperature=0.01, margin=0.5)
    return loss(texts, labels)


OWN = {"all_zero": "with a level of 0 a row's own query and document stay candidates there"}
ranking = functools.partial(theirs.MultipleNegativesRankingLoss)
PEERS = {
    "MultipleNegativesRankingLoss": Peer(grouped(losses.info_nce), of_pairs(ranking)),
    "MultipleNegativesRankingLoss, negatives, dot": Peer(
        grouped(losses.info_nce, temperature=0.5, similarity=dot),
        of_pairs(functools.partial(ranking, scale=2.0, similarity_fct=util.dot_score)),
        columns=4,
        cosine=False,
    ),
    "CachedMultipleNegativesRankingLoss": Peer(
        grouped(losses.info_nce), split_in_two(theirs.CachedMultipleNegativesRankingLoss), columns=3
    ),
    "MultipleNegativesRankingLoss, all directions in one partition": Peer(
        grouped(losses.joint_info_nce, temperature=0.05),
        of_pairs(functools.partial(ranking, directions=JOINT)),
        columns=3,
    ),
    **{
        f"MultipleNegativesRankingLoss, {direction}": Peer(
            grouped(losses.joint_info_nce, temperature=0.05, directions=(ours,)),
            of_pairs(functools.partial(ranking, directions=("query_to_doc", direction))),
            columns=3,
        )
        for direction, ours in DIRECTIONS.items()
    },
    "MultipleNegativesRankingLoss, both ways": Peer(
        grouped(losses.symmetric_info_nce),
        of_pairs(
            functools.partial(
                ranking,
                directions=("query_to_doc", "doc_to_query"),
                partition_mode="per_direction",
            )
        ),
        columns=3,
    ),
    "MultipleNegativesSymmetricRankingLoss": Peer(
        grouped(losses.symmetric_info_nce),
        of_pairs(theirs.MultipleNegativesSymmetricRankingLoss),
    ),
    "MultipleNegativesSymmetricRankingLoss, negatives": Peer(
        grouped(losses.symmetric_info_nce),
        of_pairs(theirs.MultipleNegativesSymmetricRankingLoss),
        columns=4,
    ),
    "CachedMultipleNegativesSymmetricRankingLoss": Peer(
        grouped(losses.symmetric_info_nce),
        split_in_two(theirs.CachedMultipleNegativesSymmetricRankingLoss),
    ),
    "MultipleNegativesRankingLoss, hardness of all negatives": Peer(
        grouped(losses.hardness_info_nce, hardness=3.0),
        of_pairs(functools.partial(ranking, hardness_mode="all_negatives", hardness_strength=3.0)),
        columns=4,
    ),
    "MultipleNegativesRankingLoss, hardness in the batch": Peer(
        grouped(losses.in_batch_hardness_info_nce, hardness=9.0),
        of_pairs(
            functools.partial(ranking, hardness_mode="in_batch_negatives", hardness_strength=9.0)
        ),
        columns=4,
    ),
    "MultipleNegativesRankingLoss, hardness of the hard negatives": Peer(
        grouped(losses.hard_negative_hardness_info_nce, hardness=5.0),
        of_pairs(functools.partial(ranking, hardness_mode="hard_negatives", hardness_strength=5.0)),
        columns=4,
    ),
    "MegaBatchMarginLoss": Peer(
        grouped(losses.mega_batch_margin),
        of_pairs(functools.partial(theirs.MegaBatchMarginLoss, use_mini_batched_version=False)),
    ),
    "ContrastiveTensionLossInBatchNegatives": Peer(
        lambda columns, labels, where: losses.symmetric_info_nce(
            columns[0], columns[0], where=where
        ),
        lambda columns, labels: theirs.ContrastiveTensionLossInBatchNegatives(Given())(
            [{"sentence_embedding": columns[0]}], None
        ),
        columns=1,
    ),
    "GISTEmbedLoss": Peer(guided(losses.guided_info_nce), guide(), columns=4, apart=OWN),
    "GISTEmbedLoss, negatives, margin": Peer(
        guided(losses.guided_info_nce, margin=0.2), guide(margin=0.2), columns=6
    ),
    "GISTEmbedLoss, positives": Peer(
        guided(losses.guided_info_nce, directions=(losses.parts.positives_to_positives,)),
        guide(contrast_anchors=False),
        columns=4,
        apart=OWN,
    ),
    "GISTEmbedLoss, no guide": Peer(grouped(losses.expanded_info_nce), unguided),
    "CachedGISTEmbedLoss": Peer(
        guided(losses.guided_info_nce, margin=0.2), split_guide(margin=0.2), columns=6
    ),
    "GISTEmbedLoss, documents alone": Peer(
        guided(losses.guided_info_nce, directions=()),
        guide(contrast_anchors=False, contrast_positives=False),
        columns=6,
    ),
    "GISTEmbedLoss, relative margin": Peer(
        guided(losses.relatively_guided_info_nce, margin=0.3),
        guide(margin=0.3, margin_strategy="relative"),
        apart=OWN,
        columns=6,
    ),
}


@functools.cache
def compiled(name):
    return of_ours(PEERS[name])


@pytest.mark.parametrize(("name", "case"), each(PEERS, CASES))
def test_agrees(name, case, float64):
    assert_same(PEERS[name], compiled(name), case)
