"""SmoothAP: average precision with a sigmoid for each comparison.

embeddings [batch, dim], labels [batch] -> loss
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import EVERY, sharing
from jaxsim.losses._lift._labeled import labeled
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._over_positives import sums_of
from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather
from jaxsim.numerics.types import Array, Numeric, RuleResult


@over_labels
def smooth_ap(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 0.01
) -> RuleResult:
    """SmoothAP: one minus average precision, with a sigmoid for each comparison of two scores.

        value_i = 1 - mean_{j in positives_i} R(i, j; positives_i) / R(i, j; where_i)
        R(i, j; A) = 1 + sum_{k in A, k != j} sigmoid((S_ik - S_ij) / temperature)

    The sigmoid is flat beyond a few temperatures: a positive far down the ranking has no slope. Counts
    the anchors that have a positive. In as many steps as the anchor with the most positives has, each
    O(rows * references).

    Args:
      temperature: divides the differences of scores, > 0; 0.01 is the paper.

    Source: Brown et al. 2020 (2007.12163), equation 6, without the anchor in its own ranking;
    `smooth_ap_with_self` has it.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    checks.positive("temperature", temperature)
    logits = scores / temperature
    none = jnp.zeros((), logits.dtype)
    sums, _ = sums_of(_precision, logits, positives, (positives, where), none)
    count = positives.sum(axis=1)
    return 1 - sums / jnp.maximum(count, 1), count > 0


@sharing(smooth_ap, only=EVERY)
def smooth_ap_with_self(
    embeddings: Array, labels: Array, *, temperature: Numeric = 0.01, **shared: Any
) -> jax.Array:
    """SmoothAP with the anchor in its own ranking, as a positive: the published code's reading.

        value_i = 1 - mean_{j in positives_i or i} R(i, j; positives_i or i) / R(i, j; where_i or i)

    The anchor is first in its ranking, so that the average precision is at least one over the size
    of its class. Counts all anchors.

    Args:
      embeddings: [batch, dim].
      labels: int [batch].
      temperature: as in `smooth_ap`.

    Source: Brown et al. 2020 (2007.12163), the released code.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    axis_name = shared["axis_name"]
    batch = gather(labeled(embeddings, labels, shared["where"], axis_name), axis_name)
    return smooth_ap(
        embeddings,
        labels,
        references=batch.embeddings,
        reference_labels=batch.keys,
        reference_where=batch.where,
        temperature=temperature,
        **shared,
    )


def _precision(scores, masks, number, column, level, live):
    """R(i, j; positives_i) / R(i, j; where_i) of one positive j of every row, of scores in units of 1."""
    positives, where = masks
    # The positive itself is among them, at 1/2, and takes the slope back that it gets here.
    above = jnp.where(where & live, jax.nn.sigmoid(scores - level), 0)
    hits = 0.5 + jnp.sum(above, axis=1, where=positives, keepdims=True)
    rank = 0.5 + jnp.sum(above, axis=1, keepdims=True)
    slope = above * (1 - above) * (rank * positives - hits) / jnp.square(rank)
    value = jnp.where(live, hits / rank, 0)[:, 0]
    return slope, jnp.sum(slope, axis=1), value, jnp.zeros_like(value)
