"""Classification by regression of the cosines.

embeddings [batch, dim], labels [batch], class_weights [classes, dim] -> loss
"""

import jax.numpy as jnp

from jaxsim.losses._lift._classes import over_classes
from jaxsim.numerics import masked
from jaxsim.numerics.types import Array, RuleResult


@over_classes
def p2s_grad(scores: Array, positives: Array, where: Array) -> RuleResult:
    """P2SGrad: the squared error of the cosines, 1 for the right class and 0 for all others.

        value_i = 1/2 sum_c (cos(x_i, w_c) - [c = y_i])^2

    It is softmax classification's gradient with the cosines themselves for probabilities: its slope along
    a cosine is cos(x_i, w_c) - [c = y_i], where the softmax on cosines has p_ic - [c = y_i]. There is no
    temperature. Counts all examples.

    Source: Zhang et al. 2019 (1905.02479), equation 11, which gives the gradient alone.
    Data: labels.
    """
    return masked.sum(jnp.square(scores - positives) / 2, where), positives.any(axis=1)
