"""What pytorch-metric-learning makes losses of (distances, reducers, wrappers) against what that is here."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from metric_learning import labeled, of_labels
from parity import CASES, LABELED, ROWS, Peer, assert_same, each, of_ours, torch
from pytorch_metric_learning import distances, losses as theirs, miners, reducers, regularizers

from jaxsim import losses, similarity
from jaxsim.numerics import masked, mean, safe_norm, total

Alone = functools.partial(Peer, columns=1)


def above_average(values, weights, axis_name):
    return mean(values, weights * (values > 0), axis_name)


def in_between(values, weights, axis_name):
    return mean(values, weights * ((values > 0.3) & (values < 0.6)), axis_name)


def one_by_one(columns, labels, where):
    """A number of each anchor, added up with weights of its place."""
    values, weights = losses.multi_similarity_unmined(
        columns[0], labels, where=where, reduce_fn=None
    )
    return jnp.sum(values * weights * (1 + jnp.arange(len(values))))


def each_with_its_place(columns, labels):
    loss = theirs.MultiSimilarityLoss(reducer=reducers.DoNothingReducer())
    values = loss(columns[0], labels)["loss"]["losses"]
    return (values.squeeze(1) * (1 + torch.arange(len(values)))).sum() if values.ndim else values


OF_CLASSES = np.arange(1, 9) / 4


def with_weights_of_classes(columns, labels, where):
    """Ours divides by the sum of the weights, theirs by the number of anchors that count."""
    weights = jnp.asarray(OF_CLASSES)[labels]
    counted = losses.fast_ap(columns[0], labels, where=where, reduce_fn=None)[1]
    loss = losses.fast_ap(columns[0], labels, where=where, weights=weights)
    return loss * jnp.sum(weights * counted) / jnp.maximum(counted.sum(), 1)


def sides_apart(columns, labels, where):
    pulls, pushes = losses.contrastive(columns[0], labels, where=where, reduce_fn=None)
    return total(*pulls) + mean(*pushes)


TIED = {"one_zero_row": "distances of 1, the margin: whether they count is rounding"}
NONE = {"batch_of_one": "0 there, without any pair"}
REDUCED = {
    "AvgNonZeroReducer": Alone(
        labeled(losses.multi_similarity_unmined, reduce_fn=above_average),
        of_labels(theirs.MultiSimilarityLoss, reducer=reducers.AvgNonZeroReducer()),
    ),
    "ThresholdReducer": Alone(
        labeled(losses.multi_similarity_unmined, reduce_fn=in_between),
        of_labels(theirs.MultiSimilarityLoss, reducer=reducers.ThresholdReducer(low=0.3, high=0.6)),
    ),
    "DoNothingReducer": Alone(one_by_one, each_with_its_place, without=NONE),
    "ClassWeightedReducer": Alone(
        with_weights_of_classes,
        of_labels(
            theirs.FastAPLoss, reducer=reducers.ClassWeightedReducer(torch.tensor(OF_CLASSES))
        ),
        apart={"one_zero_row": "as in test_metric_learning_lists.py: D^2 is 1 there"},
    ),
    "MultipleReducers": Alone(
        sides_apart,
        of_labels(
            theirs.ContrastiveLoss,
            reducer=reducers.MultipleReducers(
                {"pos_loss": reducers.SumReducer()}, reducers.AvgNonZeroReducer()
            ),
        ),
        without=TIED,
    ),
}


def on_both(embeddings, labels, where):
    return losses.weighted_sum(
        lambda z: losses.multi_similarity(z, labels, where=where),
        lambda z: losses.nt_xent(z, labels, where=where),
        weights=[0.5, 2.0],
    )(embeddings)


def two_losses(columns, labels):
    loss = theirs.MultipleLosses(
        [theirs.MultiSimilarityLoss(), theirs.NTXentLoss()],
        miners=[miners.MultiSimilarityMiner(), None],
        weights=[0.5, 2.0],
    )
    return loss(columns[0], labels)


class OwnLoss(theirs.GenericPairLoss):
    """The farthest positive against the nearest negative, smoothly."""

    def _compute_loss(self, mat, pos_mask, neg_mask):
        far = torch.logsumexp(mat.masked_fill(pos_mask == 0, -torch.inf), dim=1)
        near = torch.logsumexp((-mat).masked_fill(neg_mask == 0, -torch.inf), dim=1)
        both = pos_mask.any(dim=1) & neg_mask.any(dim=1)
        values = torch.where(both, far + near, 0.0)
        rows = torch.arange(len(mat))
        return {"loss": {"losses": values, "indices": rows, "reduction_type": "element"}}


@losses.over_labels(similarity=similarity.negative_unit_euclidean)
def own_loss(scores, positives, where):
    negatives = where & ~positives
    both = positives.any(axis=1) & negatives.any(axis=1)
    values = masked.log_sum_exp(-scores, positives) + masked.log_sum_exp(scores, negatives)
    return jnp.where(both, values, 0), jnp.ones_like(values)


class OwnMiner(miners.BaseMiner):
    """All positives, and the negatives within a right angle."""

    def mine(self, embeddings, labels, ref_emb, ref_labels):
        alike = labels[:, None] == ref_labels
        itself = torch.eye(len(labels), dtype=torch.bool)
        near = distances.CosineSimilarity()(embeddings, ref_emb) > 0
        return *torch.where(alike & ~itself), *torch.where(~alike & near)


def own_miner(scores, positives, where):
    return positives, where & ~positives & (scores > 0)


TOGETHER = {
    "BaseMiner": Alone(
        labeled(losses.mined(losses.nt_xent, own_miner)),
        of_labels(theirs.NTXentLoss, miner=OwnMiner),
    ),
    "MultipleLosses": Alone(
        lambda columns, labels, where: on_both(columns[0], labels, where), two_losses
    ),
    "GenericPairLoss": Alone(labeled(own_loss), of_labels(OwnLoss, mat_based_loss=True)),
}


def of_rows(values):
    """The line that docs/names.toml gives, averaged over the rows that are there."""
    return lambda columns, labels, where: mean(values(columns[0]), where)


LINES = {
    "LpRegularizer": Alone(
        of_rows(safe_norm), lambda columns, labels: regularizers.LpRegularizer()(columns[0])
    ),
    "ZeroMeanRegularizer": Alone(
        of_rows(lambda embeddings: abs(embeddings.sum(axis=1))),
        lambda columns, labels: regularizers.ZeroMeanRegularizer()(columns[0]),
        cosine=False,
        without=dict.fromkeys(("one_zero_row", "all_zero"), "the slope of |0| is a choice"),
    ),
}
PEERS = REDUCED | TOGETHER | LINES


@functools.cache
def compiled(name):
    return of_ours((PEERS | TABLES | VIEWS)[name])


@pytest.mark.parametrize(("name", "case"), each(PEERS, LABELED))
def test_agrees(name, case, float64):
    assert_same(PEERS[name], compiled(name), case, LABELED)


TABLE = np.random.default_rng(9).normal(size=(ROWS, ROWS))


def table(ours, make, sign=-1, cosine=True, apart=None):
    """A similarity's table of scores, weighed and added up, beside a distance's."""

    def scored(columns, labels, where):
        scores = ours(*columns) * TABLE
        return jnp.sum(jnp.where(where[:, None] & where, scores, 0))

    def weighed(columns, labels):
        distance = make(*columns)
        rows = len(distance)
        return sign * (distance * torch.tensor(TABLE[:rows, :rows])).sum()

    return Peer(scored, weighed, cosine=cosine, apart=apart or {})


TABLES = {
    "CosineSimilarity": table(similarity.cosine, distances.CosineSimilarity(), 1),
    "DotProductSimilarity": table(similarity.cosine, distances.DotProductSimilarity(), 1),
    "DotProductSimilarity, as they come": table(
        similarity.dot, distances.DotProductSimilarity(normalize_embeddings=False), 1, cosine=False
    ),
    "LpDistance": table(similarity.negative_unit_euclidean, distances.LpDistance()),
    "LpDistance, as they come": table(
        similarity.negative_euclidean,
        distances.LpDistance(normalize_embeddings=False),
        cosine=False,
    ),
    "LpDistance, squared": table(
        similarity.negative_squared_euclidean,
        distances.LpDistance(normalize_embeddings=False, power=2),
        cosine=False,
    ),
    "SNRDistance": table(
        similarity.negative_noise_to_signal,
        distances.SNRDistance(),
        apart={
            case: "an anchor of zeros has no signal: NaN there"
            for case in ("one_zero_row", "all_zero")
        },
    ),
}

VIEWS = {
    "SelfSupervisedLoss": Peer(
        lambda columns, labels, where: losses.supervised_contrastive(
            jnp.concatenate(columns),
            jnp.tile(jnp.arange(len(columns[0])), 2),
            where=jnp.tile(where, 2),
        ),
        lambda columns, labels: theirs.SelfSupervisedLoss(theirs.SupConLoss())(*columns),
    ),
    "SelfSupervisedLoss, one way": Peer(
        lambda columns, labels, where: losses.contrastive(
            columns[0],
            np.arange(len(columns[0])),
            references=columns[1],
            reference_labels=np.arange(len(columns[0])),
            reference_where=where,
            where=where,
            # A zero row is at distance 1 from all others: on the edge of the default, where rounding decides.
            negative_margin=0.9,
        ),
        lambda columns, labels: theirs.SelfSupervisedLoss(
            theirs.ContrastiveLoss(neg_margin=0.9), symmetric=False
        )(*columns),
        apart={"batch_of_one": "one pair in all is none there"},
    ),
}


@pytest.mark.parametrize(("name", "case"), each(TABLES | VIEWS, CASES))
def test_agrees_on_two_columns(name, case, float64):
    assert_same((TABLES | VIEWS)[name], compiled(name), case)
