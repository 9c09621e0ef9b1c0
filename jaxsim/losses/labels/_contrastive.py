"""Losses on pairs, each weighed by its own score alone: contrastive and its kin.

    embeddings [batch, dim], labels [batch] -> loss

In the terms of general pair weighting (Wang et al. 2019) these look at self-similarity; _multi_similarity.py
has those that weigh a pair by its neighbors. D_ij is the Euclidean distance between rows of norm 1,
the rules' scores are -D_ij, unless a loss says otherwise.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks, masked
from jaxsim.numerics._reductions import mean
from jaxsim.similarity import cosine, negative_noise_to_signal, negative_unit_euclidean


@over_labels(similarity=negative_unit_euclidean)
def contrastive(scores, positives, where, *, positive_margin=0.0, negative_margin=1.0):
    """Pulls positives nearer than one distance and pushes negatives beyond another, not squared.

        mean of [D_ij - positive_margin]+ over the positive pairs where it is > 0
        + mean of [negative_margin - D_ij]+ over the negative pairs where it is > 0

    Counts the pairs that still violate their margin, on each side apart: the loss need not fall as
    pairs become satisfied. `contrastive_mean` counts all pairs. On a similarity S instead of -D, the
    margins change sign: similarity=cosine, positive_margin=-1, negative_margin=-0.5. With -0.9 and -0.5
    that is the threshold-consistent margin, meant beside another loss.

    Args:
      positive_margin: the distance within which a positive costs nothing.
      negative_margin: the distance beyond which a negative costs nothing.

    Source: ContrastiveLoss of pytorch-metric-learning, after Hadsell et al. 2006; on cosines Zhang et al.
    2023 (2307.04047), the threshold-consistent margin.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    too_far, too_near = -scores - positive_margin, negative_margin + scores
    return [_of_active(too_far, positives), _of_active(too_near, where & ~positives)]


@over_labels(similarity=negative_unit_euclidean)
def contrastive_mean(scores, positives, where, *, positive_margin=0.0, negative_margin=1.0):
    """`contrastive` with every pair counted: a satisfied pair is a 0 in the mean.

        mean over positive pairs of [D_ij - positive_margin]+
        + mean over negative pairs of [negative_margin - D_ij]+

    Args:
      positive_margin: the distance within which a positive costs nothing.
      negative_margin: the distance beyond which a negative costs nothing.

    Source: ContrastiveLoss of pytorch-metric-learning with its mean reducer.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    negatives = where & ~positives
    too_far = jnp.maximum(-scores - positive_margin, 0)
    too_near = jnp.maximum(negative_margin + scores, 0)
    return [
        (masked.mean(too_far, positives), positives.sum(axis=1)),
        (masked.mean(too_near, negatives), negatives.sum(axis=1)),
    ]


@over_labels(similarity=negative_unit_euclidean)
def contrastive_squared(scores, positives, where, *, margin=1.0):
    """The classic contrastive loss: half the square of the distance, or of what it lacks to the margin.

        mean over all pairs of  D_ij^2 / 2             for positives
                                [margin - D_ij]+^2 / 2 for negatives

    Rows are scaled to norm 1, as in the rest of the family; the paper takes them as they are, which is
    similarity=negative_euclidean.

    Args:
      margin: the distance beyond which a negative costs nothing.

    Source: Hadsell et al. 2006, equation 4.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    costs = jnp.where(positives, scores, jnp.maximum(margin + scores, 0))
    return masked.mean(jnp.square(costs) / 2, where), where.sum(axis=1)


@over_labels
def cosine_contrastive(scores, positives, where, *, threshold=0.5):
    """Contrastive on cosines: pulls every positive, pushes the negatives above a threshold, all alike.

        value_i = sum_{positives_i} (1 - S_ij) + sum_{negatives_i, S_ij > threshold} S_ij

    Every pair that takes part has slope 1. The value jumps where a negative passes the threshold; the
    slope is that of [S_ij - threshold]+. Counts all anchors.

    Args:
      threshold: the cosine up to which a negative costs nothing.

    Source: Wang et al. 2019 (1904.06627), the contrastive loss as their general pair weighting reads
    it, and its first author's released code.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    pushed = where & ~positives & ~(scores <= threshold)
    values = masked.sum(1 - scores, positives) + masked.sum(scores, pushed)
    return values, jnp.ones_like(values)


@over_labels(similarity=negative_noise_to_signal)
def snr_contrastive(scores, positives, where, *, positive_margin=0.0, negative_margin=1.0):
    """`contrastive` on the noise-to-signal distance, which is not symmetric.

        D_ij = var(u_i - u_j) / var(u_i)

    Counts the pairs that still violate their margin, on each side apart.

    Args:
      positive_margin: the distance within which a positive costs nothing.
      negative_margin: the distance beyond which a negative costs nothing.

    Source: Yuan et al. 2019 (1904.02616), their contrastive loss without the penalty on means.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    return contrastive.rule(
        scores,
        positives,
        where,
        positive_margin=positive_margin,
        negative_margin=negative_margin,
    )


@over_labels
def binomial_deviance(scores, positives, where, *, alpha=2.0, beta=40.0, base=0.5):
    """Logistic regression of "same class" on the cosine, each side with its own steepness.

        value_i = mean_{positives_i} log(1 + exp(alpha (base - S_ij)))
                + mean_{negatives_i} log(1 + exp(beta (S_ij - base)))

    Counts all anchors; a side without pairs gives 0.

    Args:
      alpha: steepness for positives, > 0.
      beta: steepness for negatives, > 0.
      base: the cosine where both are even.

    Source: Yi et al. 2014 (1407.4979), in the form and with the values of Wang et al. 2019.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    pulls = masked.mean(jax.nn.softplus(alpha * (base - scores)), positives)
    pushes = masked.mean(jax.nn.softplus(beta * (scores - base)), where & ~positives)
    return pulls + pushes, jnp.ones_like(pulls)


@over_labels(
    similarity=negative_unit_euclidean,
    inputs={"anchor_labels": lambda mine, theirs: mine[:, None]},
)
def margin(scores, positives, where, anchor_labels=None, *, beta=1.2, margin=0.2):
    """Positives within beta - margin, negatives beyond beta + margin, over all triplets.

        sum over (i, p, n) of [D_ip - beta + margin]+ + [beta - D_in + margin]+
        / how many of these terms are > 0

    A positive pair stands in as many triplets as its anchor has negatives, and the other way round:
    no triplet is built. With `mined(margin, distance_weighted_negatives)` it is the paper's. A learned
    beta wants a penalty: add nu * beta yourself.

    Args:
      beta: the boundary between the two: a number, or [classes] with labels as places in it.
      margin: half the width of the band around it.

    Source: Wu et al. 2017 (1706.07567), section 4.2; the divisor is pytorch-metric-learning's.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    beta = checks.reals("beta", beta).astype(scores.dtype)
    if beta.ndim > 1:
        raise ValueError(f"beta must be a number or [classes], got shape {beta.shape}")
    if beta.ndim:  # a label that is not a place in it gives NaN, not another class's boundary
        checks.integers("labels, places in beta,", anchor_labels)
        places = jnp.where(anchor_labels < 0, len(beta), anchor_labels)  # not from the end
        beta = beta.at[places].get(mode="fill")
    negatives = where & ~positives
    too_far, far = _of_active(-scores - beta + margin, positives)
    too_near, near = _of_active(beta + scores + margin, negatives)
    far = (far * negatives.sum(axis=1)).astype(scores.dtype)
    near = (near * positives.sum(axis=1)).astype(scores.dtype)
    count = far + near
    return (far * too_far + near * too_near) / jnp.maximum(count, 1), count


@checked
def intra_pair_variance(
    embeddings,
    labels,
    *,
    positive_slack=0.01,
    negative_slack=0.01,
    similarity=cosine,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
):
    """How far positives fall below their mean cosine, and negatives rise above theirs, squared.

        mean over positive pairs of [(1 - positive_slack) m_P - S_ij]+^2
        + mean over negative pairs of [S_ij - (1 + negative_slack) m_N]+^2

    m_P and m_N are the means of S over the positive and the negative pairs of the whole batch, and
    carry gradient. Where a mean is negative its slack moves the threshold the other way. Meant beside
    another loss (`tuplet_margin` in the paper).

    Args:
      embeddings: [batch, dim].
      labels: int [batch].
      positive_slack: the share of m_P that a positive may lie below it.
      negative_slack: the share of m_N that a negative may lie above it.
      similarity, where, weights, axis_name, block: as in `contrastive`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `contrastive`.
    Source: Yu and Tao 2019, the intra-pair variance loss beside their tuplet margin loss.
    Data: labels.
    Kind: pairwise; memory block x references, walked twice.
    """
    shared = {
        "similarity": similarity,
        "where": where,
        "weights": weights,
        "axis_name": axis_name,
        "block": block,
    }
    parts = _pair_means(embeddings, labels, reduce_fn=None, **shared)
    mean_positive, mean_negative = (mean(*part, axis_name) for part in parts)
    return _deviations(
        embeddings,
        labels,
        low=(1 - positive_slack) * mean_positive,
        high=(1 + negative_slack) * mean_negative,
        **shared,
    )


@over_labels
def _pair_means(scores, positives, where):
    negatives = where & ~positives
    return [
        (masked.mean(scores, positives), positives.sum(axis=1)),
        (masked.mean(scores, negatives), negatives.sum(axis=1)),
    ]


@over_labels
def _deviations(scores, positives, where, *, low, high):
    negatives = where & ~positives
    below = jnp.square(jnp.maximum(low - scores, 0))
    above = jnp.square(jnp.maximum(scores - high, 0))
    return [
        (masked.mean(below, positives), positives.sum(axis=1)),
        (masked.mean(above, negatives), negatives.sum(axis=1)),
    ]


def _of_active(terms, where):
    """The mean of the terms that are > 0 and their count. NaN counts, so that it is not lost."""
    active = where & ~(terms <= 0)
    return masked.mean(terms, active), active.sum(axis=1)
