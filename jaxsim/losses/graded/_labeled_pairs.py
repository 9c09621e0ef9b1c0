"""Pairs and triplets as they are given: no row is compared with another row's.

    queries, documents [pairs, dim], labels [pairs], 1 for alike and 0 for not -> loss
    anchors, positives, negatives [batch, dim] -> loss

D_i is the distance of a pair, minus its similarity. Where all rows of a batch may be compared, labels/_contrastive.py
and labels/_triplet.py find many more pairs and triplets in it.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.losses._lift._examples import of_rows, reduced, spoilt_by
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.classes._binary_cross_entropy import binary_cross_entropy
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import gather
from jaxsim.numerics._reductions import mean, total
from jaxsim.similarity import dot, negative_cosine_distance, negative_euclidean, paired


@checked
def paired_contrastive(
    queries,
    documents,
    labels,
    *,
    margin=0.5,
    similarity=negative_cosine_distance,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """`contrastive_squared` on pairs that say themselves whether they are alike.

        value_i = ( y_i D_i^2 + (1 - y_i) [margin - D_i]+^2 ) / 2

    Args:
      queries, documents: [pairs, dim].
      labels: y [pairs], 1 for alike, 0 for not, or between.
      margin: the distance beyond which a pair that is not alike costs nothing.
      similarity: (x [n, dim], y [m, dim]) -> [n, m], minus a distance.
      where: bool [pairs], False for padding. What stands there has no influence, NaN included.
      weights: [pairs].
      axis_name: the named axis over which the pairs are split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Hadsell et al. 2006, equation 4.
    Data: graded pairs.
    Kind: per example; memory batch x dim.
    """
    distances, labels, where = _distances(
        similarity, queries, documents, labels, where, axis_name, weights
    )
    short = jnp.maximum(margin - distances, 0)
    values = (labels * jnp.square(distances) + (1 - labels) * jnp.square(short)) / 2
    return reduced(values, where, weights, axis_name, reduce_fn)


@checked
def online_contrastive(
    queries,
    documents,
    labels,
    *,
    margin=0.5,
    similarity=negative_cosine_distance,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=total,
):
    """`paired_contrastive`, doubled, over the pairs alone that the batch does not keep apart.

        sum of D_i^2 over the alike pairs with D_i > min of D over those that are not
        + sum of [margin - D_i]+^2 over the others with D_i < max of D over the alike

    On a side that the batch lacks, the other's mean stands for its extreme. Which pairs count carries
    no gradient, and is decided over all devices; reduce_fn=mean averages over them.

    Args:
      labels: bool [pairs], or 0 and 1. On a device others give NaN.
      queries, documents, margin, similarity, where, weights, axis_name, reduce_fn: as in
        `paired_contrastive`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `paired_contrastive`.
    Source: OnlineContrastiveLoss of sentence-transformers.
    Data: graded pairs.
    Kind: batch statistics; memory batch x dim.
    """
    if where is None and checks.host(labels) and (np.asarray(labels) % 1 != 0).any():
        raise ValueError("labels must be 0 or 1 each: paired_contrastive takes what is between")
    distances, labels, where = _distances(similarity, queries, documents, labels, where, axis_name)
    alike, apart = where & (labels == 1), where & (labels == 0)
    every, *sides = gather((jax.lax.stop_gradient(distances), alike, apart), axis_name)
    far, near = (
        jnp.where(side.any(), extreme(every, side), masked.mean(every, other))
        for side, other, extreme in zip(sides, sides[::-1], (masked.max, masked.min), strict=True)
    )
    # NaN is neither above nor below, a label of 0.5 on no side: they count, so as not to be lost.
    neither = jnp.isnan(distances + near + far) | ((labels != 0) & (labels != 1))
    counts = (alike & (distances > near)) | (apart & (distances < far)) | (where & neither)
    values = jnp.square(jnp.where(alike, distances, jnp.maximum(margin - distances, 0)))
    values = spoilt_by(values, jnp.where(neither, jnp.nan, values))
    return reduced(values, counts, weights, axis_name, reduce_fn)


@checked
def contrastive_tension(
    first, second, labels, *, where=None, weights=None, axis_name=None, reduce_fn=total
):
    """Two encoders agree, by inner product, on the same text and on no other, in nats.

        sum_i of -log sigmoid(f_i . s_i) where it is the same text, else -log sigmoid(-f_i . s_i)

    The encoders start equal and are trained both; seven different texts to one that is the same is the
    paper's share. With the batch as negatives it is `symmetric_info_nce` of the two.

    Args:
      first, second: [pairs, dim], of one encoder each.
      labels: bool [pairs], or 0 and 1: whether it is the same text.
      where, weights, axis_name, reduce_fn: as in `paired_contrastive`; reduce_fn=mean averages.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `paired_contrastive`.
    Source: Carlsson et al. 2021 (ICLR), section 3.
    Data: unlabeled.
    Kind: per example; memory batch x dim.
    """
    first, second, _ = of_rows(
        where, axis_name, "pairs, dim", weights=weights, first=first, second=second
    )
    return binary_cross_entropy(
        paired(dot)(first, second),
        labels,
        where=where,
        weights=weights,
        axis_name=axis_name,
        reduce_fn=reduce_fn,
    )


@checked
def given_triplet(
    anchors,
    positives,
    negatives,
    *,
    margin=1.0,
    similarity=negative_euclidean,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Each anchor nearer to its positive than to its negative, by a margin.

        value_i = [D(a_i, p_i) - D(a_i, n_i) + margin]+

    Counts all triplets, satisfied ones as 0.

    Args:
      anchors, positives, negatives: [batch, dim].
      margin: by how much the negative should be farther.
      similarity: (x [n, dim], y [m, dim]) -> [n, m], minus a distance.
      where: bool [batch], False for padding.
      weights, axis_name, reduce_fn: as in `paired_contrastive`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `paired_contrastive`.
    Source: Sentence-BERT (Reimers and Gurevych 2019, 1908.10084), its triplet objective.
    Data: triplets.
    Kind: per example; memory batch x dim.
    """
    anchors, positives, negatives, where = of_rows(
        where,
        axis_name,
        "batch, dim",
        weights=weights,
        anchors=anchors,
        positives=positives,
        negatives=negatives,
    )
    scores = paired(similarity)
    gaps = scores(anchors, negatives) - scores(anchors, positives)
    return reduced(jnp.maximum(gaps + margin, 0), where, weights, axis_name, reduce_fn)


def _distances(similarity, queries, documents, labels, where, axis_name, weights=None):
    """One distance and one label per pair, and `where`, never None."""
    checks.function("similarity", similarity, "of jaxsim.similarity, minus a distance")
    queries, documents, _ = of_rows(
        where, axis_name, "pairs, dim", weights=weights, queries=queries, documents=documents
    )
    scores = paired(similarity)(queries, documents)
    scores, labels, where = of_rows(
        where,
        axis_name,
        "pairs",
        weights=weights,
        limits={"labels": (0, 1)},
        scores=scores,
        labels=labels,
    )
    return -scores, labels, where
