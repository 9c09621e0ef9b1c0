"""The catalog's losses of pairs and triplets of vectors: name -> what they are given, ours, theirs."""

import functools

import jax
import jax.numpy as jnp

from benchmarks.catalog import batches
from benchmarks.catalog.entry import Entry
from benchmarks.catalog.peers import guide, jax_peer, on_pairs, pair_classifier, sentence
from jaxsim import losses
from jaxsim.similarity import cosine

partial = functools.partial
Pairs = partial(Entry, batches.pairs, moved=(0, 1))
Groups = partial(Entry, batches.groups, moved=(0, 1))
# Theirs holds queries x documents x dim.
Guided = partial(Entry, batches.guided, moved=(0, 1), batch=256)
Graded = partial(Entry, batches.graded, moved=(0, 1))
Alike = partial(Entry, batches.alike, moved=(0, 1))


def of_pairs(name, labels=False, **settings):
    """Theirs by name, on the vectors of pairs."""
    return sentence(lambda s, model: getattr(s, name)(model, **settings), labels=labels)


def ranking(**settings):
    """Their loss of pairs against the documents of all others."""
    return of_pairs("MultipleNegativesRankingLoss", **settings)


def in_fours(x, y, **shared):
    """Four rows in a row are positives of each other."""
    ids = jnp.arange(len(x)) // 4
    return losses.multi_positive_info_nce(x, y, query_ids=ids, document_ids=ids, **shared)


def softmax_of_fours():
    """Rax's softmax loss where four documents each are right."""

    import rax

    def called(x, y):
        ids = jnp.arange(len(x)) // 4
        alike = ids[:, None] == ids
        labels = alike / alike.sum(axis=1, keepdims=True)
        return rax.softmax_loss(cosine(x, y) / 0.05, labels)

    return called


def told(loss, name):
    """Ours of two columns and of what another model makes of them."""
    return lambda x, y, a, b, **shared: loss(x, y, **{name: (a, b)}, **shared)


def kalm(x, y, **shared):
    """Ours with its key."""
    return losses.kalm(x, y, key=jax.random.key(0), **shared)


SOFTMAXES = {
    "anchor_info_nce": Pairs(
        losses.anchor_info_nce,
        on_pairs(
            lambda p: p.losses.NTXentLoss(temperature=0.1, reducer=p.reducers.PerAnchorReducer())
        ),
        batch=256,  # theirs holds pairs x pairs
    ),
    "codiemb_retrieval": Entry(
        batches.several_positives, losses.codiemb_retrieval, moved=(0, 1, 2), batch=512
    ),
    "expanded_info_nce": Groups(losses.expanded_info_nce),
    "group_info_nce": Groups(losses.group_info_nce),
    "guided_info_nce": Guided(
        told(losses.guided_info_nce, "guide"), guide(lambda s, *both: s.GISTEmbedLoss(*both))
    ),
    "hard_contrastive": Pairs(partial(losses.hard_contrastive, k=64)),
    "hard_negative_hardness_info_nce": Groups(
        losses.hard_negative_hardness_info_nce,
        ranking(hardness_mode="hard_negatives", hardness_strength=5.0),
    ),
    "hardness_info_nce": Groups(
        partial(losses.hardness_info_nce, hardness=5.0),
        ranking(hardness_mode="all_negatives", hardness_strength=5.0),
    ),
    "hard_simple_contrastive": Pairs(partial(losses.hard_simple_contrastive, k=64)),
    "in_batch_hardness_info_nce": Groups(
        losses.in_batch_hardness_info_nce,
        ranking(hardness_mode="in_batch_negatives", hardness_strength=9.0),
    ),
    "info_nce": Pairs(losses.info_nce, ranking()),
    "info_nce_with_extra": Entry(batches.with_extra, losses.info_nce_with_extra, moved=(0, 1, 2)),
    "joint_info_nce": Groups(
        losses.joint_info_nce,
        ranking(
            scale=100.0, directions=("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
        ),
    ),
    "kalm": Groups(kalm),
    "mnr_plus": Pairs(losses.mnr_plus),
    "multi_positive_info_nce": Pairs(in_fours, jax_peer("rax softmax_loss", softmax_of_fours)),
    "pair_info_nce": Pairs(
        losses.pair_info_nce,
        on_pairs(lambda p: p.losses.NTXentLoss(temperature=0.1)),
        batch=256,
    ),
    "relatively_guided_info_nce": Guided(
        told(losses.relatively_guided_info_nce, "guide"),
        guide(lambda s, *both: s.GISTEmbedLoss(*both, margin=0.05, margin_strategy="relative")),
    ),
    "similarity_distillation": Guided(told(losses.similarity_distillation, "teacher")),
    "symmetric_info_nce": Pairs(
        losses.symmetric_info_nce, of_pairs("MultipleNegativesSymmetricRankingLoss")
    ),
}
OTHER_PAIRS = {
    "barlow_twins": Pairs(losses.barlow_twins),
    "contrastive_tension": Alike(
        losses.contrastive_tension, of_pairs("ContrastiveTensionLoss", labels=True)
    ),
    "dynamic_soft_margin": Entry(batches.of_a_bank, losses.dynamic_soft_margin, moved=(0, 1)),
    "given_triplet": Entry(
        batches.triplets,
        partial(losses.given_triplet, margin=5.0),
        of_pairs("TripletLoss"),
        moved=(0, 1, 2),
    ),
    "hardest_ranking_hinge": Pairs(losses.hardest_ranking_hinge),
    "mega_batch_margin": Pairs(
        losses.mega_batch_margin, of_pairs("MegaBatchMarginLoss", use_mini_batched_version=False)
    ),
    "one_way_ranking_hinge": Pairs(losses.one_way_ranking_hinge),
    "online_contrastive": Alike(
        losses.online_contrastive, of_pairs("OnlineContrastiveLoss", labels=True)
    ),
    "pair_classification": Entry(
        batches.classified, losses.pair_classification, pair_classifier, moved=(0, 1, 3)
    ),
    "paired_contrastive": Alike(
        losses.paired_contrastive, of_pairs("ContrastiveLoss", labels=True)
    ),
    "ranking_hinge": Pairs(losses.ranking_hinge),
    "siglip": Pairs(losses.siglip),
    "simple_contrastive": Pairs(losses.simple_contrastive),
    "symmetric_triplet": Entry(batches.triplets, losses.symmetric_triplet, moved=(0, 1, 2)),
    "vicreg": Pairs(
        partial(losses.vicreg, variance_weight=12.5),
        on_pairs(lambda p: p.losses.VICRegLoss(), labels=False),
    ),
}
GRADED = {
    "angle": Graded(losses.angle, of_pairs("AnglELoss", labels=True)),
    "codiemb_sts": Graded(losses.codiemb_sts),
    "cosent": Graded(losses.cosent, of_pairs("CoSENTLoss", labels=True)),
    "cosine_regression": Graded(
        losses.cosine_regression, of_pairs("CosineSimilarityLoss", labels=True)
    ),
}
PAIRS = SOFTMAXES | OTHER_PAIRS | GRADED
