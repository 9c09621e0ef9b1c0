"""Tuplet margin loss.

embeddings [batch, dim], labels [batch] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import checks, masked
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.numerics.types import Array, Numeric, RuleResult


@over_labels
def tuplet_margin(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    margin: Numeric = 5.73,
    temperature: Numeric = 1 / 64,
) -> RuleResult:
    """Tuplet margin loss: each positive against all negatives in a softmax, with a few degrees of slack.

        value_ip = log(1 + sum_{negatives_i} exp((S_in - cos(angle_ip - margin)) / temperature))

    Counts positive pairs. Within the margin a positive is pushed out: the minimum is at an angle of
    `margin`, which keeps classes from collapsing.

    Args:
      margin: in degrees; 5.73 is the paper's 0.1 radians.
      temperature: divides the cosines, > 0; the inverse of the paper's scale of 64.

    Source: Yu and Tao 2019, the tuplet margin loss.
    Data: labels.
    """
    checks.positive("temperature", temperature)
    angle = jnp.deg2rad(jnp.asarray(margin, scores.dtype))
    # cos(arccos(S) - margin) by the sum formula: no arccos, which is NaN beyond 1 by rounding.
    square = 1 - jnp.square(scores)
    sine = jnp.where(square <= 0, 0, jnp.sqrt(jnp.where(square <= 0, 1, square)))
    eased = scores * jnp.cos(angle) + sine * jnp.sin(angle)
    others = log_sum_exp(scores / temperature, where & ~positives, empty=-jnp.inf)
    terms = jax.nn.softplus(others[:, None] - eased / temperature)
    return masked.mean(terms, positives), positives.sum(axis=1)
