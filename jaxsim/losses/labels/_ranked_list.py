"""Ranked list loss.

embeddings [batch, dim], labels [batch] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import masked
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.numerics.types import Array, Numeric, RuleResult
from jaxsim.similarity import negative_unit_euclidean


@over_labels(similarity=negative_unit_euclidean)
def ranked_list(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    margin: Numeric,
    negative_sharpness: Numeric,
    positive_sharpness: Numeric = 0.0,
    imbalance: Numeric = 0.5,
    eps: Numeric = 1e-5,
) -> RuleResult:
    """Ranked list loss: positives into one ball, negatives out of a larger one, the worst violations first.

        A = 1 + margin / 2
        value_i = (1 - imbalance) sum w_ij (D_ij - A + margin) / sum w_ij
                        over positives with D_ij > A - margin, w_ij = exp(Tp (D_ij - A + margin))
                + imbalance sum w_ij (A - D_ij) / sum w_ij
                        over negatives with D_ij < A,          w_ij = exp(Tn (A - D_ij))

    Each sum of weights has n * eps added, n the examples that take part. The weights carry
    gradient, so that a pair may be weighted against the direction that it is pulled in. Counts all
    anchors. A negative at distance 0 counts, though pytorch-metric-learning leaves it out.

    Args:
      margin: between the two balls, m in the paper; 0.4 there.
      negative_sharpness: Tn in the paper, which calls it a temperature; it multiplies. 10 there.
      positive_sharpness: Tp, the same for positives; 0 weights them equally.
      imbalance: the share of the negatives' side, 0 to 1.
      eps: pytorch-metric-learning's guard; 0 is the paper.

    Source: Wang et al. 2019 (1903.03238), with RankedListLoss of pytorch-metric-learning for Tp and
    eps.
    Data: labels.
    """
    too_far, too_near = -scores - 1 + margin / 2, 1 + margin / 2 + scores
    floor = jnp.log(eps * (1 + where.sum(axis=1, keepdims=True, dtype=scores.dtype)))
    far = positives & ~(too_far <= 0)
    near = where & ~positives & ~(too_near <= 0)
    values = (1 - imbalance) * _weighted_mean(too_far, far, positive_sharpness, floor)
    values += imbalance * _weighted_mean(too_near, near, negative_sharpness, floor)
    return values, jnp.ones_like(values)


def _weighted_mean(terms, where, sharpness, floor):
    """sum exp(sharpness * terms) terms / (sum exp(sharpness * terms) + exp(floor)), safely."""
    top = masked.max(jax.lax.stop_gradient(terms), where, keepdims=True)
    logits = sharpness * (terms - top)  # first the difference: large products lose its digits
    total = jnp.logaddexp(log_sum_exp(logits, where)[:, None], floor - sharpness * top)
    return jnp.sum(jnp.exp(jnp.where(where, logits - total, -jnp.inf)) * terms, axis=1)
