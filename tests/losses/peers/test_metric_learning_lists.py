"""Losses of pytorch-metric-learning on rankings, histograms and views, against ours."""

import functools

import jax
import numpy as np
import pytest
from metric_learning import labeled, of_labels
from parity import (
    CASES,
    LABELED,
    Peer,
    assert_same,
    batch,
    copied,
    each,
    far_from_one,
    of_ours,
    torch,
)
from pytorch_metric_learning import losses as theirs

from jaxsim import losses

Alone = functools.partial(Peer, columns=1)

BEYOND = {
    case: "a cosine of 1 is beyond their last bin: below" for case in ("copies", "identical_rows")
}
LONELY = {"classes_of_one": "negative pairs of two such anchors are left out there"}
NEARER = {"one_zero_row": "a row of zeros is at D^2 = 1 there; here its cosine is 0, which is 2"}
RANKED = {
    "HistogramLoss": Alone(
        labeled(losses.histogram),
        of_labels(theirs.HistogramLoss),
        without=BEYOND,
        apart=LONELY,
        atol=1e-5,  # theirs has its bins' edges in float32
    ),
    "HistogramLoss, few bins": Alone(
        labeled(losses.histogram, bins=8),
        of_labels(theirs.HistogramLoss, n_bins=8),
        without=BEYOND,
        apart=LONELY,
        atol=1e-5,  # theirs has its bins' edges in float32
    ),
    "HistogramLoss, by their width": Alone(
        labeled(losses.histogram, bins=40),
        of_labels(theirs.HistogramLoss, delta=0.05),
        without=BEYOND,
        apart=LONELY,
        atol=1e-5,  # theirs has its bins' edges in float32
    ),
    "FastAPLoss": Alone(labeled(losses.fast_ap), of_labels(theirs.FastAPLoss), apart=NEARER),
    "FastAPLoss, more bins": Alone(
        labeled(losses.fast_ap, bins=25),
        of_labels(theirs.FastAPLoss, num_bins=25),
        apart=NEARER,
    ),
}


@functools.cache
def compiled(name):
    return of_ours((RANKED | SORTED | VIEWS)[name])


@pytest.mark.parametrize(("name", "case"), each(RANKED, LABELED))
def test_agrees(name, case, float64):
    assert_same(RANKED[name], compiled(name), case, LABELED)


def test_a_cosine_of_one_falls_into_the_last_bin(float64):
    """Theirs looks for a bin after it."""
    vectors, labels = np.array([[1.0, 0], [1.0, 0], [0, 1.0]]), np.array([0, 0, 1])
    assert jax.jit(losses.histogram)(vectors, labels) == 0  # no negative above a positive
    with pytest.raises(RuntimeError, match="out of bounds"):
        theirs.HistogramLoss()(torch.tensor(vectors), torch.tensor(labels))


# Theirs wants rows by class and classes of one size, and keeps float32 inside.
THREE = [0, 0, 0, 1, 1, 1, 2, 2, 2]
BY_CLASS = {
    "ordinary": batch(THREE),
    "copies": batch(THREE, copied),
    "far_from_one": batch(THREE, far_from_one),
    "two_classes": batch([0, 0, 0, 0, 1, 1, 1, 1]),
    "five_pairs": batch([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]),
}
WRONG = {
    case: "theirs takes as many groups as a class has rows, not as there are classes"
    for case in ("two_classes", "five_pairs")
}
SORTED = {
    "SmoothAPLoss": Alone(
        labeled(losses.smooth_ap_with_self),
        of_labels(theirs.SmoothAPLoss),
        apart=WRONG,
        atol=1e-5,
    ),
    "SmoothAPLoss, warmer": Alone(
        labeled(losses.smooth_ap_with_self, temperature=0.2),
        of_labels(theirs.SmoothAPLoss, temperature=0.2),
        apart=WRONG,
        atol=1e-5,
    ),
}


@pytest.mark.parametrize(("name", "case"), each(SORTED, BY_CLASS))
def test_agrees_on_sorted_classes_of_one_size(name, case, float64):
    assert_same(SORTED[name], compiled(name), case, BY_CLASS)


def test_classes_of_two_sizes_are_refused_there():
    with pytest.raises(ValueError, match="same number of elements"):
        theirs.SmoothAPLoss()(torch.eye(3), torch.tensor([0, 0, 1]))


SINGLE = {"batch_of_one": "variances of one row are NaN there; the terms are 0 here"}
VIEWS = {
    "VICRegLoss": Peer(
        lambda columns, labels, where: losses.vicreg(*columns, variance_weight=12.5, where=where),
        lambda columns, labels: theirs.VICRegLoss()(columns[0], ref_emb=columns[1]),
        cosine=False,
        apart=SINGLE,
    ),
    "VICRegLoss, weighed": Peer(
        lambda columns, labels, where: losses.vicreg(
            *columns,
            invariance_weight=1.0,
            variance_weight=2.0,
            covariance_weight=3.0,
            eps=0.01,
            where=where,
        ),
        lambda columns, labels: theirs.VICRegLoss(1, 4, 3, 0.01)(columns[0], ref_emb=columns[1]),
        cosine=False,
        apart=SINGLE,
    ),
}


@pytest.mark.parametrize(("name", "case"), each(VIEWS, CASES))
def test_agrees_on_two_views(name, case, float64):
    assert_same(VIEWS[name], compiled(name), case)
