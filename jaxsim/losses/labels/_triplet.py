"""Triplet losses: an anchor is to be nearer to a positive than to a negative, by a margin.

    embeddings [batch, dim], labels [batch] -> loss

D_ij is the Euclidean distance between rows of norm 1, the rules' scores are -D_ij, unless a loss says
otherwise. No array of triplets is ever built: _lift/_over_triplets.py.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._over_positives import over_positive_pairs
from jaxsim.losses._lift._over_triplets import (
    hard,
    hinge,
    next_beyond,
    over_triplets,
    semi_hard,
    softplus,
    swapped_slopes,
)
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import masked
from jaxsim.numerics.types import Array, Numeric, RuleResult, Similarity
from jaxsim.similarity import negative_unit_euclidean


@over_labels(similarity=negative_unit_euclidean)
def triplet(scores: Array, positives: Array, where: Array, *, margin: Numeric = 0.05) -> RuleResult:
    """Triplet loss: all triplets of the batch, averaged over those that still violate the margin.

        mean of [D_ip - D_in + margin]+ over the triplets (i, p, n) where it is > 0

    Counts the violating triplets: the loss need not fall as triplets become satisfied.
    `triplet_mean` counts all. Also known as batch-all; BatchAllTripletLoss of sentence-transformers is
    margin=5 with similarity=negative_euclidean, the older form on squared distances
    similarity=negative_squared_euclidean.

    Args:
      margin: by how much the negative should be farther.

    Source: Hermans et al. 2017 (1703.07737), batch all over non-zero terms; TripletMarginLoss of
    pytorch-metric-learning, with its margin.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    sums, active = over_triplets(hinge, scores, positives, where & ~positives, margin)
    return _mean_and_count(sums, active)


@over_labels(similarity=negative_unit_euclidean)
def triplet_mean(
    scores: Array, positives: Array, where: Array, *, margin: Numeric = 0.05
) -> RuleResult:
    """Mean triplet loss: all triplets of the batch, satisfied ones as 0.

        mean over triplets (i, p, n) of [D_ip - D_in + margin]+

    Counts triplets.

    Args:
      margin: by how much the negative should be farther.

    Source: Hermans et al. 2017 (1703.07737), batch all.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    negatives = where & ~positives
    sums, _ = over_triplets(hinge, scores, positives, negatives, margin)
    return _mean_and_count(sums, _triplets(positives, negatives, sums.dtype))


@over_labels(similarity=negative_unit_euclidean)
def smooth_triplet(
    scores: Array, positives: Array, where: Array, *, margin: Numeric = 0.0
) -> RuleResult:
    """Smooth triplet loss: all triplets of the batch, with a softplus for the hinge.

        mean over triplets (i, p, n) of log(1 + exp(D_ip - D_in + margin))

    Satisfied triplets still pull a little. Counts triplets.

    Args:
      margin: by how much the negative should be farther.

    Source: TripletMarginLoss of pytorch-metric-learning in its smooth form.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    negatives = where & ~positives
    sums, _ = over_triplets(softplus, scores, positives, negatives, margin)
    return _mean_and_count(sums, _triplets(positives, negatives, sums.dtype))


@over_labels(similarity=negative_unit_euclidean)
def semi_hard_triplet(
    scores: Array, positives: Array, where: Array, *, margin: Numeric = 0.2
) -> RuleResult:
    """Semi-hard triplet loss: triplets whose negative is farther than the positive, by less than the margin.

        mean of D_ip - D_in + margin over the triplets with 0 < D_in - D_ip < margin

    Counts these triplets. `batch_semi_hard_triplet` takes one negative for each positive instead.

    Args:
      margin: by how much the negative should be farther; 0.2 is the paper, on squared distances.

    Source: Schroff et al. 2015 (1503.03832), section 3.2; all triplets of the kind, as the semihard
    TripletMarginMiner of pytorch-metric-learning.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    return _mean_and_count(*over_triplets(semi_hard, scores, positives, where & ~positives, margin))


@over_labels(similarity=negative_unit_euclidean)
def hard_triplet(
    scores: Array, positives: Array, where: Array, *, margin: Numeric = 0.2
) -> RuleResult:
    """Hard triplet loss: the triplets whose negative is no farther than the positive.

        mean of D_ip - D_in + margin over the triplets with D_in <= D_ip

    Counts these triplets.

    Args:
      margin: by how much the negative should be farther, >= 0.

    Source: the hard TripletMarginMiner of pytorch-metric-learning.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    return _mean_and_count(*over_triplets(hard, scores, positives, where & ~positives, margin))


@over_labels(similarity=negative_unit_euclidean)
def batch_semi_hard_triplet(
    scores: Array, positives: Array, where: Array, *, margin: Numeric = 0.2
) -> RuleResult:
    """Batch semi-hard triplet loss: for each positive the nearest negative beyond it, else the farthest.

        mean over positive pairs of [D_ip - D_in + margin]+
        n: argmin of D_in over D_in > D_ip, else argmax of D_in

    Counts the positive pairs of anchors that have a negative. Negatives that tie share the slope.

    Args:
      margin: by how much the negative should be farther; 0.2 is the paper, on squared distances.

    Source: Schroff et al. 2015 (1503.03832) as BatchSemiHardTripletLoss of sentence-transformers
    reads it (there margin 5 with similarity=negative_euclidean).
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    negatives = where & ~positives
    sums, _ = over_triplets(next_beyond, scores, positives, negatives, margin)
    return _mean_and_count(sums, positives.sum(axis=1) * negatives.any(axis=1))


@over_labels(similarity=negative_unit_euclidean)
def batch_hard_triplet(
    scores: Array, positives: Array, where: Array, *, margin: Numeric = 0.2
) -> RuleResult:
    """Batch-hard triplet loss: each anchor with its farthest positive and its nearest negative.

        value_i = [max_{positives_i} D_ip - min_{negatives_i} D_in + margin]+

    Counts the anchors that have a positive and a negative. The paper does not scale rows to norm 1:
    similarity=negative_euclidean.

    Args:
      margin: by how much the negative should be farther.

    Source: Hermans et al. 2017 (1703.07737), equation 5.
    Data: labels.
    """
    gaps, counted = _hardest_gap(scores, positives, where)
    return jnp.maximum(gaps + margin, 0), counted


@over_labels(similarity=negative_unit_euclidean)
def batch_hard_soft_margin_triplet(scores: Array, positives: Array, where: Array) -> RuleResult:
    """Batch-hard triplet loss with a softplus in place of hinge and margin.

        value_i = log(1 + exp(max_{positives_i} D_ip - min_{negatives_i} D_in))

    Counts the anchors that have a positive and a negative. The paper does not scale rows to norm 1:
    similarity=negative_euclidean.

    Source: Hermans et al. 2017 (1703.07737), the soft margin.
    Data: labels.
    """
    gaps, counted = _hardest_gap(scores, positives, where)
    return jax.nn.softplus(gaps), counted


@checked
def swapped_triplet(
    embeddings: Array,
    labels: Array,
    *,
    margin: Numeric = 0.05,
    similarity: Similarity = negative_unit_euclidean,
    where: Array | None = None,
    axis_name: str | None = None,
    block: int | None = None,
) -> jax.Array:
    """Triplet loss with anchor swap: the negative is compared with the nearer of anchor and positive.

        mean of [D_ip - min(D_in, D_pn) + margin]+ over the triplets (i, p, n) where it is > 0

    Every positive's row of distances is computed once more for each of its anchors: as many times the
    work of `triplet` as classes have rows.

    A triplet's slope is booked with the row that is nearer to its negative, so that single anchors
    have no weights and no separate values.

    Args:
      embeddings: [batch, dim].
      labels: int [batch].
      margin: by how much the negative should be farther.
      similarity: (x [n, dim], y [m, dim]) -> [n, m], symmetric; larger is closer.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.
      block: anchors per block of scores; None chooses it from the sizes.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound, a block below 1.
    Source: Balntas et al. 2016 (TFeat), the anchor swap; TripletMarginLoss of pytorch-metric-learning.
    Data: labels.
    Kind: batch statistics; memory block x references, in as many steps as an anchor has positives.
    """

    def rule(scores, positives, negatives, rows_of):
        fixed = jax.lax.stop_gradient((scores, margin))
        slopes, active = swapped_slopes(fixed[0], positives, negatives, fixed[1], rows_of)
        return _mean_and_count(jnp.sum(slopes * scores, axis=1) + margin * active, active)

    return over_positive_pairs(
        rule,
        embeddings,
        labels,
        similarity=similarity,
        where=where,
        axis_name=axis_name,
        block=block,
    )


def _hardest_gap(scores, positives, where):
    negatives = where & ~positives
    gaps = masked.max(scores, negatives) - masked.min(scores, positives)
    return gaps, positives.any(axis=1) & negatives.any(axis=1)


def _mean_and_count(sums, count):
    return sums / jnp.maximum(count, 1), count


def _triplets(positives, negatives, dtype):
    """How many triplets a row has; not in integers, which a large batch overflows."""
    return positives.sum(axis=1, dtype=dtype) * negatives.sum(axis=1, dtype=dtype)
