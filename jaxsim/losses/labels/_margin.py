"""Margin loss.

embeddings [batch, dim], labels [batch] -> loss
"""

import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses.labels._contrastive import of_active
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Numeric, RuleResult
from jaxsim.similarity import negative_unit_euclidean


@over_labels(
    similarity=negative_unit_euclidean,
    inputs={"anchor_labels": lambda mine, theirs: mine[:, None]},
)
def margin(
    scores: Array,
    positives: Array,
    where: Array,
    anchor_labels: Array | None = None,
    *,
    beta: Numeric = 1.2,
    margin: Numeric = 0.2,
) -> RuleResult:
    """Margin loss: positives within beta - margin, negatives beyond beta + margin, over all triplets.

        sum over (i, p, n) of [D_ip - beta + margin]+ + [beta - D_in + margin]+
        / how many of these terms are > 0

    A positive pair counts in as many triplets as its anchor has negatives, and the other way round:
    no triplet is built. With `mined(margin, distance_weighted_negatives)` it is the paper's. A learned
    beta wants a penalty: add nu * beta yourself.

    Args:
      beta: the boundary between the two: a number, or [classes] with labels as places in it.
      margin: half the width of the band around it.

    Source: Wu et al. 2017 (1706.07567), section 4.2; the divisor is pytorch-metric-learning's.
    Data: labels.
    """
    beta = checks.reals("beta", beta).astype(scores.dtype)
    if beta.ndim > 1:
        raise ValueError(f"beta must be a number or [classes], got shape {beta.shape}")
    if beta.ndim:  # a label that is not a place in it gives NaN, not another class's boundary
        checks.integers("labels, places in beta,", anchor_labels)
        places = jnp.where(anchor_labels < 0, len(beta), anchor_labels)  # not from the end
        beta = beta.at[places].get(mode="fill")
    negatives = where & ~positives
    too_far, far = of_active(-scores - beta + margin, positives)
    too_near, near = of_active(beta + scores + margin, negatives)
    far = (far * negatives.sum(axis=1)).astype(scores.dtype)
    near = (near * positives.sum(axis=1)).astype(scores.dtype)
    count = far + near
    return (far * too_far + near * too_near) / jnp.maximum(count, 1), count
