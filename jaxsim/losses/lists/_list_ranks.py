"""Losses on the ranks of a list's candidates, by scores and by labels.

scores [batch, candidates], labels [batch, candidates] -> loss
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses.lists._each_list import each_list
from jaxsim.losses.lists._list_net import costs_in_order
from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array, Numeric


def halving_places(places: Array, count: Numeric) -> jax.Array:
    """How much each place of a list counts for `p_list_mle`: 2^-place - 2^-count, the last one 0.

    Args:
      places: [candidates], from 1.
      count: how many the list has.

    Returns: [candidates].
    Source: Lan et al. 2014 (UAI), 2^(count - place) - 1, here divided by 2^count.
    Data: lists.
    Kind: part; memory list.
    """
    return jnp.exp2(-places) - jnp.exp2(-count)


@over_examples(lists=True)
def p_list_mle(
    scores: Array,
    labels: Array,
    where: jax.Array,
    *,
    place_weights: Callable[[Array, Array], jax.Array] = halving_places,
):
    """Position-aware ListMLE: `list_mle` where the first places count more than the last.

        value_i = sum_k a_k ( log sum_{l >= k} exp(s_(l)) - s_(k) ) / sum_k a_k

    s_(1), s_(2), ... in the order of the labels; a are the `place_weights`, by default 2^(n - k) - 1.
    Equal labels are taken in the order of the candidates. Counts the rows that have a candidate; one
    candidate, or weights that are all 0, give 0.

    Args:
      scores, labels: [batch, candidates], larger labels belong further up.
      place_weights: (places [candidates] from 1, number of candidates) -> [candidates], >= 0.

    Source: Lan et al. 2014 (UAI), position-aware ListMLE; the division is sentence-transformers'.
    Data: lists.
    Memory: batch x list.
    """
    costs, there = costs_in_order(scores, labels, where)
    places = jnp.arange(1, scores.shape[1] + 1, dtype=scores.dtype)
    count = there.sum(axis=1, keepdims=True).astype(scores.dtype)
    counted = jnp.where(there, jax.vmap(place_weights, (None, 0))(places, count), 0)
    whole = counted.sum(axis=1)
    return masked.sum(costs * counted, there) / jnp.where(whole > 0, whole, 1)


@over_examples(lists=True)
@each_list
def adr_mse(scores: Array, labels: Array, where: jax.Array, *, temperature: Numeric = 1.0):
    """ADR-MSE: the discounted squared error of a candidate's soft rank by scores, against that by labels.

        mean over all candidates of all rows of (r_j - p_j)^2 / log2(1 + r_j),
        p_j = 1 + sum_{l != j} sigmoid((s_l - s_j) / temperature)

    r is the place by labels, from 1; equal labels share their mean place. Counts the candidates. A few
    lists are computed at a time.

    Args:
      scores, labels: [batch, candidates], larger labels belong further up.
      temperature: divides the scores, > 0; may be traced.

    Source: Schlatt et al. 2025 (Rank-DistiLLM, 2405.07920), their approximate discounted rank MSE.
    Data: lists, teacher scores.
    Memory: list x list.
    """
    checks.positive("temperature", temperature)
    above = (where & (labels[:, None] < labels)).sum(axis=1, dtype=scores.dtype)
    equal = (where & (labels[:, None] == labels)).sum(axis=1, dtype=scores.dtype)
    ranks = above + (equal + 1) / 2
    others = where & ~jnp.eye(len(where), dtype=bool)
    ahead = jax.nn.sigmoid((scores - scores[:, None]) / temperature)
    errors = jnp.square(ranks - 1 - masked.sum(ahead, others)) / jnp.log2(1 + ranks)
    return masked.mean(errors, where), where.sum()
