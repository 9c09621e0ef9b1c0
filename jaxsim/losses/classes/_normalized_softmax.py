"""Softmax classification by the angle to a vector per class.

embeddings [batch, dim], labels [batch], class_weights [classes, dim] -> loss
"""

import jax.numpy as jnp

from jaxsim.losses._lift._classes import over_classes
from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array, Numeric, RuleResult


@over_classes
def normalized_softmax(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 0.05
) -> RuleResult:
    """Normalized softmax: softmax classification on cosines, in nats.

        value_i = log sum_c exp(cos(x_i, w_c) / temperature) - cos(x_i, w_{y_i}) / temperature

    Counts all examples.

    Args:
      temperature: divides the cosines, > 0; may be traced.

    Source: Zhai and Wu 2019 (1811.12649), the normalized softmax and its temperature.
    Data: labels.
    """
    return eased_softmax(lambda cosines: cosines, scores, positives, where, temperature)


def eased_softmax(eased, scores, positives, where, temperature, sizes=None):
    """The rule of a softmax in which the right class's score is made harder.

        value_i = log sum_c exp(size_ic t_ic / temperature) - size_iy t_iy / temperature,
        t_ic = s_ic, and eased(s_iy) for the right class y

    Args:
      eased: scores of the right class [rows] -> what replaces them.
      scores, positives, where: [rows, classes].
      temperature: > 0; may be traced.
      sizes: [rows, classes], multiply the scores; or None.
    """
    checks.positive("temperature", temperature)
    right = eased(masked.sum(scores, positives))
    if sizes is not None:
        scores, right = scores * sizes, right * masked.sum(sizes, positives)
    logits = jnp.where(positives, right[:, None], scores) / temperature
    return masked.log_sum_exp(logits, where) - right / temperature, positives.any(axis=1)
