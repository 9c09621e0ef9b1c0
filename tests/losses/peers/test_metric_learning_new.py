"""Losses of pytorch-metric-learning on triplets, rankings, centers and states, against ours."""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import pytest
from metric_learning import as_it_is, labeled, of_labels
from parity import CASES, LABELED, Peer, assert_same, each, inputs, of_ours, of_theirs, torch
from pytorch_metric_learning import distances, losses as theirs, regularizers

from jaxsim import losses
from jaxsim.similarity import cosine

Alone = functools.partial(Peer, columns=1)
ALONE = {c: "a zero vector over its norm is NaN there" for c in ("one_zero_row", "all_zero")}


def of_norm_one(make, **settings):
    """Theirs of rows scaled to norm 1."""
    loss = of_labels(make, **settings)
    return lambda columns, labels: loss([torch.nn.functional.normalize(columns[0])], labels)


# Rows of norm 1 are the only ones that both see alike, and zero rows.
RAW = ("ordinary", "padded", "copies", "classes_of_one", "far_from_one", "identical_rows")
RAW = {case: "negatives keep their norm there" for case in (*RAW, "one_zero_row")}


def with_itself(loss, **settings):
    """Ours where an anchor that has a positive is one too: the batch as references without ids."""

    def called(columns, labels, where):
        others = labels[:, None] == labels[None]
        others &= where & ~jnp.eye(len(labels), dtype=bool)
        return loss(
            columns[0],
            labels,
            references=columns[0],
            reference_labels=labels,
            reference_where=where,
            where=where,
            weights=others.any(axis=1),
            **settings,
        )

    return called


def pnp(variant, loss, **settings):
    return Alone(
        with_itself(loss, temperature=0.05, **settings),
        of_labels(theirs.PNPLoss, anneal=0.05, variant=variant, **settings),
    )


def consistent(columns, labels, where):
    """The two sides of the contrastive loss on cosines, weighed as they are reduced."""
    near, far = losses.contrastive(
        columns[0],
        labels,
        similarity=cosine,
        positive_margin=-0.9,
        negative_margin=-0.5,
        where=where,
        reduce_fn=None,
    )
    return 2 * average(*near) + 3 * average(*far)


def average(values, weights):
    return jnp.sum(values * weights) / jnp.maximum(jnp.sum(weights), 1)


PAIRS_AND_RANKINGS = {
    "AngularLoss": Alone(labeled(losses.angular), of_norm_one(theirs.AngularLoss)),
    "AngularLoss, alpha": Alone(
        labeled(losses.angular, alpha=55.0), of_norm_one(theirs.AngularLoss, alpha=55)
    ),
    "AngularLoss, of any norm": Alone(
        labeled(losses.angular), of_labels(theirs.AngularLoss), apart=RAW
    ),
    "PNPLoss": pnp("O", losses.pnp),
    "PNPLoss, Iu": pnp("Iu", losses.pnp_iu),
    "PNPLoss, Ib": pnp("Ib", losses.pnp_ib, b=3),
    "PNPLoss, Ds": pnp("Ds", losses.pnp_ds),
    "PNPLoss, Dq": pnp("Dq", losses.pnp_dq, alpha=4),
    "ThresholdConsistentMarginLoss": Alone(
        consistent,
        of_labels(theirs.ThresholdConsistentMarginLoss, lambda_plus=2, lambda_minus=3),
    ),
}


def rows_of_centers(centers):
    return centers.reshape(-1, centers.shape[-1])


def columns_of_centers(centers):
    return rows_of_centers(centers).T


SIZES = {"num_classes": 8, "embedding_size": 4}


def centers(ours, make, name, mine, **settings):
    return Alone(
        labeled(ours, **mine),
        of_labels(make, parameters={name: columns_of_centers}, **SIZES, **settings),
        parameters=lambda random: [random.normal(size=(8, 3, 4))],
    )


def weighed(ours, make, mine, **settings):
    return Alone(
        labeled(ours, **mine),
        of_labels(make, parameters={"W": torch.t}, **SIZES, **settings),
        parameters=lambda random: [random.normal(size=(8, 4))],
    )


def squares(columns, labels, where):
    """Theirs is the mean over the classes, where ours is half of the sum."""
    return losses.p2s_grad(columns[0], labels, columns[1], where=where) * 2 / 8


def unit_columns(weights):
    """What theirs makes of its weights before it looks at them, without a slope."""
    return torch.nn.functional.normalize(weights).T


def from_rows(columns, labels, where):
    """A softmax over the rows of the batch: each is told from the row of its label's number."""
    places = jnp.unique(jnp.where(where, labels, 99), return_inverse=True, size=9)[1]
    x = columns[0]
    return losses.normalized_softmax(x, places, x, temperature=1 / 4, where=where)


def of_meta_classes(columns, labels):
    loss = theirs.ManifoldLoss(l=4, K=8, lambdaC=2.0, margin=0.02)
    loss._parameters.pop("proxies")
    loss.proxies = columns[1]
    return loss(columns[0], indices_tuple=labels)


IN_CLASSES = {
    "SubCenterArcFaceLoss": centers(
        losses.sub_center_arcface,
        theirs.SubCenterArcFaceLoss,
        "W",
        {"margin": np.radians(28.6)},
        sub_centers=3,
    ),
    "SoftTripleLoss": centers(
        losses.soft_triple, theirs.SoftTripleLoss, "fc", {}, centers_per_class=3
    ),
    "SoftTripleLoss, temperatures": centers(
        losses.soft_triple,
        theirs.SoftTripleLoss,
        "fc",
        {"temperature": 0.5, "center_temperature": 0.4, "margin": 0.3},
        centers_per_class=3,
        la=2,
        gamma=0.4,
        margin=0.3,
    ),
    "LargeMarginSoftmaxLoss": weighed(
        losses.large_margin_softmax, theirs.LargeMarginSoftmaxLoss, {}
    ),
    "LargeMarginSoftmaxLoss, margin": weighed(
        losses.large_margin_softmax,
        theirs.LargeMarginSoftmaxLoss,
        {"margin": 3, "temperature": 2.0},
        margin=3,
        scale=0.5,
    ),
    "P2SGradLoss": Alone(
        squares,
        of_labels(
            theirs.P2SGradLoss,
            parameters={"weight": unit_columns},
            descriptors_dim=4,
            num_classes=8,
        ),
        parameters=lambda random: [random.normal(size=(8, 4))],
        without=ALONE,
        atol=1e-6,
    ),
    "ManifoldLoss": Alone(
        labeled(losses.manifold, context_weight=2.0, margin=0.02),
        of_meta_classes,
        parameters=lambda random: [random.normal(size=(8, 4))],
        atol=1e-5,  # they invert in float32
    ),
    "InstanceLoss": Alone(
        from_rows,
        of_labels(theirs.InstanceLoss, gamma=4),
        without={c: "ours takes padding for classes too" for c in ("padded", "batch_of_one")},
    ),
}


def regular(ours, make, parameters, change=as_it_is):
    """Of class vectors alone; the batch is there for nothing."""
    return Alone(
        lambda columns, labels, where: ours(columns[1]) + 0 * columns[0].sum(),
        lambda columns, labels: make()(change(columns[1])) + 0 * columns[0].sum(),
        parameters=parameters,
    )


def class_vectors(random):
    return [random.normal(size=(8, 4)) * random.uniform(0.1, 10, size=(8, 1))]


REGULARIZERS = {
    "CenterInvariantRegularizer": regular(
        losses.center_invariant, regularizers.CenterInvariantRegularizer, class_vectors
    ),
    "RegularFaceRegularizer": regular(
        losses.regular_face, regularizers.RegularFaceRegularizer, class_vectors
    ),
    "SparseCentersRegularizer": regular(
        losses.sparse_centers,
        functools.partial(regularizers.SparseCentersRegularizer, 5, 3),
        lambda random: [random.normal(size=(5, 3, 4))],
        rows_of_centers,
    ),
}

EARLIER = np.random.default_rng(9).normal(size=(2, 5, 4))


def after_an_earlier_batch(columns, labels, where):
    """Ours with their momentum, which weighs the pairs of a batch and not the batch."""
    histogram = losses.parts.margin_histogram(jnp.zeros(11), *EARLIER)
    pairs = jnp.sum(where)
    momentum = 0.1 * pairs / (0.9 + 0.1 * pairs)
    histogram = losses.parts.margin_histogram(histogram, *columns, momentum=momentum, where=where)
    return losses.dynamic_soft_margin(*columns, histogram, where=where)


class Copied(distances.LpDistance):
    """Distances that may be written over, as theirs are, without losing their gradient."""

    def compute_mat(self, query_emb, ref_emb):
        return super().compute_mat(query_emb, ref_emb).clone()


def of_pairs(make, distance=Copied):
    def called(columns, labels):
        loss = make(momentum=0.1, distance=distance())
        loss(torch.tensor(EARLIER[0]), ref_emb=torch.tensor(EARLIER[1]))
        return loss(columns[0], ref_emb=columns[1])

    return called


class Held(theirs.DynamicSoftMarginLoss):
    """Theirs with a histogram that carries no gradient."""

    def update_histogram(self, data):
        super().update_histogram(data.detach())


ALONE_IN_BATCH = {"batch_of_one": "without a negative the distance is infinite there, an error"}
TIES = {"identical_rows": "of equal distances one is the nearest there, here they share"}
OF_PAIRS = {
    "DynamicSoftMarginLoss, held": Peer(
        after_an_earlier_batch, of_pairs(Held), slopes_apart=TIES, without=ALONE_IN_BATCH
    ),
    "DynamicSoftMarginLoss": Peer(
        after_an_earlier_batch,
        of_pairs(theirs.DynamicSoftMarginLoss),
        slopes_apart=TIES
        | dict.fromkeys(("ordinary", "one_zero_row"), "the histogram carries a gradient there"),
        without=ALONE_IN_BATCH,
    ),
}

PEERS = PAIRS_AND_RANKINGS | IN_CLASSES
ALL = {**PEERS, **OF_PAIRS, **REGULARIZERS}
GIVEN = each(PEERS, LABELED) + [(name, "ordinary") for name in REGULARIZERS]


@functools.cache
def compiled(name):
    return of_ours(ALL[name])


@pytest.mark.parametrize(("name", "case"), GIVEN)
def test_agrees(name, case, float64):
    assert_same(ALL[name], compiled(name), case, LABELED)


@pytest.mark.parametrize(("name", "case"), each(OF_PAIRS, CASES))
def test_pairs_agree(name, case, float64):
    assert_same(ALL[name], compiled(name), case)


def test_theirs_of_pairs_has_no_gradient_with_its_own_distance():
    """Why `Copied`: once this is mended there, it may go."""
    peer = dataclasses.replace(
        OF_PAIRS["DynamicSoftMarginLoss"],
        theirs=of_pairs(theirs.DynamicSoftMarginLoss, distances.LpDistance),
    )
    columns, labels, rows = inputs(peer, CASES["ordinary"])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        of_theirs(peer, columns, labels, rows)
