"""Supervised contrastive loss on the labels of a regression: ages, scores.

    embeddings [batch, dim], labels float [batch] -> loss

Views are rows: concatenate both views of a batch and repeat its labels, in any order.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import checks, masked
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.numerics.types import Array, Numeric, RuleResult


def label_distances(mine, theirs):
    """sum_c |y_ic - y_jc|, [rows, references], of labels [rows] and [references] or with a last axis c."""
    distances = jnp.abs(mine[:, None] - theirs[None])
    return distances.sum(axis=tuple(range(2, distances.ndim)))


def linear_weight(distances: Array) -> jax.Array:
    """1 + d: what is farther in its label pushes harder.

    Data: numbers.
    Kind: part; memory that of its argument.
    """
    return 1 + distances


def quadratic_weight(distances: Array) -> jax.Array:
    """1 + d^2.

    Data: numbers.
    Kind: part; memory that of its argument.
    """
    return 1 + jnp.square(distances)


@over_labels(inputs={"distances": label_distances})
def regression_supervised_contrastive(
    scores: Array,
    positives: Array,
    where: Array,
    distances: Array,
    *,
    temperature: Numeric = 0.5,
    distance_weight: Callable[[jax.Array], jax.Array] | None = None,
    label_scale: Numeric = 1.0,
) -> RuleResult:
    """Supervised contrastive loss on labels of a regression: equal labels are positives.

        value_i = log sum_{j in where_i} w(d_ij) exp(s_ij / temperature)
                - mean_{j in positives_i} s_ij / temperature,   d_ij = |y_i - y_j| / label_scale

    Equality is exact: round the labels to bins, or give `same`, such as
    `lambda a, b: abs(a[:, None] - b) <= 0.5`. Counts the anchors that have a positive.

    Args:
      temperature: divides the scores, > 0.
      distance_weight: w, a function of label distances; None is 1 everywhere, the published baseline,
        `linear_weight` its distance-magnifying form.
      label_scale: the width of a bin, > 0: labels are divided by it.

    Source: the supervised contrastive loss of Khosla et al. 2020 (2004.11362) on regression labels, as
    the baseline of Wu et al. 2023 (2309.16633).
    Data: numbers.
    """
    checks.positive("temperature", temperature)
    checks.positive("label_scale", label_scale)
    logits = scores / temperature
    weighted = logits
    if distance_weight is not None:
        weighted = logits + jnp.log(distance_weight(distances / label_scale))
    values = log_sum_exp(weighted, where) - masked.mean(logits, positives)
    return values, positives.any(axis=1)
