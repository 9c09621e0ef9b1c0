"""Contrastive losses: each pair is weighted by its own score alone.

    embeddings [batch, dim], labels [batch] -> loss

D_ij is the Euclidean distance between rows of norm 1, the rules' scores are -D_ij, unless a loss says
otherwise.
"""

import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import masked
from jaxsim.numerics.types import Array, Numeric, RuleResult
from jaxsim.similarity import negative_noise_to_signal, negative_unit_euclidean


@over_labels(similarity=negative_unit_euclidean)
def contrastive(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    positive_margin: Numeric = 0.0,
    negative_margin: Numeric = 1.0,
) -> RuleResult:
    """Contrastive loss: pulls positives within one distance, pushes negatives beyond another, not squared.

        mean of [D_ij - positive_margin]+ over the positive pairs where it is > 0
        + mean of [negative_margin - D_ij]+ over the negative pairs where it is > 0

    Counts the pairs that still violate their margin, on each side separately: the loss need not fall as
    pairs become satisfied. `contrastive_mean` counts all pairs. On a similarity S instead of -D, the
    margins change sign: similarity=cosine, positive_margin=-1, negative_margin=-0.5. With -0.9 and -0.5
    that is the threshold-consistent margin, meant to be added to another loss.

    Args:
      positive_margin: the distance within which a positive costs nothing.
      negative_margin: the distance beyond which a negative costs nothing.

    Source: ContrastiveLoss of pytorch-metric-learning, after Hadsell et al. 2006; on cosines Zhang et al.
    2023 (2307.04047), the threshold-consistent margin.
    Data: labels.
    """
    too_far, too_near = -scores - positive_margin, negative_margin + scores
    return [of_active(too_far, positives), of_active(too_near, where & ~positives)]


@over_labels(similarity=negative_unit_euclidean)
def contrastive_mean(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    positive_margin: Numeric = 0.0,
    negative_margin: Numeric = 1.0,
) -> RuleResult:
    """Mean contrastive loss: `contrastive` with every pair counted, a satisfied one as a 0 in the mean.

        mean over positive pairs of [D_ij - positive_margin]+
        + mean over negative pairs of [negative_margin - D_ij]+

    Args:
      positive_margin: the distance within which a positive costs nothing.
      negative_margin: the distance beyond which a negative costs nothing.

    Source: ContrastiveLoss of pytorch-metric-learning with its mean reducer.
    Data: labels.
    """
    negatives = where & ~positives
    too_far = jnp.maximum(-scores - positive_margin, 0)
    too_near = jnp.maximum(negative_margin + scores, 0)
    return [
        (masked.mean(too_far, positives), positives.sum(axis=1)),
        (masked.mean(too_near, negatives), negatives.sum(axis=1)),
    ]


@over_labels(similarity=negative_unit_euclidean)
def contrastive_squared(
    scores: Array, positives: Array, where: Array, *, margin: Numeric = 1.0
) -> RuleResult:
    """Squared contrastive loss, the classic: half the squared distance, or half the squared shortfall from the margin.

        mean over all pairs of  D_ij^2 / 2             for positives
                                [margin - D_ij]+^2 / 2 for negatives

    Rows are scaled to norm 1, as in the rest of the family; the paper takes them as they are, which is
    similarity=negative_euclidean.

    Args:
      margin: the distance beyond which a negative costs nothing.

    Source: Hadsell et al. 2006, equation 4.
    Data: labels.
    """
    costs = jnp.where(positives, scores, jnp.maximum(margin + scores, 0))
    return masked.mean(jnp.square(costs) / 2, where), where.sum(axis=1)


@over_labels
def cosine_contrastive(
    scores: Array, positives: Array, where: Array, *, threshold: Numeric = 0.5
) -> RuleResult:
    """Contrastive loss on cosines: pulls every positive, pushes negatives above a threshold, all equally.

        value_i = sum_{positives_i} (1 - S_ij) + sum_{negatives_i, S_ij > threshold} S_ij

    Every pair that takes part has slope 1. The value jumps where a negative passes the threshold; the
    slope is that of [S_ij - threshold]+. Counts all anchors.

    Args:
      threshold: the cosine up to which a negative costs nothing.

    Source: Wang et al. 2019 (1904.06627), the contrastive loss as their general pair weighting reads
    it, and its first author's released code.
    Data: labels.
    """
    pushed = where & ~positives & ~(scores <= threshold)
    values = masked.sum(1 - scores, positives) + masked.sum(scores, pushed)
    return values, jnp.ones_like(values)


@over_labels(similarity=negative_noise_to_signal)
def snr_contrastive(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    positive_margin: Numeric = 0.0,
    negative_margin: Numeric = 1.0,
) -> RuleResult:
    """SNR contrastive loss: `contrastive` on the noise-to-signal distance, which is not symmetric.

        D_ij = var(u_i - u_j) / var(u_i)

    Counts the pairs that still violate their margin, on each side separately.

    Args:
      positive_margin: the distance within which a positive costs nothing.
      negative_margin: the distance beyond which a negative costs nothing.

    Source: Yuan et al. 2019 (1904.02616), their contrastive loss without the penalty on means.
    Data: labels.
    """
    return contrastive.rule(
        scores,
        positives,
        where,
        positive_margin=positive_margin,
        negative_margin=negative_margin,
    )


def of_active(terms, where: Array):
    """The mean of the terms that are > 0 and their count. NaN counts, so that it is not lost."""
    active = where & ~(terms <= 0)
    return masked.mean(terms, active), active.sum(axis=1)
