"""Circle loss.

embeddings [batch, dim], labels [batch] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import checks
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.numerics.types import Array, Numeric, RuleResult


@over_labels
def circle(
    scores: Array, positives: Array, where: Array, *, margin: Numeric = 0.4, gamma: Numeric = 80.0
) -> RuleResult:
    """Circle loss: each pair is weighted by how far its similarity is from its optimum.

        value_i = log(1 + sum_{positives_i} exp(-gamma a_ij (S_ij - 1 + margin))
                        * sum_{negatives_i} exp( gamma b_ij (S_ij - margin)))
        a_ij = [1 + margin - S_ij]+,  b_ij = [S_ij + margin]+, both without gradient

    Counts the anchors that have a positive and a negative.

    Args:
      margin: positives aim above 1 - margin, negatives below margin.
      gamma: multiplies the cosines, > 0: the inverse of a temperature. The paper has 0.25 and 256 for
        faces, 0.4 and 80 elsewhere.

    Source: Sun et al. 2020 (2002.10857), the circle loss with its self-paced weights.
    Data: labels.
    """
    checks.positive("gamma", gamma)
    fixed, negatives = jax.lax.stop_gradient(scores), where & ~positives
    pulls = -gamma * jnp.maximum(1 + margin - fixed, 0) * (scores - 1 + margin)
    pushes = gamma * jnp.maximum(fixed + margin, 0) * (scores - margin)
    values = jax.nn.softplus(log_sum_exp(pulls, positives) + log_sum_exp(pushes, negatives))
    return values, positives.any(axis=1) & negatives.any(axis=1)
