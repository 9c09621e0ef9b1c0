"""Softmax classification with an additive margin for the right class: CosFace and ArcFace.

    embeddings [batch, dim], labels [batch], class_weights [classes, dim] -> loss

No arc cosine is taken, which has no slope at 1 and no value beyond: cos(a + b) is computed from cos(a).
"""

import jax.numpy as jnp

from jaxsim.losses._lift._classes import over_classes
from jaxsim.losses.classes._normalized_softmax import eased_softmax
from jaxsim.numerics.types import Array, Numeric, RuleResult


@over_classes
def cosface(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    margin: Numeric = 0.35,
    temperature: Numeric = 1 / 64,
) -> RuleResult:
    """CosFace: `normalized_softmax` with a margin on the cosine of the right class.

        value_i: cos(x_i, w_{y_i}) - margin in place of cos(x_i, w_{y_i}), in both terms

    Counts all examples. Also known as the additive margin softmax.

    Args:
      margin: in cosine; 0.35 is the paper.
      temperature: divides the cosines, > 0; the inverse of the paper's scale of 64. May be traced.

    Source: Wang et al. 2018 (1801.09414), equation 4.
    Data: labels.
    """
    return eased_softmax(lambda cosines: cosines - margin, scores, positives, where, temperature)


@over_classes
def arcface(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    margin: Numeric = 0.5,
    temperature: Numeric = 1 / 64,
) -> RuleResult:
    """ArcFace: `normalized_softmax` with a margin on the angle to the right class.

        value_i: cos(angle_i + margin) in place of cos(angle_i), in both terms, angle_i to w_{y_i}

    Beyond an angle of pi - margin, where that cosine would rise again, it is cos(angle_i) -
    margin sin(margin), as the authors' code has it. Counts all examples. An
    example on its class's vector has the slope of the cosine part alone.

    Args:
      margin: in radians, 0 to pi; 0.5 is the paper, 28.6 degrees.
      temperature: divides the cosines, > 0; the inverse of the paper's scale of 64. May be traced.

    Source: Deng et al. 2019 (1801.07698), equation 3.
    Data: labels.
    """
    return eased_softmax(
        lambda cosines: at_wider_angle(cosines, margin), scores, positives, where, temperature
    )


def at_wider_angle(cosines, margin):
    """cos(angle + margin) of cos(angle); beyond pi - margin the cosine less margin sin(margin)."""
    square = 1 - jnp.square(cosines)
    sines = jnp.where(square <= 0, 0, jnp.sqrt(jnp.where(square <= 0, 1, square)))
    wider = cosines * jnp.cos(margin) - sines * jnp.sin(margin)
    return jnp.where(cosines > -jnp.cos(margin), wider, cosines - margin * jnp.sin(margin))
