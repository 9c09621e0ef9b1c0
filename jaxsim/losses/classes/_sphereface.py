"""Classification where the angle to the right class counts several times: the first angular margins.

    embeddings [batch, dim], labels [batch], class_weights [classes, dim] -> loss

No arc cosine is taken, which has no slope at 1 and no value beyond: cos(m a) is had from cos(a).
"""

import math

import jax.numpy as jnp

from jaxsim.losses._lift._classes import eased_softmax
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics._norms import safe_norm
from jaxsim.numerics._reductions import mean


@checked
def sphereface(
    embeddings,
    labels,
    class_weights,
    *,
    margin=4,
    temperature=1.0,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """`large_margin_softmax` with the class weights scaled to norm 1.

        logits |x_i| cos(x_i, w_c) / temperature, and for the right class |x_i| psi(angle_i) / temperature
        psi(angle) = (-1)^k cos(margin angle) - 2 k for angle in [k, k + 1] pi / margin

    The embeddings keep their norm. Counts all examples. The paper mixes psi with
    the plain cosine early in training; that schedule is yours.

    Args:
      margin: a whole number from 1; 4 is the paper.
      temperature: divides the logits, > 0; 1 is the paper. May be traced.
      the rest: as in `normalized_softmax`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `normalized_softmax`.
    Source: Liu et al. 2017 (1704.08063), equation 7.
    Data: labels.
    Kind: proxies; memory block x classes.
    """
    return eased_softmax(
        _several(margin),
        embeddings,
        labels,
        class_weights,
        temperature=temperature,
        size_of_example=safe_norm,
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


@checked
def large_margin_softmax(
    embeddings,
    labels,
    class_weights,
    *,
    margin=4,
    temperature=1.0,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """Softmax classification where the angle to the right class counts several times, in nats.

        logits |x_i| |w_c| cos(x_i, w_c) / temperature,
        and for the right class |x_i| |w_c| psi(angle_i) / temperature
        psi(angle) = (-1)^k cos(margin angle) - 2 k for angle in [k, k + 1] pi / margin

    Embeddings and class weights keep their norms; without the margin it is the plain softmax. Counts
    all examples. A zero vector has slope 0. The paper mixes psi with the plain
    cosine early in training; that schedule is yours.

    Args:
      margin: a whole number from 1; the paper tries 2 to 4, 4 is pytorch-metric-learning.
      temperature: divides the logits, > 0; 1 is the paper. May be traced.
      the rest: as in `normalized_softmax`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `normalized_softmax`, and for a margin that is no whole number from 1.
    Source: Liu et al. 2016 (1612.02295), equation 6.
    Data: labels.
    Kind: proxies; memory block x classes.
    """
    return eased_softmax(
        _several(margin),
        embeddings,
        labels,
        class_weights,
        temperature=temperature,
        size_of_example=safe_norm,
        size_of_class=safe_norm,
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


def _several(margin):
    """psi of cos(angle)."""
    checks.whole("margin", margin)

    def several(cosines):
        before, times = jnp.ones_like(cosines), cosines  # cos(0 angle), cos(1 angle), and on
        for _ in range(margin - 1):
            before, times = times, 2 * cosines * times - before
        passed = sum((cosines < math.cos(j * math.pi / margin)) * 1 for j in range(1, margin))
        return jnp.where(passed % 2 == 1, -times, times) - 2 * passed

    return several
