"""NT-Xent: the normalized temperature-scaled cross-entropy of SimCLR.

embeddings [batch, dim], labels [batch] -> loss
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array, Numeric, RuleResult


def nt_xent_in_ring(walk: Callable, *, temperature: Numeric = 0.07) -> RuleResult:
    """The rule of `nt_xent` as sums over tiles: a first walk for the negatives, a second for the pairs."""
    checks.positive("temperature", temperature)

    def of_negatives(scores, positives, where):
        negatives = where & ~positives
        return (masked.log_sum_exp(scores / temperature, negatives, empty=masked.NOTHING),), ()

    def of_positives(scores, positives, where, others):
        gaps = jnp.where(positives, others - scores / temperature, -jnp.inf)
        return (), (jax.nn.softplus(gaps).sum(axis=1), positives.sum(axis=1, dtype=gaps.dtype))

    (others,), _ = walk(of_negatives)
    _, (costs, count) = walk(of_positives, others)
    return costs / jnp.maximum(count, 1), count


@over_labels(ring=nt_xent_in_ring)
def nt_xent(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 0.07
) -> RuleResult:
    """NT-Xent: every positive pair against the negatives of its anchor, without its other positives.

        value_ip = log( exp(s_ip / temperature) + sum_{negatives_i} exp(s_in / temperature) )
                 - s_ip / temperature

    Counts positive pairs, in both directions; one without negatives is a 0 in the mean.

    Args:
      temperature: divides the scores, > 0.

    Source: Chen et al. 2020 (2002.05709), equation 1, with several positives as NTXentLoss of
    pytorch-metric-learning has it, and its temperature. With one positive each it is
    `supervised_contrastive`.
    Data: labels, unlabeled.
    """
    terms = _against_negatives(scores, positives, where & ~positives, temperature)
    return masked.mean(terms, positives), positives.sum(axis=1)


def _against_negatives(scores, positives, negatives, temperature):
    """The cost of each positive against the negatives: [rows, references], 0 elsewhere."""
    checks.positive("temperature", temperature)
    scores = scores / temperature
    others = masked.log_sum_exp(scores, negatives, empty=-jnp.inf)
    gaps = jnp.where(positives, others[:, None] - scores, -jnp.inf)
    return jax.nn.softplus(gaps)
