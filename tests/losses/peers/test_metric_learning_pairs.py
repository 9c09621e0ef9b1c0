"""Losses of pytorch-metric-learning that weigh pairs, against ours."""

import functools

import jax
import numpy as np
import pytest
from metric_learning import as_it_is, labeled, of_labels
from parity import LABELED, Peer, assert_same, each, of_ours, torch
from pytorch_metric_learning import distances, losses as theirs, miners, reducers

from jaxsim import losses
from jaxsim.numerics import total
from jaxsim.similarity import (
    cosine,
    dot,
    negative_squared_euclidean,
)

Alone = functools.partial(Peer, columns=1)
RAW = {"normalize_embeddings": False}


CONTRASTIVE = {
    "ContrastiveLoss": Alone(
        labeled(losses.contrastive),
        of_labels(theirs.ContrastiveLoss),
        without={"one_zero_row": "distances of 1, the margin: whether they count is rounding"},
    ),
    "ContrastiveLoss, margins": Alone(
        labeled(losses.contrastive, positive_margin=0.5, negative_margin=1.5),
        of_labels(theirs.ContrastiveLoss, pos_margin=0.5, neg_margin=1.5),
    ),
    "ContrastiveLoss, cosines": Alone(
        labeled(losses.contrastive, similarity=cosine, positive_margin=-1, negative_margin=-0.5),
        of_labels(
            theirs.ContrastiveLoss,
            distance=distances.CosineSimilarity(),
            pos_margin=1,
            neg_margin=0.5,
        ),
    ),
    "ContrastiveLoss, squared distances": Alone(
        labeled(losses.contrastive, similarity=negative_squared_euclidean, negative_margin=3),
        of_labels(
            theirs.ContrastiveLoss, distance=distances.LpDistance(power=2, **RAW), neg_margin=3
        ),
        cosine=False,
    ),
    "ContrastiveLoss, means": Alone(
        labeled(losses.contrastive_mean),
        of_labels(theirs.ContrastiveLoss, reducer=reducers.MeanReducer()),
    ),
    "ContrastiveLoss, sums": Alone(
        labeled(losses.contrastive, reduce_fn=total),
        of_labels(theirs.ContrastiveLoss, reducer=reducers.SumReducer()),
    ),
    "ContrastiveLoss, mined": Alone(
        labeled(
            losses.mined(
                losses.contrastive_mean,
                functools.partial(
                    losses.miners.pairs_within, positive_above=0.5, negative_below=1.2
                ),
            )
        ),
        of_labels(
            theirs.ContrastiveLoss,
            miner=functools.partial(miners.PairMarginMiner, pos_margin=0.5, neg_margin=1.2),
            reducer=reducers.MeanReducer(),
        ),
    ),
    "SignalToNoiseRatioContrastiveLoss": Alone(
        labeled(losses.snr_contrastive),
        of_labels(theirs.SignalToNoiseRatioContrastiveLoss),
        apart={
            case: "an anchor of zeros has no signal: NaN there, at distance 0 of all others here"
            for case in ("one_zero_row", "all_zero")
        },
    ),
}

WIDER = functools.partial(losses.miners.multi_similarity_pairs, margin=0.3)
NEAREST = {
    case: "a negative at distance 0, the worst there is, is left out there"
    for case in ("copies", "identical_rows", "all_zero")
}
ALIGNED = {
    case: "cosines of 1 have a value, a slope or neither there, by their rounding"
    for case in ("copies", "identical_rows")
}
RELATIVE = {
    "MultiSimilarityLoss": Alone(
        labeled(losses.multi_similarity_unmined), of_labels(theirs.MultiSimilarityLoss)
    ),
    "MultiSimilarityLoss, other weights": Alone(
        labeled(losses.multi_similarity_unmined, alpha=5.0, beta=20.0, base=0.0),
        of_labels(theirs.MultiSimilarityLoss, alpha=5, beta=20, base=0),
    ),
    # The anchor leaves by its place there too: duplicates stay, which the authors' code drops.
    "MultiSimilarityLoss, mined": Alone(
        labeled(losses.multi_similarity),
        of_labels(theirs.MultiSimilarityLoss, miner=miners.MultiSimilarityMiner),
    ),
    "MultiSimilarityLoss, mined with another margin": Alone(
        labeled(losses.mined(losses.multi_similarity_unmined, WIDER)),
        of_labels(
            theirs.MultiSimilarityLoss,
            miner=functools.partial(miners.MultiSimilarityMiner, epsilon=0.3),
        ),
    ),
    "CircleLoss": Alone(labeled(losses.circle), of_labels(theirs.CircleLoss)),
    "CircleLoss, faces": Alone(
        labeled(losses.circle, margin=0.25, gamma=256.0),
        of_labels(theirs.CircleLoss, m=0.25, gamma=256),
    ),
    "RankedListLoss": Alone(
        labeled(losses.ranked_list, margin=0.4, negative_sharpness=3.0),
        of_labels(theirs.RankedListLoss, margin=0.4, Tn=3),
        apart=NEAREST,
    ),
    "RankedListLoss, weighed positives": Alone(
        labeled(
            losses.ranked_list,
            margin=0.6,
            negative_sharpness=2.0,
            positive_sharpness=1.5,
            imbalance=0.3,
        ),
        of_labels(theirs.RankedListLoss, margin=0.6, Tn=2, Tp=1.5, imbalance=0.3),
        apart=NEAREST,
    ),
    "TupletMarginLoss": Alone(
        labeled(losses.tuplet_margin),
        of_labels(theirs.TupletMarginLoss),
        without=ALIGNED,
    ),
    "TupletMarginLoss, wider": Alone(
        labeled(losses.tuplet_margin, margin=20.0, temperature=0.1),
        of_labels(theirs.TupletMarginLoss, margin=20, scale=10),
        without=ALIGNED,
    ),
    "IntraPairVarianceLoss": Alone(
        labeled(losses.intra_pair_variance), of_labels(theirs.IntraPairVarianceLoss)
    ),
    "IntraPairVarianceLoss, slacks": Alone(
        labeled(losses.intra_pair_variance, positive_slack=0.2, negative_slack=0.3),
        of_labels(theirs.IntraPairVarianceLoss, pos_eps=0.2, neg_eps=0.3),
    ),
}


def one_number(random):
    return [np.array([1.1])]


def one_per_class(random):
    return [1 + random.random(size=8)]


def with_a_penalty(columns, labels, where):
    embeddings, beta = columns
    return losses.margin(embeddings, labels, beta=beta[0], where=where) + 0.1 * beta[0]


def of_each_class(columns, labels, where):
    return losses.margin(columns[0], labels, beta=columns[1], margin=0.3, where=where)


NO_TRIPLETS = {
    case: "without a triplet the penalty is left out too"
    for case in ("one_class", "no_two_alike", "batch_of_one")
}
MARGIN = {
    # Their boundary is a float32: 1.2 is 1.2000000477.
    "MarginLoss": Alone(labeled(losses.margin), of_labels(theirs.MarginLoss), atol=1e-6),
    "MarginLoss, learned": Alone(
        with_a_penalty,
        of_labels(theirs.MarginLoss, parameters={"beta": as_it_is}, learn_beta=True, nu=0.1),
        parameters=one_number,
        apart=NO_TRIPLETS,
    ),
    "MarginLoss, learned for each class": Alone(
        of_each_class,
        of_labels(
            theirs.MarginLoss,
            parameters={"beta": as_it_is},
            learn_beta=True,
            num_classes=8,
            margin=0.3,
        ),
        parameters=one_per_class,
    ),
}


PEERS = (
    CONTRASTIVE
    | RELATIVE
    | MARGIN
    | {
        "NPairsLoss": Alone(
            labeled(losses.n_pairs, similarity=cosine), of_labels(theirs.NPairsLoss)
        ),
        "NPairsLoss, as they come": Alone(
            labeled(losses.n_pairs, similarity=dot),
            of_labels(theirs.NPairsLoss, distance=distances.DotProductSimilarity(**RAW)),
            cosine=False,
        ),
    }
)


@functools.cache
def compiled(name):
    return of_ours(PEERS[name])


@pytest.mark.parametrize(("name", "case"), each(PEERS, LABELED))
def test_agrees(name, case, float64):
    assert_same(PEERS[name], compiled(name), case, LABELED)


def test_one_mined_pair_a_side_is_none_there(float64):
    """Theirs takes lists of one pair each for no pairs at all."""
    vectors = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0.8, -0.6, 0]])
    labels = np.array([0, 0, 1])
    found = miners.MultiSimilarityMiner()(torch.tensor(vectors), torch.tensor(labels))
    assert [len(a) for a in found] == [1, 1, 1, 1]
    assert theirs.MultiSimilarityLoss()(torch.tensor(vectors), torch.tensor(labels), found) == 0
    kept = np.log1p(np.exp(-2 * (0.6 - 0.5))) / 2 + np.log1p(np.exp(50 * (0.8 - 0.5))) / 50
    np.testing.assert_allclose(
        jax.jit(losses.multi_similarity)(vectors, labels), kept / 3, rtol=1e-9
    )


def test_a_cosine_of_one_has_a_slope(float64):
    """The arc cosine has none there, so that theirs is NaN."""
    vectors, labels = np.array([[1.0, 0], [1.0, 0], [0.6, 0.8]]), np.array([0, 0, 1])
    ours = jax.jit(jax.grad(losses.tuplet_margin))(vectors, labels)
    assert np.isfinite(ours).all()
    assert ours.any()
    leaf = torch.tensor(vectors, requires_grad=True)
    theirs.TupletMarginLoss()(leaf, torch.tensor(labels)).backward()
    assert leaf.grad.isnan().any()
