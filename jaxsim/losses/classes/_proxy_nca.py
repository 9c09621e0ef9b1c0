"""Proxy-NCA: neighborhood components with one learned vector per class for its examples.

embeddings [batch, dim], labels [batch], proxies [classes, dim] -> loss
"""

from jaxsim.losses._lift._classes import over_classes
from jaxsim.losses.labels._nca import nca
from jaxsim.numerics._norms import unit
from jaxsim.numerics.types import Array, Numeric, RuleResult
from jaxsim.similarity import negative_squared_euclidean


def negative_squared_chord(x, y):
    """Minus the squared Euclidean distance after both are scaled to norm 1, in [-4, 0]."""
    return negative_squared_euclidean(unit(x), unit(y))


@over_classes(classes="proxies", similarity=negative_squared_chord)
def proxy_nca(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 1.0
) -> RuleResult:
    """Proxy-NCA: each example picks the proxy of its class, softly the nearest, in nats.

        value_i = log sum_c exp(-|u_i - w_c|^2 / temperature) + |u_i - w_{y_i}|^2 / temperature

    u and w are scaled to norm 1. Counts all examples. All proxies are in the
    denominator; in the paper the example's own is not, and the loss may be negative.

    Args:
      temperature: divides the squared distances, > 0; may be traced.

    Source: Movshovitz-Attias et al. 2017 (1703.07464), as ProxyNCALoss of pytorch-metric-learning.
    Data: labels.
    """
    return nca.rule(scores, positives, where, temperature=temperature)
