"""Contrast for labels that have an order: regression targets, ages, scores.

    embeddings [batch, dim], labels float [batch] -> loss

Views are rows: concatenate both views of a batch and repeat its labels, in any order.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses.lifting import over_labels
from jaxsim.numerics import checks, masked
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.similarity import negative_euclidean


def label_distances(mine, theirs):
    """sum_c |y_ic - y_jc|, [rows, references], of labels [rows] and [references] or with a last axis c."""
    apart = jnp.abs(mine[:, None] - theirs[None])
    return apart.sum(axis=tuple(range(2, apart.ndim)))


def linear_weight(distances):
    """1 + d: what is farther in its label pushes more.

    Data: numbers.
    Kind: part; memory that of its argument.
    Peers: none.
    """
    return 1 + distances


def quadratic_weight(distances):
    """1 + d^2.

    Data: numbers.
    Kind: part; memory that of its argument.
    Peers: none.
    """
    return 1 + jnp.square(distances)


@over_labels(inputs={"distances": label_distances})
def regression_supervised_contrastive(
    scores,
    positives,
    where,
    distances,
    *,
    temperature=0.5,
    distance_weight=None,
    label_scale=1.0,
):
    """`supervised_contrastive` on labels of a regression: equal labels are positives.

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
    Kind: pairwise; memory block x references.
    Peers: none.
    """
    checks.positive("temperature", temperature)
    checks.positive("label_scale", label_scale)
    logits = scores / temperature
    weighed = logits
    if distance_weight is not None:
        weighed = logits + jnp.log(distance_weight(distances / label_scale))
    values = log_sum_exp(weighed, where) - masked.mean(logits, positives)
    return values, positives.any(axis=1)


@over_labels(similarity=negative_euclidean, inputs={"distances": label_distances})
def rank_n_contrast(scores, positives, where, distances, *, temperature=2.0):
    """Each other example against all that are at least as far in their labels.

        value_ij = log sum_{k: d_ik >= d_ij} exp(s_ik / temperature) - s_ij / temperature

    over all pairs, d the distance of labels, s minus the Euclidean distance of embeddings that are not
    normalised. Only the order of the label distances matters. A tie stands in the sum of its twin. By
    sorting, in O(n log n) for each anchor. Counts all pairs.

    Args:
      temperature: divides the scores, > 0; 2 is the paper.

    Source: Zha et al. 2023 (2210.01189), equation 1.
    Data: numbers.
    Kind: pairwise; memory block x references.
    Peers: none.
    """
    checks.positive("temperature", temperature)
    logits = jnp.where(where, scores / temperature, 0)
    # Farthest labels first, what takes no part last: a prefix of this order is a sum's set.
    ranked, logits = jax.lax.sort(
        (jnp.where(where, -distances, jnp.inf), logits), dimension=1, num_keys=1
    )
    sums = jax.lax.cumlogsumexp(logits, axis=1)
    values = _group_sizes(ranked) * sums - jnp.where(ranked < jnp.inf, logits, 0)
    count = where.sum(axis=1)
    return values.sum(axis=1) / jnp.maximum(count, 1), count


def _group_sizes(ranked):
    """At the last entry of each run of equal numbers the length of the run; 0 elsewhere and at inf."""
    place = jnp.arange(1, ranked.shape[1] + 1)
    last = jnp.roll(ranked, -1, axis=1) != ranked
    last = last.at[:, -1].set(True)
    ends = jax.lax.cummax(jnp.where(last, place, 0), axis=1)
    before = jnp.pad(ends[:, :-1], ((0, 0), (1, 0)))
    return jnp.where(last & (ranked < jnp.inf), place - before, 0)
