"""What the temperature of the softmax does to negatives, without it: simple and hard contrastive losses.

    queries [batch, dim], documents [batch, dim] -> loss

The softmax pushes a negative in proportion to exp(score / temperature). The simple loss pushes all
equally, the hard ones push only the nearest.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.pairs._info_nce import info_nce
from jaxsim.numerics import checks, masked
from jaxsim.numerics._kth_largest import kth_largest
from jaxsim.numerics.types import Array, Numeric


@over_pairs
def simple_contrastive(
    scores: Array, positives: Array, where: Array, *, negative_weight=None
) -> tuple[jax.Array, jax.Array]:
    """Pulls the positive and pushes all negatives equally: what InfoNCE is at a large temperature.

        value_i = - mean_{positives_i} s_ij + negative_weight sum_{negatives_i} s_ij

    Counts the queries that have a positive. It ignores which negatives are hard, and does badly; it is
    the control of an experiment.

    Args:
      negative_weight: of every negative; None divides by their number, the limit of `info_nce` for a
        temperature that grows.

    Source: Wang and Liu 2021 (2012.09740), equation 3; the weight that makes it the limit is ours, the
    paper states none.
    Data: pairs, pairs with negatives, unlabeled.
    """
    negatives = where & ~positives
    if negative_weight is None:
        pushes = masked.mean(scores, negatives)
    else:
        pushes = negative_weight * masked.sum(scores, negatives)
    return pushes - masked.mean(scores, positives), positives.any(axis=1)


@over_pairs
def hard_contrastive(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    k: int | None = None,
    fraction: Numeric | None = None,
    temperature: Numeric = 0.3,
) -> tuple[jax.Array, jax.Array]:
    """`info_nce` against the hardest negatives alone: `mined(info_nce, hard_negatives)`.

        value_i = log sum_{j in positives_i or hard_i} exp(s_ij / temperature)
                - log sum_{j in positives_i} exp(s_ij / temperature)

    Counts the queries that have a positive.

    Args:
      k, fraction: how many negatives are hard; one of them, as in `hard_negatives`.
      temperature: divides the scores, > 0; may be traced. The paper tries 0.07 to 1.

    Source: Wang and Liu 2021 (2012.09740), equation 8.
    Data: pairs, pairs with negatives, unlabeled.
    """
    positives, hard = hard_negatives(
        jax.lax.stop_gradient(scores), positives, where, k=k, fraction=fraction
    )
    return info_nce.rule(scores, positives, positives | hard, temperature=temperature)


@over_pairs
def hard_simple_contrastive(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    k: int | None = None,
    fraction: Numeric | None = None,
    negative_weight=None,
) -> tuple[jax.Array, jax.Array]:
    """`simple_contrastive` against the hardest negatives alone: `mined(simple_contrastive, hard_negatives)`.

        value_i = - mean_{positives_i} s_ij + negative_weight sum_{hard_i} s_ij

    Counts the queries that have a positive.

    Args:
      k, fraction: how many negatives are hard; one of them, as in `hard_negatives`.
      negative_weight: of every hard negative; None divides by their number.

    Source: Wang and Liu 2021 (2012.09740), their simple loss over the negatives of equation 8.
    Data: pairs, pairs with negatives, unlabeled.
    """
    positives, hard = hard_negatives(
        jax.lax.stop_gradient(scores), positives, where, k=k, fraction=fraction
    )
    return simple_contrastive.rule(
        scores, positives, positives | hard, negative_weight=negative_weight
    )


@checked
def hard_negatives(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    k: int | None = None,
    fraction: Numeric | None = None,
) -> tuple[jax.Array, jax.Array]:
    """A miner: of an anchor's negatives the k nearest, or the nearest share; all positives.

        a negative j stays if s_ij >= the k-th largest score of the anchor's negatives

    All of several that tie with the k-th stay. Where there are fewer than k, all stay.

    Args:
      scores: [rows, references].
      positives, where: bool, of the same shape.
      k: how many, from 1. The paper has 4,095 of 50,000; in a batch that small a share would be few
        negatives, and with C classes 1 / C of them false ones.
      fraction: instead of k, the share of the anchor's own number of negatives, rounded, at least one;
        0.0819 in the paper for CIFAR.

    Returns: (positives, negatives), bool.
    Raises: ValueError unless one of k and fraction is given.
    Source: Wang and Liu 2021 (2012.09740), equation 8; the selection is of Zhuang et al. 2019.
    Data: labels, pairs.
    Kind: miner; memory block x references.
    """
    if (k is None) == (fraction is None):
        raise ValueError(f"give one of k and fraction, got k={k}, fraction={fraction}")
    negatives = where & ~positives
    scores = jax.lax.stop_gradient(scores)
    if k is not None:
        checks.whole("k", k)
    else:
        checks.probability("fraction", fraction)
        k = jnp.round(fraction * negatives.sum(axis=1, keepdims=True)).astype(jnp.int32)
    least = kth_largest(jnp.where(negatives, scores, -jnp.inf), k)
    return positives, negatives & (scores >= least)
