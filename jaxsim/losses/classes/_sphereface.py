"""Softmax classification with a multiplied angle to the right class: L-Softmax and SphereFace.

    embeddings [batch, dim], labels [batch], class_weights [classes, dim] -> loss

No arc cosine is taken, which has no slope at 1 and no value beyond: cos(m a) is computed from cos(a).
"""

import math

import jax.numpy as jnp

from jaxsim.losses._lift._classes import over_classes
from jaxsim.losses.classes._normalized_softmax import eased_softmax
from jaxsim.numerics import checks
from jaxsim.numerics._norms import safe_norm
from jaxsim.numerics.types import Array, Numeric, RuleResult


@over_classes(inputs={"norms": lambda rows, classes: safe_norm(rows)[:, None]})
def sphereface(
    scores: Array,
    positives: Array,
    where: Array,
    norms: Array,
    *,
    margin: int = 4,
    temperature: Numeric = 1.0,
) -> RuleResult:
    """SphereFace: `large_margin_softmax` with the class weights scaled to norm 1.

        logits |x_i| cos(x_i, w_c) / temperature, and for the right class |x_i| psi(angle_i) / temperature
        psi(angle) = (-1)^k cos(margin angle) - 2 k for angle in [k, k + 1] pi / margin

    The embeddings keep their norm. Counts all examples. The paper mixes psi with
    the plain cosine early in training; that schedule is yours.

    Args:
      margin: a whole number from 1; 4 is the paper.
      temperature: divides the logits, > 0; 1 is the paper. May be traced.

    Source: Liu et al. 2017 (1704.08063), equation 7.
    Data: labels.
    """
    norms = jnp.broadcast_to(norms, scores.shape)
    return eased_softmax(_times(margin), scores, positives, where, temperature, norms)


@over_classes(inputs={"norms": lambda rows, classes: safe_norm(rows)[:, None] * safe_norm(classes)})
def large_margin_softmax(
    scores: Array,
    positives: Array,
    where: Array,
    norms: Array,
    *,
    margin: int = 4,
    temperature: Numeric = 1.0,
) -> RuleResult:
    """Large-margin softmax: softmax classification with the angle to the right class multiplied, in nats.

        logits |x_i| |w_c| cos(x_i, w_c) / temperature,
        and for the right class |x_i| |w_c| psi(angle_i) / temperature
        psi(angle) = (-1)^k cos(margin angle) - 2 k for angle in [k, k + 1] pi / margin

    Embeddings and class weights keep their norms; without the margin it is the plain softmax. Counts
    all examples. A zero vector has slope 0. The paper mixes psi with the plain
    cosine early in training; that schedule is yours.

    Args:
      margin: a whole number from 1; the paper tries 2 to 4, 4 is pytorch-metric-learning.
      temperature: divides the logits, > 0; 1 is the paper. May be traced.

    Source: Liu et al. 2016 (1612.02295), equation 6.
    Data: labels.
    """
    return eased_softmax(_times(margin), scores, positives, where, temperature, norms)


def _times(margin):
    """psi of cos(angle)."""
    checks.whole("margin", margin)

    def times(cosines):
        # cos(0 angle) and cos(1 angle), then each next one from the last two.
        before, last = jnp.ones_like(cosines), cosines
        for _ in range(margin - 1):
            before, last = last, 2 * cosines * last - before
        passed = sum((cosines < math.cos(j * math.pi / margin)) * 1 for j in range(1, margin))
        return jnp.where(passed % 2 == 1, -last, last) - 2 * passed

    return times
