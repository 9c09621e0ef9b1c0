"""Every loss of sentence-transformers' bi-encoders on labels, triplets and teachers against ours."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from parity import CASES, DIM, Peer, assert_same, each, of_ours, torch
from sentence_stub import Given, embedded
from sentence_transformers import sentence_transformer, util

from jaxsim import losses
from jaxsim.numerics import total
from jaxsim.similarity import dot, negative_cosine_distance, negative_euclidean, paired

theirs = sentence_transformer.losses


def of_columns(make, **settings):
    return lambda columns, labels: embedded(make(Given(), **settings), columns, labels)


def labeled(loss, **settings):
    def called(columns, labels, where):
        return loss(*columns, labels, where=where, **settings)

    return called


def binary(random, rows):
    return random.integers(0, 2, size=rows)


def all_of(value):
    return lambda random, rows: np.full(rows, value)


def grades(random, rows):
    """Quarters, with ties: exact in float32, which theirs casts them to."""
    return random.integers(0, 5, size=rows) / 4


def classes(random, rows):
    return np.arange(rows) // 2


def with_a_class_of_one(random, rows):
    return np.array([0, 0, 1, 1, 2, 3])


def on_dots(loss, **settings):
    """Ours on the inner products of the pairs."""

    def called(columns, labels, where):
        return loss(paired(dot)(*columns), labels, where=where, **settings)

    return called


PAIRS = {
    "ContrastiveLoss": Peer(
        labeled(losses.paired_contrastive), of_columns(theirs.ContrastiveLoss), labels=binary
    ),
    "ContrastiveLoss, Euclidean, sum": Peer(
        labeled(
            losses.paired_contrastive, similarity=negative_euclidean, margin=2.0, reduce_fn=total
        ),
        of_columns(
            theirs.ContrastiveLoss,
            distance_metric=lambda x, y: (x - y).norm(dim=1),
            margin=2.0,
            size_average=False,
        ),
        labels=binary,
        cosine=False,
    ),
    "OnlineContrastiveLoss": Peer(
        labeled(losses.online_contrastive), of_columns(theirs.OnlineContrastiveLoss), labels=binary
    ),
    "OnlineContrastiveLoss, all alike": Peer(
        labeled(losses.online_contrastive),
        of_columns(theirs.OnlineContrastiveLoss),
        labels=all_of(1),
    ),
    "OnlineContrastiveLoss, none alike": Peer(
        labeled(losses.online_contrastive, margin=1.5),
        of_columns(theirs.OnlineContrastiveLoss, margin=1.5),
        labels=all_of(0),
    ),
    "CosineSimilarityLoss": Peer(
        labeled(losses.cosine_regression), of_columns(theirs.CosineSimilarityLoss), labels=grades
    ),
    "CoSENTLoss": Peer(labeled(losses.cosent), of_columns(theirs.CoSENTLoss), labels=grades),
    "CoSENTLoss, on scores": Peer(
        on_dots(losses.pair_rank, temperature=0.5),
        of_columns(theirs.CoSENTLoss, scale=2.0, similarity_fct=util.pairwise_dot_score),
        labels=grades,
        cosine=False,
    ),
    "AnglELoss": Peer(labeled(losses.angle), of_columns(theirs.AnglELoss), labels=grades),
    "ContrastiveTensionLoss": Peer(
        labeled(losses.contrastive_tension),
        of_columns(theirs.ContrastiveTensionLoss),
        labels=binary,
        cosine=False,
    ),
}


WEIGHT = np.random.default_rng(3).normal(size=(3, 3 * DIM))
BIAS = np.random.default_rng(4).normal(size=3)


def classifier(columns, labels):
    """Theirs, whose classifier is ours."""
    loss = theirs.SoftmaxLoss(Given(), embedding_dimension=DIM, num_labels=3).double()
    loss.classifier.weight.data[:] = torch.tensor(WEIGHT)
    loss.classifier.bias.data[:] = torch.tensor(BIAS)
    return embedded(loss, columns, labels)


def multiplied(columns, labels):
    loss = theirs.SoftmaxLoss(
        Given(), DIM, 3, concatenation_sent_rep=False, concatenation_sent_multiplication=True
    ).double()
    loss.classifier.weight.data[:] = torch.tensor(WEIGHT[:, : 2 * DIM])
    loss.classifier.bias.data[:] = torch.tensor(BIAS)
    return embedded(loss, columns, labels)


def our_classifier(columns, labels, where):
    return losses.pair_classification(*columns, labels, WEIGHT.T, BIAS, where=where)


def ours_multiplied(columns, labels, where):
    return losses.pair_classification(
        *columns,
        labels,
        WEIGHT[:, : 2 * DIM].T,
        BIAS,
        features=lambda u, v: jnp.concatenate([jnp.abs(u - v), u * v], axis=1),
        where=where,
    )


def three_classes(random, rows):
    return random.integers(0, 3, size=rows)


CLASSES = {
    "SoftmaxLoss": Peer(our_classifier, classifier, labels=three_classes, cosine=False),
    "SoftmaxLoss, differences and products": Peer(
        ours_multiplied,
        multiplied,
        labels=three_classes,
        cosine=False,
        apart={"all_zero": "jnp.abs has slope 1 at 0, torch.abs 0; `pair_features` has 0"},
    ),
}

ALONE = {
    "batch_of_one": "an anchor without positive or negative counts there, at the margin; here it does not"
}


def triplets(ours, make, labels=classes, apart=None, **settings):
    return Peer(
        labeled(ours, similarity=negative_euclidean, **settings),
        of_columns(make, **settings),
        columns=1,
        labels=labels,
        cosine=False,
        apart=apart or {},
    )


LONELY = {
    case: "an anchor without a positive counts there, as if it were its own"
    for case in ("ordinary", "one_zero_row", "batch_of_one")
}
TRIPLETS = {
    "TripletLoss": Peer(
        lambda columns, labels, where: losses.given_triplet(*columns, margin=5.0, where=where),
        of_columns(theirs.TripletLoss),
        columns=3,
        cosine=False,
    ),
    "TripletLoss, cosine": Peer(
        lambda columns, labels, where: losses.given_triplet(
            *columns, margin=0.5, similarity=negative_cosine_distance, where=where
        ),
        of_columns(
            theirs.TripletLoss,
            distance_metric=theirs.TripletDistanceMetric.COSINE,
            triplet_margin=0.5,
        ),
        columns=3,
    ),
    "BatchAllTripletLoss": triplets(losses.triplet, theirs.BatchAllTripletLoss, margin=5.0),
    "BatchAllTripletLoss, a class of one": triplets(
        losses.triplet, theirs.BatchAllTripletLoss, with_a_class_of_one, margin=0.5
    ),
    "BatchHardTripletLoss": triplets(
        losses.batch_hard_triplet, theirs.BatchHardTripletLoss, margin=5.0, apart=ALONE
    ),
    "BatchHardTripletLoss, a class of one": triplets(
        losses.batch_hard_triplet,
        theirs.BatchHardTripletLoss,
        with_a_class_of_one,
        margin=0.5,
        apart=LONELY,
    ),
    "BatchHardSoftMarginTripletLoss": triplets(
        losses.batch_hard_soft_margin_triplet, theirs.BatchHardSoftMarginTripletLoss, apart=ALONE
    ),
    "BatchSemiHardTripletLoss": triplets(
        losses.batch_semi_hard_triplet, theirs.BatchSemiHardTripletLoss, margin=5.0
    ),
    "BatchSemiHardTripletLoss, a class of one": triplets(
        losses.batch_semi_hard_triplet,
        theirs.BatchSemiHardTripletLoss,
        with_a_class_of_one,
        margin=0.5,
    ),
}


def vectors_of_a_teacher(random, rows):
    return random.normal(size=(rows, DIM))


def scores_of_a_teacher(random, rows):
    return random.normal(size=(rows, 3))


def of_both(loss):
    """The mean over two columns, as theirs has it."""

    def called(columns, labels, where):
        return sum(loss(column, labels, where=where) for column in columns) / 2

    return called


def on_scores(loss, **settings):
    """Ours on the inner products of a query with its documents."""

    def called(columns, labels, where):
        query, *documents = columns
        scores = jnp.stack([paired(dot)(query, d) for d in documents], axis=1)
        return loss(scores, labels, where=where, **settings)

    return called


def four_times(loss):
    return lambda *args, **settings: 4 * loss(*args, **settings)


TEACHERS = {
    "MSELoss": Peer(
        of_both(losses.embedding_distillation_mse),
        of_columns(theirs.MSELoss),
        labels=vectors_of_a_teacher,
        cosine=False,
    ),
    "EmbedDistillLoss": Peer(
        of_both(losses.embedding_distillation_cosine),
        of_columns(theirs.EmbedDistillLoss),
        labels=vectors_of_a_teacher,
    ),
    "EmbedDistillLoss, mse": Peer(
        of_both(losses.embedding_distillation_mse),
        of_columns(theirs.EmbedDistillLoss, distance_metric="mse"),
        labels=vectors_of_a_teacher,
        cosine=False,
    ),
    "EmbedDistillLoss, l2": Peer(
        of_both(losses.embedding_distillation_l2),
        of_columns(theirs.EmbedDistillLoss, distance_metric="l2"),
        labels=vectors_of_a_teacher,
        cosine=False,
    ),
    "MarginMSELoss": Peer(
        on_scores(losses.margin_mse),
        of_columns(theirs.MarginMSELoss),
        columns=4,
        labels=scores_of_a_teacher,
        cosine=False,
    ),
    "DistillKLDivLoss": Peer(
        on_scores(losses.score_distillation),
        of_columns(theirs.DistillKLDivLoss),
        columns=4,
        labels=scores_of_a_teacher,
        cosine=False,
    ),
    "DistillKLDivLoss, temperatures": Peer(
        on_scores(
            four_times(losses.score_distillation), student_temperature=2.0, teacher_temperature=0.5
        ),
        of_columns(theirs.DistillKLDivLoss, student_temperature=2.0, teacher_temperature=0.5),
        columns=4,
        labels=scores_of_a_teacher,
        cosine=False,
    ),
}


def both_orthogonal(columns, labels, where):
    return sum(losses.global_orthogonal(column, where=where) for column in columns) / 2


def cut(columns, labels, where):
    def base(z):
        return losses.info_nce(z[0], z[1], where=where)

    return losses.matryoshka(base, dims=(4, 2, 1), weights=(1.0, 0.5, 2.0))(columns)


def their_cuts(columns, labels):
    model = Given()
    loss = theirs.MatryoshkaLoss(
        model,
        theirs.MultipleNegativesRankingLoss(model),
        matryoshka_dims=[4, 2, 1],
        matryoshka_weights=[1.0, 0.5, 2.0],
    )
    return embedded(loss, columns, labels)


OTHERS = {
    "GlobalOrthogonalRegularizationLoss": Peer(
        both_orthogonal, of_columns(theirs.GlobalOrthogonalRegularizationLoss)
    ),
    "MatryoshkaLoss": Peer(cut, their_cuts),
}

PEERS = PAIRS | CLASSES | TRIPLETS | TEACHERS | OTHERS


@functools.cache
def compiled(name):
    return of_ours(PEERS[name])


@pytest.mark.parametrize(("name", "case"), each(PEERS, CASES))
def test_agrees(name, case, float64):
    assert_same(PEERS[name], compiled(name), case)
