"""The catalog's losses that hold vectors per class, and regularizers: name -> given, ours, theirs."""

import functools

import numpy as np

from benchmarks.catalog import batches
from benchmarks.catalog.entry import Entry
from benchmarks.catalog.peers import from_embeddings, meta_classes, per_class, regularizer
from jaxsim import losses

partial = functools.partial
Classes = partial(Entry, batches.classes, moved=(0, 2))
Centers = partial(Entry, batches.several_centers, moved=(0, 2))
HALF_A_RADIAN = np.radians(28.6)  # as near as theirs, in degrees, comes


def columns_of(vectors):
    """Theirs holds vectors as columns, the centers of a class together."""
    return vectors.reshape(-1, vectors.shape[-1]).T


def in_columns(name, attribute="W", **settings):
    """Theirs by name, its vectors of classes the columns of an attribute."""
    return per_class(
        lambda p, **sizes: getattr(p, name)(**sizes), attribute, columns_of, **settings
    )


def in_rows(name):
    """Theirs by name, its vectors of classes the rows of `proxies`."""
    return per_class(lambda p, **sizes: getattr(p, name)(**sizes), "proxies")


def unit_columns(vectors):
    """Vectors of classes as columns of norm 1."""
    return columns_of(vectors / vectors.norm(dim=1, keepdim=True))


def squares(p, num_classes, embedding_size):
    """P2SGradLoss, whose sizes have names of their own."""
    return p.P2SGradLoss(descriptors_dim=embedding_size, num_classes=num_classes)


def mean_over_classes(x, labels, vectors, **shared):
    """Ours where theirs has the mean over the classes, ours half of the sum."""
    return losses.p2s_grad(x, labels, vectors, **shared) * 2 / len(vectors)


CLASSES = {
    "arcface": Classes(partial(losses.arcface, margin=HALF_A_RADIAN), in_columns("ArcFaceLoss")),
    "cosface": Classes(losses.cosface, in_columns("CosFaceLoss")),
    "frozen_class_cross_entropy": Entry(
        batches.classes, losses.frozen_class_cross_entropy, moved=(0,)
    ),
    "instance": Entry(batches.two_sides_of_classes, losses.instance, moved=(0, 1, 3)),
    "large_margin_softmax": Classes(
        losses.large_margin_softmax, in_columns("LargeMarginSoftmaxLoss")
    ),
    "manifold": Classes(
        losses.manifold, meta_classes(lambda p, **sizes: p.ManifoldLoss(**sizes)), batch=256
    ),
    "normalized_softmax": Classes(losses.normalized_softmax, in_columns("NormalizedSoftmaxLoss")),
    "p2s_grad": Classes(mean_over_classes, per_class(squares, "weight", unit_columns)),
    "proxy_anchor": Classes(losses.proxy_anchor, in_rows("ProxyAnchorLoss")),
    "proxy_nca": Classes(losses.proxy_nca, in_rows("ProxyNCALoss")),
    "soft_triple": Centers(
        losses.soft_triple, in_columns("SoftTripleLoss", "fc", centers_per_class=3)
    ),
    "sphereface": Classes(losses.sphereface, in_columns("SphereFaceLoss")),
    "sub_center_arcface": Centers(
        partial(losses.sub_center_arcface, margin=HALF_A_RADIAN),
        in_columns("SubCenterArcFaceLoss", sub_centers=3),
    ),
}
REGULARIZERS = {
    "center_invariant": Entry(
        batches.class_vectors,
        losses.center_invariant,
        regularizer(lambda p, vectors: p.CenterInvariantRegularizer()),
    ),
    "flops": Entry(
        lambda *sizes: batches.activations(*sizes)[:1],
        losses.flops,
        from_embeddings(
            lambda s, model: s.FlopsLoss(model),
            lambda loss, x: loss.compute_loss_from_embeddings(x),
        ),
    ),
    "regular_face": Entry(
        batches.class_vectors,
        losses.regular_face,
        regularizer(lambda p, vectors: p.RegularFaceRegularizer()),
    ),
    "sparse_centers": Entry(
        batches.centers_alone,
        losses.sparse_centers,
        regularizer(
            lambda p, vectors: p.SparseCentersRegularizer(len(vectors), 3),
            lambda vectors: vectors.reshape(-1, vectors.shape[-1]),
        ),
        batch=256,
    ),
}
CLASSES |= REGULARIZERS
