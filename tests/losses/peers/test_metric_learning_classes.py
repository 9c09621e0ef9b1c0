"""Losses of pytorch-metric-learning that hold a vector per class, against ours: of its slope too."""

import functools

import numpy as np
import pytest
from metric_learning import as_it_is, labeled, of_labels
from parity import DIM, LABELED, Peer, assert_same, each, of_ours, torch
from pytorch_metric_learning import losses as theirs

from jaxsim import losses

CLASSES = 8


def one_vector_per_class(random):
    return [random.normal(size=(CLASSES, DIM)) * random.uniform(0.1, 10, size=(CLASSES, 1))]


def classes(ours, make, *, given=as_it_is, name="proxies", mine=None, **settings):
    """mine: ours of their settings, where these differ."""
    return Peer(
        labeled(ours, **(settings if mine is None else mine)),
        of_labels(
            make,
            parameters={name: given},
            num_classes=CLASSES,
            embedding_size=DIM,
            **settings,
        ),
        columns=1,
        parameters=one_vector_per_class,
    )


weighed = functools.partial(classes, given=torch.t, name="W")
PEERS = {
    "NormalizedSoftmaxLoss": weighed(losses.normalized_softmax, theirs.NormalizedSoftmaxLoss),
    "NormalizedSoftmaxLoss, warmer": weighed(
        losses.normalized_softmax, theirs.NormalizedSoftmaxLoss, temperature=0.5
    ),
    "CosFaceLoss": weighed(losses.cosface, theirs.CosFaceLoss),
    "CosFaceLoss, margin": weighed(
        losses.cosface,
        theirs.CosFaceLoss,
        mine={"margin": 0.1, "temperature": 0.2},
        margin=0.1,
        scale=5,
    ),
    "ArcFaceLoss": weighed(  # theirs is 28.6 degrees, ours half a radian
        losses.arcface, theirs.ArcFaceLoss, mine={"margin": np.radians(28.6)}
    ),
    "ArcFaceLoss, wide": weighed(  # beyond pi - margin for some
        losses.arcface,
        theirs.ArcFaceLoss,
        mine={"margin": np.radians(100.0), "temperature": 0.1},
        margin=100,
        scale=10,
    ),
    "SphereFaceLoss": weighed(losses.sphereface, theirs.SphereFaceLoss),
    "SphereFaceLoss, threefold": weighed(
        losses.sphereface,
        theirs.SphereFaceLoss,
        mine={"margin": 3, "temperature": 0.5},
        margin=3,
        scale=2,
    ),
    "ProxyNCALoss": classes(losses.proxy_nca, theirs.ProxyNCALoss),
    "ProxyNCALoss, scaled": classes(
        losses.proxy_nca, theirs.ProxyNCALoss, mine={"temperature": 0.125}, softmax_scale=8
    ),
    "ProxyAnchorLoss": classes(losses.proxy_anchor, theirs.ProxyAnchorLoss),
    "ProxyAnchorLoss, softer": classes(
        losses.proxy_anchor,
        theirs.ProxyAnchorLoss,
        mine={"margin": 0.3, "temperature": 0.25},
        margin=0.3,
        alpha=4,
    ),
}


@functools.cache
def compiled(name):
    return of_ours(PEERS[name])


@pytest.mark.parametrize(("name", "case"), each(PEERS, LABELED))
def test_agrees(name, case, float64):
    assert_same(PEERS[name], compiled(name), case, LABELED)
