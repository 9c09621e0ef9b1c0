"""Behavior of softmax contrastive losses: how the gradient is shared, and how far positives are separated.

scores [rows, references], positives bool [rows, references] -> figures per pair, row or place

A NaN among the scores that count makes the row NaN, and a figure of all rows; elsewhere it has no influence.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._topk import top_k
from jaxsim.numerics.types import Array, Numeric


class Separation(NamedTuple):
    """Local separation: mean scores of an anchor's positives and of its closest negatives, by rank."""

    positive: jax.Array  # scalar
    negatives: jax.Array  # [k], falling

    @property
    def gap(self) -> jax.Array:
        """Mean score of the positives minus that of the closest negative."""
        return self.positive - self.negatives[0]


def gradient_ratio(
    scores: Array, positives: Array, *, temperature: Numeric, where: Array | None = None
) -> jax.Array:
    """Relative gradient of a softmax contrastive loss: each negative's share, per anchor.

        r_ij = |dL/ds_ij| / |dL/ds_i,positive| = exp(s_ij / temperature) / sum over negatives

    A Boltzmann law: it does not depend on the positive's score, and the lower the temperature, the
    more of it falls on the closest negatives.

    Args:
      scores: [rows, references].
      positives: bool [rows, references].
      temperature: divides the scores, > 0; may be traced.
      where: bool [rows, references], False for what is not a pair; None keeps all.

    Returns: [rows, references], 0 outside the negatives; a row with negatives sums to 1.
    Raises: ValueError for shapes that do not fit or a temperature of 0 or less.
    Source: Wang and Liu 2021 (2012.09740), equation 5.
    """
    scores, _, negatives = _pairs(scores, positives, where, temperature)
    return masked.softmax(scores / temperature, negatives)


def ratio_entropy(
    scores: Array, positives: Array, *, temperature: Numeric, where: Array | None = None
) -> jax.Array:
    """Entropy of `gradient_ratio`, in nats: how evenly negatives share the gradient.

    0 for one negative that takes it all, log(negatives) for an even share. It rises with the temperature
    unless all negatives score the same.

    Args:
      scores, positives, temperature, where: as in `gradient_ratio`.

    Returns: [rows]; 0 for a row without negatives.
    Source: Wang and Liu 2021 (2012.09740), section 3.2.
    """
    scores, _, negatives = _pairs(scores, positives, where, temperature)
    scaled = scores / temperature
    mean = masked.sum(
        masked.softmax(scaled, negatives) * jnp.where(negatives, scaled, 0), negatives
    )
    return masked.log_sum_exp(scaled, negatives) - mean


def temperature_gradient(
    scores: Array, positives: Array, *, temperature: Numeric, where: Array | None = None
) -> jax.Array:
    """Gradient of each anchor's softmax loss by the temperature.

        dL_i/dtemperature = (E over positives[s] - E over all[s]) / temperature^2,   E by the softmax

    Above 0 a learnt temperature falls: only anchors whose positive is below the softmax mean raise it.

    Args:
      scores, positives, temperature, where: as in `gradient_ratio`.

    Returns: [rows]; 0 for a row without a positive.
    """
    scores, positives, negatives = _pairs(scores, positives, where, temperature)
    positive_mean, mean = (
        masked.sum(masked.softmax(scores / temperature, mask) * scores, mask)
        for mask in (positives, positives | negatives)
    )
    return jnp.where(positives.any(axis=1), (positive_mean - mean) / temperature**2, 0)


def local_separation(
    scores: Array, positives: Array, *, k: int = 10, where: Array | None = None
) -> Separation:
    """Local separation: mean scores of the positives and of the k closest negatives, by rank.

    Counts the anchors that have a positive and a negative; a place, those with so many negatives.

    Args:
      scores: [rows, references].
      positives: bool [rows, references].
      k: how many of the closest negatives, at most the number of references.
      where: bool [rows, references], False for what is not a pair; None keeps all.

    Returns: `Separation`, with `.gap`; 0 where nothing counts.
    Raises: ValueError for shapes that do not fit.
    Source: Wang and Liu 2021 (2012.09740), section 5.2 and figure 8.
    """
    scores, positives, negatives = _pairs(scores, positives, where, 1.0)
    checks.at_most("k", k, scores.shape[1], "the number of references")
    anchors = positives.any(axis=1) & negatives.any(axis=1)
    positive = masked.mean(masked.mean(scores, positives), anchors)
    closest, _ = top_k(jnp.where(negatives, scores, -jnp.inf), k)
    spoiled = (jnp.isnan(scores) & negatives).any(axis=1, keepdims=True)
    closest = jnp.where(spoiled, jnp.nan, closest)  # of NaN no place in the order is known
    there = anchors[:, None] & (jnp.arange(k) < negatives.sum(axis=1, keepdims=True))
    return Separation(positive, masked.mean(closest, there, axis=0))


def _pairs(scores, positives, where, temperature):
    """Scores, positives and negatives, checked; what is not a pair scores 0."""
    checks.positive("temperature", temperature)
    scores = at_least_float32(checks.reals("scores", scores))
    checks.shaped("scores", scores, (None, None), "one row per anchor")
    positives = checks.given_mask("positives", positives, scores.shape, "one per score")
    where = checks.mask("where", where, scores.shape, "one per score")
    return jnp.where(where, scores, 0), positives & where, where & ~positives
