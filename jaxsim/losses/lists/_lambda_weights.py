"""Pair weights of `lambda_loss`: what the order of two candidates is worth to nDCG.

gains G [candidates], ranks r [candidates] from 1, by scores -> [candidates, candidates]

D(r) = log2(1 + r) is the discount. Weights are symmetric, and carry no gradient in the loss.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Numeric

# (gains, ranks) -> [candidates, candidates].
PairWeights = Callable[[Array, Array], Any]


def lambda_rank_weights(gains: Array, ranks: Array) -> jax.Array:
    """LambdaRank: how much nDCG changes if the two change places, |1 / D(r_j) - 1 / D(r_l)| |G_j - G_l|.

    Args:
      gains: G [candidates], over the max DCG.
      ranks: r [candidates], from 1.

    Returns: [candidates, candidates].
    Source: Burges et al. 2006 (LambdaRank), as Wang et al. 2018 (CIKM) frame it.
    Data: lists.
    Kind: part; memory list x list.
    """
    worth = 1 / discounts(ranks)
    return jnp.abs(worth[:, None] - worth) * _gaps(gains)


def ndcg_loss_2_weights(gains: Array, ranks: Array) -> jax.Array:
    """NDCG-Loss2: a bound on nDCG by the distance of the ranks.

        |1 / D(d) - 1 / D(d + 1)| |G_j - G_l|,    d = |r_j - r_l|

    Args and result as `lambda_rank_weights`.

    Source: Wang et al. 2018 (CIKM), NDCG-Loss2.
    Data: lists.
    Kind: part; memory list x list.
    """
    steps = jnp.maximum(jnp.abs(ranks[:, None] - ranks), 1)
    return (1 / discounts(steps) - 1 / discounts(steps + 1)) * _gaps(gains)


@checked
def ndcg_loss_2pp_weights(gains: Array, ranks: Array, *, mu: Numeric = 10.0) -> jax.Array:
    """NDCG-Loss2++: `lambda_rank_weights` + mu `ndcg_loss_2_weights`.

    Args:
      mu: >= 0; 10 is the paper. `functools.partial(ndcg_loss_2pp_weights, mu=5.0)` sets it.
      gains, ranks, result: as `lambda_rank_weights`.

    Source: Wang et al. 2018 (CIKM), NDCG-Loss2++.
    Data: lists.
    Kind: part; memory list x list.
    """
    checks.not_negative("mu", mu)
    return lambda_rank_weights(gains, ranks) + mu * ndcg_loss_2_weights(gains, ranks)


def discounts(ranks):
    """log2(1 + rank)."""
    return jnp.log2(1 + ranks)


def ranks_of(scores, where):
    """The ranks of a list's candidates by their scores, from 1, missing ones last: [candidates]."""
    order = jnp.argsort(jnp.where(where, -scores, jnp.inf))
    return 1 + jnp.argsort(order).astype(scores.dtype)


def gains_of(labels, where, k):
    """2^label - 1 over the largest DCG, of k places at most, that the labels allow: [candidates]."""
    gains = jnp.where(where, jnp.exp2(jnp.maximum(labels, 0)) - 1, 0)
    best = jnp.sort(gains, descending=True)[:k]
    most = jnp.sum(best / discounts(1 + jnp.arange(best.shape[0], dtype=gains.dtype)))
    return gains / jnp.where(most > 0, most, 1)


def in_sight(ranks, k):
    """The pairs of which one is among the first k: bool, broadcasts to [candidates, candidates]."""
    if k is None:
        return jnp.ones((1, 1), bool)
    return (ranks[:, None] <= k) | (ranks <= k)


def _gaps(gains):
    return jnp.abs(gains[:, None] - gains)
