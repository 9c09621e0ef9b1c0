"""Lifted structure losses: a positive pair against all the negatives of both its ends.

    embeddings [batch, dim], labels [batch] -> loss

D_ij is the Euclidean distance between rows of norm 1, the rules' scores are -D_ij, unless a loss says
otherwise.
"""

import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import checks, masked
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.numerics.types import Array, Numeric, RuleResult
from jaxsim.similarity import negative_unit_euclidean


def _negatives_of_a_row(scores, positives, where, *, negative_margin=1.0):
    """log sum_{k in negatives_i} exp(negative_margin - D_ik), of every row: the first pass."""
    # Not -inf for a row without negatives: two of them in one log-add give a NaN slope.
    values = log_sum_exp(negative_margin + scores, where & ~positives, empty=masked.NOTHING)
    return values, jnp.ones_like(values)


@over_labels(similarity=negative_unit_euclidean, first=_negatives_of_a_row)
def lifted_structure(
    scores: Array,
    positives: Array,
    where: Array,
    mine: Array,
    theirs: Array,
    *,
    positive_margin: Numeric = 0.0,
    negative_margin: Numeric = 1.0,
) -> RuleResult:
    """Lifted structure loss: each positive pair against the negatives of both its ends, squared.

        J_ij = D_ij - positive_margin + log(sum_{k in negatives_i} exp(negative_margin - D_ik)
                                          + sum_{k in negatives_j} exp(negative_margin - D_jk))
        the mean over positive pairs of [J_ij]+^2 / 2

    Counts positive pairs in both directions; one whose ends have no negatives is a 0 in the mean.

    Args:
      positive_margin: subtracted from the distance of positives.
      negative_margin: the distance beyond which a negative hardly counts.

    Source: Oh Song et al. 2016 (1511.06452), equation 4, on unit rows as pytorch-metric-learning has
    it.
    Data: labels.
    Memory: block x references, walked twice.
    """
    costs = jnp.maximum(-scores - positive_margin + jnp.logaddexp(mine, theirs), 0)
    return masked.mean(jnp.square(costs) / 2, positives), positives.sum(axis=1)


@over_labels(similarity=negative_unit_euclidean)
def generalized_lifted_structure(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    positive_margin: Numeric = 0.0,
    negative_margin: Numeric = 1.0,
) -> RuleResult:
    """Generalized lifted structure: an anchor's farthest positives against its nearest negatives, softly.

        value_i = [log sum_{positives_i} exp(D_ij - positive_margin)
                   + log sum_{negatives_i} exp(negative_margin - D_ij)]+

    Counts all anchors; a side without pairs gives 0.

    Args:
      positive_margin: subtracted from the distance of positives.
      negative_margin: the distance beyond which a negative hardly counts.

    Source: Hermans et al. 2017 (1703.07737), their generalization of the lifted loss; margins of
    pytorch-metric-learning.
    Data: labels.
    """
    pulls = log_sum_exp(-scores - positive_margin, positives)
    pushes = log_sum_exp(negative_margin + scores, where & ~positives)
    values = jnp.maximum(pulls + pushes, 0)
    return values, jnp.ones_like(values)


@over_labels
def cosine_lifted_structure(
    scores: Array, positives: Array, where: Array, *, alpha: Numeric = 40.0, beta: Numeric = 2.0
) -> RuleResult:
    """Lifted structure on cosines: the generalized form without a hinge, weighted by relative similarity.

        value_i = 2 / beta  log sum_{positives_i} exp(-beta S_ij)
                + 2 / alpha log sum_{negatives_i} exp(alpha S_ij)

    Counts all anchors; a side without pairs gives 0. The value may be negative.

    Args:
      alpha: sharpness among negatives, > 0.
      beta: sharpness among positives, > 0.

    Source: the lifted structure loss in the released code of the first author of Wang et al. 2019
    (1904.06627), with its values.
    Data: labels.
    """
    checks.positive("alpha", alpha)
    checks.positive("beta", beta)
    pulls = 2 / beta * log_sum_exp(-beta * scores, positives)
    pushes = 2 / alpha * log_sum_exp(alpha * scores, where & ~positives)
    return pulls + pushes, jnp.ones_like(pulls)
