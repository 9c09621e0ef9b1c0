"""Rank-N-Contrast: contrast in the order of label distances.

    embeddings [batch, dim], labels float [batch] -> loss

Views are rows: concatenate both views of a batch and repeat its labels, in any order.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses.numbers._regression_supervised_contrastive import label_distances
from jaxsim.numerics import checks
from jaxsim.numerics.masked import NOTHING
from jaxsim.numerics.types import Array, Numeric, RuleResult
from jaxsim.similarity import negative_euclidean


def label_order(mine, theirs):
    """The references by their labels: int [references]; None where a label has several numbers."""
    return jnp.argsort(theirs) if theirs.ndim == 1 else None


@over_labels(
    similarity=negative_euclidean,
    inputs={"distances": label_distances, "order": label_order},
    layers=8,
)
def rank_n_contrast(
    scores: Array,
    positives: Array,
    where: Array,
    distances: Array,
    order: Array | None = None,
    *,
    temperature: Numeric = 2.0,
) -> RuleResult:
    """Rank-N-Contrast: each other example against all that are at least as far in their labels.

        value_ij = log sum_{k: d_ik >= d_ij} exp(s_ik / temperature) - s_ij / temperature

    over all pairs, d the distance of labels, s minus the Euclidean distance of embeddings that are not
    normalized. Only the order of the label distances matters. Of a tie each is in the sum of the other. In
    O(n log n) for each anchor: labels of one number are sorted once and each anchor's two sides merged,
    labels of several are sorted for each anchor. Counts all pairs.

    Args:
      temperature: divides the scores, > 0; 2 is the paper.

    Source: Zha et al. 2023 (2210.01189), equation 1.
    Data: numbers.
    """
    checks.positive("temperature", temperature)
    count = where.sum(axis=1)
    # Farthest labels first: a prefix of this order is a sum's set. What takes no part adds nothing.
    logits = jnp.where(where, scores / temperature, NOTHING)
    nearness = -distances.astype(logits.dtype)
    if order is None:
        nearness, logits = jax.lax.sort((nearness, logits), dimension=1, num_keys=1)
    else:
        # By rows, as gathering columns has a gradient that takes several times as long on CPU.
        nearness, logits = _merged(*(a.T[order].T for a in (nearness, logits)))
    finite = ~(logits <= NOTHING)
    sums = _log_cumulative_sums(logits, NOTHING + 0 * count.astype(logits.dtype))
    values = _group_sizes(nearness, finite) * sums - jnp.where(finite, logits, 0)
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


def _group_sizes(ranked, finite):
    """At the last entry of each run of equal numbers how many of the run are kept; 0 elsewhere."""
    last = jnp.pad(ranked[:, 1:] != ranked[:, :-1], ((0, 0), (0, 1)), constant_values=True)

    def step(so_far, column):
        is_kept, is_last = column
        so_far += is_kept
        return jnp.where(is_last, 0, so_far), jnp.where(is_last, so_far, 0)

    start = 0 * finite[:, 0].astype(jnp.int32)
    return jax.lax.scan(step, start, (finite.T.astype(jnp.int32), last.T))[1].T
