"""Binomial deviance loss.

embeddings [batch, dim], labels [batch] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import masked
from jaxsim.numerics.types import Array, Numeric, RuleResult


@over_labels
def binomial_deviance(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    alpha: Numeric = 2.0,
    beta: Numeric = 40.0,
    base: Numeric = 0.5,
) -> RuleResult:
    """Binomial deviance: logistic regression of "same class" on the cosine, each side with its own steepness.

        value_i = mean_{positives_i} log(1 + exp(alpha (base - S_ij)))
                + mean_{negatives_i} log(1 + exp(beta (S_ij - base)))

    Counts all anchors; a side without pairs gives 0.

    Args:
      alpha: steepness for positives, > 0.
      beta: steepness for negatives, > 0.
      base: the cosine where both are even.

    Source: Yi et al. 2014 (1407.4979), in the form and with the values of Wang et al. 2019.
    Data: labels.
    """
    pulls = masked.mean(jax.nn.softplus(alpha * (base - scores)), positives)
    pushes = masked.mean(jax.nn.softplus(beta * (scores - base)), where & ~positives)
    return pulls + pushes, jnp.ones_like(pulls)
