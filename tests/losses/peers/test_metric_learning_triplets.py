"""Losses of pytorch-metric-learning on triplets, and on pairs as softmaxes, against ours."""

import functools

import jax
import numpy as np
import pytest
from metric_learning import labeled, of_labels
from parity import CASES, LABELED, Peer, assert_same, each, of_ours, torch
from pytorch_metric_learning import distances, losses as theirs, miners, reducers

from jaxsim import losses
from jaxsim.numerics import mean, unit
from jaxsim.similarity import (
    cosine,
    negative_euclidean,
    negative_squared_euclidean,
)

Alone = functools.partial(Peer, columns=1)
RAW = {"normalize_embeddings": False}


def on_squared_chords(x, y):
    return negative_squared_euclidean(unit(x), unit(y))


def of_type(kind, margin=0.2):
    return functools.partial(miners.TripletMarginMiner, margin=margin, type_of_triplets=kind)


TIED = {"one_zero_row": "distances of 1 tie with each other: which is larger is rounding"}
TRIPLETS = {
    "TripletMarginLoss": Alone(labeled(losses.triplet), of_labels(theirs.TripletMarginLoss)),
    "TripletMarginLoss, margin": Alone(
        labeled(losses.triplet, margin=0.5), of_labels(theirs.TripletMarginLoss, margin=0.5)
    ),
    "TripletMarginLoss, distances as they come": Alone(
        labeled(losses.triplet, similarity=negative_euclidean, margin=1.0),
        of_labels(theirs.TripletMarginLoss, distance=distances.LpDistance(**RAW), margin=1),
        cosine=False,
    ),
    "TripletMarginLoss, cosines": Alone(
        labeled(losses.triplet, similarity=cosine, margin=0.1),
        of_labels(theirs.TripletMarginLoss, distance=distances.CosineSimilarity(), margin=0.1),
    ),
    "TripletMarginLoss, means": Alone(
        labeled(losses.triplet_mean),
        of_labels(theirs.TripletMarginLoss, reducer=reducers.MeanReducer()),
    ),
    "TripletMarginLoss, smooth": Alone(
        labeled(losses.smooth_triplet, margin=0.05),
        of_labels(theirs.TripletMarginLoss, smooth_loss=True),
    ),
    "TripletMarginLoss, swapped": Alone(
        labeled(losses.swapped_triplet), of_labels(theirs.TripletMarginLoss, swap=True)
    ),
    "TripletMarginLoss, semi-hard": Alone(
        labeled(losses.semi_hard_triplet),
        of_labels(theirs.TripletMarginLoss, margin=0.2, miner=of_type("semihard")),
        without=TIED,
    ),
    "TripletMarginLoss, hard": Alone(
        labeled(losses.hard_triplet),
        of_labels(theirs.TripletMarginLoss, margin=0.2, miner=of_type("hard")),
        without=TIED,
    ),
    # All that violate the margin: what the loss counts anyway.
    "TripletMarginMiner": Alone(
        labeled(losses.triplet, margin=0.2),
        of_labels(theirs.TripletMarginLoss, margin=0.2, miner=of_type("all")),
    ),
    "TripletMarginLoss, hardest": Alone(
        labeled(losses.batch_hard_triplet),
        of_labels(
            theirs.TripletMarginLoss,
            margin=0.2,
            miner=miners.BatchHardMiner,
            reducer=reducers.MeanReducer(),
        ),
        without=TIED | {"copies": "negatives that tie: below"},
    ),
    "TripletMarginLoss, hardest and smooth": Alone(
        labeled(losses.batch_hard_soft_margin_triplet),
        of_labels(
            theirs.TripletMarginLoss, margin=0, smooth_loss=True, miner=miners.BatchHardMiner
        ),
        without=TIED | {"copies": "negatives that tie: below"},
    ),
}

LONELY = "a mean over no anchor: NaN there, 0 here"
SOFTMAXES = {
    "NCALoss": Alone(
        labeled(losses.nca, similarity=on_squared_chords),
        of_labels(theirs.NCALoss),
        apart={"no_two_alike": LONELY},
    ),
    "NCALoss, scaled": Alone(
        labeled(losses.nca, similarity=on_squared_chords, temperature=0.125),
        of_labels(theirs.NCALoss, softmax_scale=8),
        apart={"no_two_alike": LONELY},
    ),
    "NCALoss, as they come": Alone(
        labeled(losses.nca),
        of_labels(theirs.NCALoss, distance=distances.LpDistance(power=2, **RAW)),
        cosine=False,
        apart={
            "no_two_alike": LONELY,
            "far_from_one": "an anchor whose probability underflows is left out there",
        },
    ),
    "NTXentLoss": Alone(labeled(losses.nt_xent), of_labels(theirs.NTXentLoss)),
    "NTXentLoss, warmer": Alone(
        labeled(losses.nt_xent, temperature=0.5), of_labels(theirs.NTXentLoss, temperature=0.5)
    ),
    "SupConLoss": Alone(
        labeled(losses.supervised_contrastive),
        of_labels(theirs.SupConLoss),
        apart={"one_class": "0 there without a negative; the positives compete all the same"},
    ),
    "SupConLoss, colder": Alone(
        labeled(losses.supervised_contrastive, temperature=0.01),
        of_labels(theirs.SupConLoss, temperature=0.01),
        apart={"one_class": "as above"},
    ),
    "LiftedStructureLoss": Alone(
        labeled(losses.lifted_structure), of_labels(theirs.LiftedStructureLoss)
    ),
    "LiftedStructureLoss, margins": Alone(
        labeled(losses.lifted_structure, positive_margin=0.3, negative_margin=2.0),
        of_labels(theirs.LiftedStructureLoss, pos_margin=0.3, neg_margin=2),
    ),
    "GeneralizedLiftedStructureLoss": Alone(
        labeled(losses.generalized_lifted_structure),
        of_labels(theirs.GeneralizedLiftedStructureLoss),
    ),
    "GeneralizedLiftedStructureLoss, margins": Alone(
        labeled(losses.generalized_lifted_structure, positive_margin=0.3, negative_margin=2.0),
        of_labels(theirs.GeneralizedLiftedStructureLoss, pos_margin=0.3, neg_margin=2),
    ),
}

PEERS = TRIPLETS | SOFTMAXES


@functools.cache
def compiled(name):
    return of_ours((PEERS | PAIRS)[name])


@pytest.mark.parametrize(("name", "case"), each(PEERS, LABELED))
def test_agrees(name, case, float64):
    assert_same(PEERS[name], compiled(name), case, LABELED)


def in_pairs(loss, **settings):
    return lambda columns, labels, where: loss(*columns, where=where, **settings)


def of_pairs(make, **settings):
    """Theirs of one column against the other, row i of both alike."""

    def called(columns, labels):
        labels = theirs.base_metric_loss_function.c_f.torch_arange_from_size(columns[0])
        first, second = columns
        return make(**settings)(first, labels, ref_emb=second, ref_labels=labels.clone())

    return called


def averaged(values, weights, axis_name):
    """PerAnchorReducer: the mean over anchors of the mean over an anchor's pairs."""
    return mean(values, weights > 0, axis_name)


PAIRS = {
    "NTXentLoss, of pairs": Peer(
        in_pairs(losses.pair_info_nce), of_pairs(theirs.NTXentLoss, temperature=0.1)
    ),
    "NTXentLoss, of queries": Peer(
        in_pairs(losses.anchor_info_nce),
        of_pairs(theirs.NTXentLoss, temperature=0.1, reducer=reducers.PerAnchorReducer()),
    ),
    "PerAnchorReducer": Peer(
        in_pairs(losses.pair_info_nce, reduce_fn=averaged),
        of_pairs(theirs.NTXentLoss, temperature=0.1, reducer=reducers.PerAnchorReducer()),
    ),
}


@pytest.mark.parametrize(("name", "case"), each(PAIRS, CASES))
def test_agrees_on_pairs(name, case, float64):
    assert_same(PAIRS[name], compiled(name), case)


def test_negatives_that_tie_share_the_slope(float64):
    """Theirs picks one of them: the value is the same."""
    vectors = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0, 0, 1], [0, 0, -1]])
    labels = np.array([0, 0, 1, 2])
    hardest = functools.partial(losses.batch_hard_triplet, margin=1.0)
    value, ours = jax.jit(jax.value_and_grad(hardest))(vectors, labels)
    leaf = torch.tensor(vectors, requires_grad=True)
    picked = miners.BatchHardMiner()(leaf, torch.tensor(labels))
    loss = theirs.TripletMarginLoss(margin=1)(leaf, torch.tensor(labels), picked)
    loss.backward()
    np.testing.assert_allclose(value, loss.item(), rtol=1e-12)
    np.testing.assert_allclose(ours[2, :2], ours[3, :2], atol=1e-12)
    assert not torch.allclose(leaf.grad[2, :2], leaf.grad[3, :2])
    both = np.sum(ours[2:, :2], axis=0), leaf.grad[2:, :2].sum(dim=0).numpy()
    np.testing.assert_allclose(*both, atol=1e-12)
