"""Losses on explicitly labeled pairs and triplets, without in-batch negatives.

    queries, documents [pairs, dim], labels [pairs], 1 for similar and 0 for not -> loss
    anchors, positives, negatives [batch, dim] -> loss

D_i is the distance of a pair, minus its similarity. Where all rows of a batch may be compared, `contrastive`
and `triplet` find many more pairs and triplets in it.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.losses._lift._examples import of_rows, reduced, spoiled_by
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.classes._binary_cross_entropy import binary_cross_entropy
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import gather
from jaxsim.numerics._reductions import total
from jaxsim.numerics.types import Array, Numeric, ReduceFn, Similarity
from jaxsim.similarity import dot, negative_cosine_distance, negative_euclidean, paired


@over_examples(
    axes={"queries": "pairs, dim", "documents": "pairs, dim", "labels": "pairs"},
    limits={"labels": (0, 1)},
)
def paired_contrastive(
    queries: Array,
    documents: Array,
    labels: Array,
    *,
    margin: Numeric = 0.5,
    similarity: Similarity = negative_cosine_distance,
):
    """Contrastive loss on labeled pairs: `contrastive_squared` where each pair has its own label.

        value_i = ( y_i D_i^2 + (1 - y_i) [margin - D_i]+^2 ) / 2

    Args:
      queries, documents: [pairs, dim].
      labels: y [pairs], 1 for similar, 0 for not, or between.
      margin: the distance beyond which a dissimilar pair costs nothing.
      similarity: (x [n, dim], y [m, dim]) -> [n, m], minus a distance.

    Source: Hadsell et al. 2006, equation 4.
    Data: graded pairs.
    Memory: batch x dim.
    """
    distances = -paired(similarity)(queries, documents)
    short = jnp.maximum(margin - distances, 0)
    return (labels * jnp.square(distances) + (1 - labels) * jnp.square(short)) / 2


@checked  # outside the lifter: the nearest and the farthest pair are those of all devices
def online_contrastive(
    queries: Array,
    documents: Array,
    labels: Array,
    *,
    margin: Numeric = 0.5,
    similarity: Similarity = negative_cosine_distance,
    where: Array | None = None,
    weights: Array | None = None,
    axis_name: str | None = None,
    reduce_fn: ReduceFn | None = total,
) -> jax.Array:
    """Online contrastive loss: `paired_contrastive`, doubled, over the pairs that the batch gets wrong.

        sum of D_i^2 over the similar pairs with D_i > min of D over the dissimilar
        + sum of [margin - D_i]+^2 over the dissimilar with D_i < max of D over the similar

    If the batch lacks one side, the other side's mean replaces its extreme. Which pairs count carries
    no gradient, and is decided over all devices; reduce_fn=mean averages over them.

    Args:
      queries, documents: [pairs, dim].
      labels: bool [pairs], or 0 and 1. On a device others give NaN.
      margin: the distance beyond which a dissimilar pair costs nothing.
      similarity: (x [n, dim], y [m, dim]) -> [n, m], minus a distance.
      where, weights, axis_name, reduce_fn: as in `paired_contrastive`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `paired_contrastive`.
    Source: OnlineContrastiveLoss of sentence-transformers.
    Data: graded pairs.
    Kind: batch statistics; memory batch x dim.
    """
    if where is None and checks.host(labels) and (np.asarray(labels) % 1 != 0).any():
        raise ValueError("labels must be 0 or 1 each: paired_contrastive takes what is between")
    queries, documents, _ = of_rows(
        where, axis_name, "pairs, dim", queries=queries, documents=documents
    )
    distances, labels, where = of_rows(
        where,
        axis_name,
        "pairs",
        limits={"labels": (0, 1)},
        distances=-paired(similarity)(queries, documents),
        labels=labels,
    )
    similar, dissimilar = where & (labels == 1), where & (labels == 0)
    every, *sides = gather((jax.lax.stop_gradient(distances), similar, dissimilar), axis_name)
    far, near = (
        jnp.where(side.any(), extreme(every, side), masked.mean(every, other))
        for side, other, extreme in zip(sides, sides[::-1], (masked.max, masked.min), strict=True)
    )
    # NaN is neither above nor below, a label of 0.5 on no side: they count, so as not to be lost.
    neither = jnp.isnan(distances + near + far) | ((labels != 0) & (labels != 1))
    counts = (similar & (distances > near)) | (dissimilar & (distances < far)) | (where & neither)
    values = jnp.square(jnp.where(similar, distances, jnp.maximum(margin - distances, 0)))
    values = spoiled_by(values, jnp.where(neither, jnp.nan, values))
    return reduced(values, counts, weights, axis_name, reduce_fn)


@over_examples(
    axes={"first": "pairs, dim", "second": "pairs, dim", "labels": "pairs"},
    limits={"labels": (0, 1)},
    reduce_fn=total,
)
def contrastive_tension(first: Array, second: Array, labels: Array):
    """Contrastive tension: two encoders agree, by inner product, on the same text and on no other, in nats.

        sum_i of -log sigmoid(f_i . s_i) where it is the same text, else -log sigmoid(-f_i . s_i)

    The encoders start equal and are both trained; seven different texts to one that is the same is the
    paper's share. With the batch as negatives it is `symmetric_info_nce` of the two. reduce_fn=mean
    averages.

    Args:
      first, second: [pairs, dim], of one encoder each.
      labels: bool [pairs], or 0 and 1: whether it is the same text.

    Source: Carlsson et al. 2021 (ICLR), section 3.
    Data: unlabeled.
    Memory: batch x dim.
    """
    return binary_cross_entropy.rule(paired(dot)(first, second), labels)


@over_examples(axes="batch, dim")
def given_triplet(
    anchors: Array,
    positives: Array,
    negatives: Array,
    *,
    margin: Numeric = 1.0,
    similarity: Similarity = negative_euclidean,
):
    """Triplet loss on explicit triplets: the positive nearer to the anchor than the negative, by a margin.

        value_i = [D(a_i, p_i) - D(a_i, n_i) + margin]+

    Counts all triplets, satisfied ones as 0.

    Args:
      anchors, positives, negatives: [batch, dim].
      margin: by how much the negative should be farther.
      similarity: (x [n, dim], y [m, dim]) -> [n, m], minus a distance.

    Source: Sentence-BERT (Reimers and Gurevych 2019, 1908.10084), its triplet objective.
    Data: triplets.
    """
    scores = paired(similarity)
    gaps = scores(anchors, negatives) - scores(anchors, positives)
    return jnp.maximum(gaps + margin, 0)
