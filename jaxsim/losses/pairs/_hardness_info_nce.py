"""InfoNCE with hardness-weighted negatives.

    queries [batch, dim], documents [batch, dim] or [batch, 1 + negatives, dim] -> loss

The exponential of some negatives is multiplied by exp(hardness * s_ij), without gradient.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.losses.pairs._info_nce import info_nce
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Numeric


@over_pairs
def hardness_info_nce(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    hardness: Numeric,
    temperature: Numeric = 0.05,
) -> tuple[jax.Array, jax.Array]:
    """Hardness-weighted InfoNCE: every negative is weighted by its score, in nats.

        value_i = log( sum_{positives_i} exp(s_ij / T) + sum_{negatives_i} exp(s_ij / T + hardness s_ij) )
                - log sum_{positives_i} exp(s_ij / T)

    The weight exp(hardness s_ij) carries no gradient. Counts the queries that have a positive.

    Args:
      hardness: >= 0; 0 is `info_nce`.
      temperature: T, divides the scores, > 0; may be traced.

    Source: MultipleNegativesRankingLoss of sentence-transformers with hardness on all negatives, after
    Lan et al. 2025 (2503.04812).
    Data: pairs, pairs with negatives.
    """
    return _weighted(scores, positives, where, where & ~positives, hardness, temperature)


@over_pairs
def in_batch_hardness_info_nce(
    scores: Array,
    positives: Array,
    where: Array,
    own: Array,
    *,
    hardness: Numeric = 9.0,
    temperature: Numeric = 0.05,
) -> tuple[jax.Array, jax.Array]:
    """Hardness-weighted InfoNCE: the documents of other rows are weighted by their scores, in nats.

        value_i = log( sum_{positives_i} exp(s_ij / T) + sum_{negatives_i} exp(s_ij / T + h_ij s_ij) )
                - log sum_{positives_i} exp(s_ij / T)
        h_ij = hardness if j came with another row, else 0

    A query's own negatives, which come with its row, keep weight 1. Counts the queries that have a
    positive.

    Args:
      hardness: >= 0; 9 is the paper.
      temperature: divides the scores, > 0; may be traced.

    Source: Lan et al. 2025 (2503.04812), equation 5.
    Data: pairs, pairs with negatives.
    """
    return _weighted(scores, positives, where, where & ~positives & ~own, hardness, temperature)


@over_pairs
def hard_negative_hardness_info_nce(
    scores: Array,
    positives: Array,
    where: Array,
    own: Array,
    *,
    hardness: Numeric = 5.0,
    temperature: Numeric = 0.05,
) -> tuple[jax.Array, jax.Array]:
    """Hardness-weighted InfoNCE: only a query's own negatives are weighted by their scores, in nats.

        value_i = log( sum_{positives_i} exp(s_ij / T) + sum_{negatives_i} exp(s_ij / T + h_ij s_ij) )
                - log sum_{positives_i} exp(s_ij / T)
        h_ij = hardness if j came with row i, else 0

    Documents of other rows keep weight 1; without own negatives it is `info_nce`. Counts the queries
    that have a positive.

    Args:
      hardness: >= 0; 5 is the paper.
      temperature: divides the scores, > 0; may be traced.

    Source: Schechter Vera et al. 2025 (2509.20354), the hardness weights of EmbeddingGemma.
    Data: pairs with negatives.
    """
    return _weighted(scores, positives, where, where & ~positives & own, hardness, temperature)


def _weighted(scores, positives, where, chosen, hardness, temperature):
    checks.positive("temperature", temperature)
    checks.not_negative("hardness", hardness)
    added = jnp.where(chosen, hardness * jax.lax.stop_gradient(scores), 0)
    return info_nce.rule(scores + temperature * added, positives, where, temperature=temperature)
