"""InfoNCE with several positives, each against the negatives alone.

queries [batch, dim], documents [batch, dim] -> loss
"""

import functools

import jax

from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.losses.labels._nt_xent import nt_xent, nt_xent_in_ring
from jaxsim.numerics.types import Array, Numeric


def _of_anchors_in_ring(walk, *, temperature=0.1):
    values, pairs = nt_xent_in_ring(walk, temperature=temperature)
    return values, pairs > 0


@over_pairs(ring=functools.partial(nt_xent_in_ring, temperature=0.1))
def pair_info_nce(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 0.1
) -> tuple[jax.Array, jax.Array]:
    """Decoupled InfoNCE: each positive of a query against the negatives alone, averaged over the pairs.

        value_ip = log( exp(s_ip / temperature) + sum_{negatives_i} exp(s_in / temperature) )
                 - s_ip / temperature

    `nt_xent` on pairs. Counts positive pairs; one without negatives is a 0 in the mean.

    Args:
      temperature: divides the scores, > 0; may be traced.

    Source: Hydra (2410.18200), the decoupled loss of its released code, on explicit pairs.
    Data: pairs, pairs with negatives.
    """
    return nt_xent.rule(scores, positives, where, temperature=temperature)


@over_pairs(ring=_of_anchors_in_ring)
def anchor_info_nce(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 0.1
) -> tuple[jax.Array, jax.Array]:
    """Decoupled InfoNCE averaged over each query's positives first: every query has the same weight.

        value_i = mean_{p in positives_i} of log( exp(s_ip / temperature)
                    + sum_{negatives_i} exp(s_in / temperature) ) - s_ip / temperature

    Counts the queries that have a positive.

    Args:
      temperature: divides the scores, > 0; may be traced.

    Source: Hydra (2410.18200), the average per anchor of its later code.
    Data: pairs, pairs with negatives.
    """
    values, pairs = nt_xent.rule(scores, positives, where, temperature=temperature)
    return values, pairs > 0
