"""The catalog's losses of labeled examples: name -> what they are given, ours, theirs."""

import functools

from benchmarks.catalog import batches
from benchmarks.catalog.entry import Entry
from benchmarks.catalog.peers import metric_learning, sentence
from jaxsim import losses
from jaxsim.numerics import unit
from jaxsim.similarity import cosine, negative_euclidean, negative_squared_euclidean

partial = functools.partial
Labels = partial(Entry, batches.examples)
Triplets = partial(Labels, batch=256)  # where theirs holds triplets, or pairs x pairs
Sorted = partial(Entry, batches.sorted_examples, batch=256)
Numbers = partial(Entry, batches.numbered)


def chords(x, y):
    """Minus the squared distance of vectors of norm 1."""
    return negative_squared_euclidean(unit(x), unit(y))


def with_itself(loss, **settings):
    """Ours where an anchor is one of its own positives."""

    def called(x, labels, **shared):
        return loss(x, labels, references=x, reference_labels=labels, **settings, **shared)

    return called


def alone(name, **settings):
    """Theirs by name, without a miner."""
    return metric_learning(lambda p: getattr(p.losses, name)(**settings))


def averaged(name, miner=None, **settings):
    """Theirs with the mean over all terms."""
    return metric_learning(
        lambda p: getattr(p.losses, name)(reducer=p.reducers.MeanReducer(), **settings), miner
    )


def of_type(kind):
    """Theirs on the triplets of one type, as its miner finds them."""
    return metric_learning(
        lambda p: p.losses.TripletMarginLoss(margin=0.2),
        lambda p: p.miners.TripletMarginMiner(margin=0.2, type_of_triplets=kind),
    )


def hardest(p):
    """Their miner of an anchor's hardest pairs."""
    return p.miners.BatchHardMiner()


def pnp(variant):
    """Theirs by the name of its penalty."""
    return alone("PNPLoss", anneal=0.01, variant=variant)


PAIRS = {
    "binomial_deviance": Labels(losses.binomial_deviance),
    "circle": Labels(losses.circle, alone("CircleLoss")),
    "contrastive": Labels(losses.contrastive, alone("ContrastiveLoss")),
    "contrastive_mean": Labels(losses.contrastive_mean, averaged("ContrastiveLoss")),
    "contrastive_squared": Labels(losses.contrastive_squared),
    "cosine_contrastive": Labels(losses.cosine_contrastive),
    "cosine_lifted_structure": Labels(losses.cosine_lifted_structure),
    "generalized_lifted_structure": Labels(
        losses.generalized_lifted_structure, alone("GeneralizedLiftedStructureLoss")
    ),
    "global_orthogonal": Entry(
        lambda *sizes: batches.examples(*sizes)[:1],
        losses.global_orthogonal,
        sentence(lambda s, model: s.GlobalOrthogonalRegularizationLoss(model)),
    ),
    "asl": Entry(batches.views, losses.asl),
    "grouped_norm_ratio": Entry(batches.views, losses.grouped_norm_ratio),
    "norm_ratio": Entry(batches.pairs, losses.norm_ratio, moved=(0, 1)),
    "hydra": Entry(batches.gated, losses.hydra, moved=(0, 3)),
    "intra_pair_variance": Labels(losses.intra_pair_variance, alone("IntraPairVarianceLoss")),
    "lifted_structure": Triplets(losses.lifted_structure, alone("LiftedStructureLoss")),
    "margin": Triplets(losses.margin, alone("MarginLoss")),
    "multi_similarity": Labels(
        losses.multi_similarity,
        metric_learning(
            lambda p: p.losses.MultiSimilarityLoss(), lambda p: p.miners.MultiSimilarityMiner()
        ),
    ),
    "multi_similarity_unmined": Labels(
        losses.multi_similarity_unmined, alone("MultiSimilarityLoss")
    ),
    "n_pairs": Labels(partial(losses.n_pairs, similarity=cosine), alone("NPairsLoss")),
    "nca": Labels(partial(losses.nca, similarity=chords), alone("NCALoss")),
    "nt_xent": Triplets(losses.nt_xent, alone("NTXentLoss")),
    "ranked_list": Labels(
        partial(losses.ranked_list, margin=0.4, negative_sharpness=3.0),
        alone("RankedListLoss", margin=0.4, Tn=3),
    ),
    "snr_contrastive": Labels(losses.snr_contrastive, alone("SignalToNoiseRatioContrastiveLoss")),
    "supervised_contrastive": Labels(losses.supervised_contrastive, alone("SupConLoss")),
    "tuplet_margin": Triplets(losses.tuplet_margin, alone("TupletMarginLoss")),
}
TRIPLETS = {
    "angular": Entry(batches.unit_examples, losses.angular, alone("AngularLoss"), batch=256),
    "batch_hard_soft_margin_triplet": Labels(
        losses.batch_hard_soft_margin_triplet,
        averaged("TripletMarginLoss", hardest, margin=0, smooth_loss=True),
    ),
    "batch_hard_triplet": Labels(
        losses.batch_hard_triplet, averaged("TripletMarginLoss", hardest, margin=0.2)
    ),
    "batch_semi_hard_triplet": Triplets(
        partial(losses.batch_semi_hard_triplet, margin=5.0, similarity=negative_euclidean),
        sentence(lambda s, model: s.BatchSemiHardTripletLoss(model), labels=True),
    ),
    "hard_triplet": Triplets(losses.hard_triplet, of_type("hard")),
    "semi_hard_triplet": Triplets(losses.semi_hard_triplet, of_type("semihard")),
    "smooth_triplet": Triplets(
        partial(losses.smooth_triplet, margin=0.05), alone("TripletMarginLoss", smooth_loss=True)
    ),
    "swapped_triplet": Triplets(losses.swapped_triplet, alone("TripletMarginLoss", swap=True)),
    "triplet": Triplets(losses.triplet, alone("TripletMarginLoss")),
    "triplet_mean": Triplets(losses.triplet_mean, averaged("TripletMarginLoss")),
}
RANKINGS = {
    "fast_ap": Labels(losses.fast_ap, alone("FastAPLoss")),
    "histogram": Triplets(losses.histogram, alone("HistogramLoss")),
    "pnp": Triplets(with_itself(losses.pnp), pnp("O")),
    "pnp_dq": Triplets(
        with_itself(losses.pnp_dq, alpha=4.0), alone("PNPLoss", variant="Dq", alpha=4.0)
    ),
    "pnp_ds": Triplets(with_itself(losses.pnp_ds), pnp("Ds")),
    "pnp_ib": Triplets(with_itself(losses.pnp_ib), pnp("Ib")),
    "pnp_iu": Triplets(with_itself(losses.pnp_iu), pnp("Iu")),
    "smooth_ap": Sorted(losses.smooth_ap),
    "smooth_ap_with_self": Sorted(losses.smooth_ap_with_self, alone("SmoothAPLoss")),
}
NUMBERS = {
    "rank_n_contrast": Numbers(losses.rank_n_contrast),
    "regression_supervised_contrastive": Numbers(losses.regression_supervised_contrastive),
    # The mixtures of every pair of rows are compared with every row.
    "supremix": Numbers(partial(losses.supremix, shares=0.25), batch=128),
}
LABELS = PAIRS | TRIPLETS | RANKINGS | NUMBERS
