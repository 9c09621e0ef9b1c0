"""Contrast for labels that have an order: regression targets, ages, scores.

    embeddings [batch, dim], labels float [batch] -> loss

Views are rows: concatenate both views of a batch and repeat its labels, in any order.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import checks, masked
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.similarity import negative_euclidean

NOTHING = -1e30  # the log of an empty sum; -inf would give a NaN slope where two of them meet


def label_distances(mine, theirs):
    """sum_c |y_ic - y_jc|, [rows, references], of labels [rows] and [references] or with a last axis c."""
    apart = jnp.abs(mine[:, None] - theirs[None])
    return apart.sum(axis=tuple(range(2, apart.ndim)))


def linear_weight(distances):
    """1 + d: what is farther in its label pushes more.

    Data: numbers.
    Kind: part; memory that of its argument.
    """
    return 1 + distances


def quadratic_weight(distances):
    """1 + d^2.

    Data: numbers.
    Kind: part; memory that of its argument.
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
    """
    checks.positive("temperature", temperature)
    checks.positive("label_scale", label_scale)
    logits = scores / temperature
    weighed = logits
    if distance_weight is not None:
        weighed = logits + jnp.log(distance_weight(distances / label_scale))
    values = log_sum_exp(weighed, where) - masked.mean(logits, positives)
    return values, positives.any(axis=1)


def label_order(mine, theirs):
    """The references by their labels: int [references]; None where a label has several numbers."""
    return jnp.argsort(theirs) if theirs.ndim == 1 else None


@over_labels(
    similarity=negative_euclidean, inputs={"distances": label_distances, "order": label_order}
)
def rank_n_contrast(scores, positives, where, distances, order=None, *, temperature=2.0):
    """Each other example against all that are at least as far in their labels.

        value_ij = log sum_{k: d_ik >= d_ij} exp(s_ik / temperature) - s_ij / temperature

    over all pairs, d the distance of labels, s minus the Euclidean distance of embeddings that are not
    normalized. Only the order of the label distances matters. A tie stands in the sum of its twin. In
    O(n log n) for each anchor: labels of one number are sorted once and each anchor's two sides merged,
    labels of several are sorted for each anchor. Counts all pairs.

    Args:
      temperature: divides the scores, > 0; 2 is the paper.

    Source: Zha et al. 2023 (2210.01189), equation 1.
    Data: numbers.
    Kind: pairwise; memory block x references.
    """
    checks.positive("temperature", temperature)
    count = where.sum(axis=1)
    # Farthest labels first: a prefix of this order is a sum's set. What takes no part adds nothing to it.
    logits = jnp.where(where, scores / temperature, NOTHING)
    nearness = -distances.astype(logits.dtype)
    if order is None:
        nearness, logits = jax.lax.sort((nearness, logits), dimension=1, num_keys=1)
    else:
        nearness, logits = _merged(nearness[:, order], logits[:, order])
    kept = ~(logits <= NOTHING)
    sums = _log_cumulative_sums(logits, NOTHING + 0 * count.astype(logits.dtype))
    values = _group_sizes(nearness, kept) * sums - jnp.where(kept, logits, 0)
    return values.sum(axis=1) / jnp.maximum(count, 1), count


def _merged(keys, values):
    """Both by rising keys, of rows whose keys rise and then fall: log2(references) exchanges of halves."""
    rows, size = keys.shape
    whole = 1 << (max(size, 1) - 1).bit_length()
    keys, values = (
        jnp.pad(a, ((0, 0), (0, whole - size)), constant_values=least)
        for a, least in ((keys, -jnp.inf), (values, NOTHING))
    )
    half = whole // 2
    while half:
        (low, high), (first, second) = (
            jnp.moveaxis(a.reshape(rows, -1, 2, half), 2, 0) for a in (keys, values)
        )
        swap = low > high
        keys = jnp.stack([jnp.minimum(low, high), jnp.maximum(low, high)], axis=2)
        values = jnp.where(swap, second, first), jnp.where(swap, first, second)
        keys, values = (a.reshape(rows, whole) for a in (keys, jnp.stack(values, axis=2)))
        half //= 2
    return keys, values


def _log_cumulative_sums(logits, start):
    """log sum_{k <= j} exp(logits_ik), column by column: less time on CPU than by doubling steps."""

    def step(so_far, column):
        so_far = jnp.logaddexp(so_far, column)
        return so_far, so_far

    return jax.lax.scan(step, start, logits.T)[1].T


def _group_sizes(ranked, kept):
    """At the last entry of each run of equal numbers how many of the run are kept; 0 elsewhere."""
    so_far = jnp.cumsum(kept, axis=1)
    last = jnp.pad(ranked[:, 1:] != ranked[:, :-1], ((0, 0), (0, 1)), constant_values=True)
    ends = jax.lax.cummax(jnp.where(last, so_far, 0), axis=1)
    before = jnp.pad(ends[:, :-1], ((0, 0), (1, 0)))
    return jnp.where(last, so_far - before, 0)
