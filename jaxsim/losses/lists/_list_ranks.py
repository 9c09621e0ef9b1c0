"""Lists again: losses on the places of the candidates, by scores and by labels.

scores [batch, candidates], labels [batch, candidates] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import of_lists, reduced
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.lists._list_net import costs_in_order, each_list
from jaxsim.numerics import checks, masked
from jaxsim.numerics._reductions import mean


def halving_places(places, count):
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


@checked
def p_list_mle(
    scores,
    labels,
    *,
    place_weights=halving_places,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """`list_mle` where the first places count more than the last.

        value_i = sum_k a_k ( log sum_{l >= k} exp(s_(l)) - s_(k) ) / sum_k a_k

    s_(1), s_(2), ... in the order of the labels; a are the `place_weights`, 2^(n - k) - 1 unless told.
    Equal labels are taken in the order of the candidates. Counts the rows that have a candidate; one
    candidate, or weights that are all 0, give 0.

    Args:
      scores, labels: [batch, candidates], larger labels belong further up.
      place_weights: (places [candidates] from 1, number of candidates) -> [candidates], >= 0.
      candidate_where: bool [batch, candidates], False where a row has fewer candidates.
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
      weights: [batch].
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Lan et al. 2014 (UAI), position-aware ListMLE; the division is sentence-transformers'.
    Data: lists.
    Kind: per example; memory batch x list.
    """
    scores, labels, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, scores=scores, labels=labels
    )
    costs, there = costs_in_order(scores, labels, kept)
    places = jnp.arange(1, scores.shape[1] + 1, dtype=scores.dtype)
    count = there.sum(axis=1, keepdims=True).astype(scores.dtype)
    counted = jnp.where(there, jax.vmap(place_weights, (None, 0))(places, count), 0)
    whole = counted.sum(axis=1)
    values = masked.sum(costs * counted, there) / jnp.where(whole > 0, whole, 1)
    return reduced(values, kept.any(axis=1), weights, axis_name, reduce_fn)


@checked
def adr_mse(
    scores,
    labels,
    *,
    temperature=1.0,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """The squared error of a candidate's soft rank by scores against its rank by labels, discounted.

        mean over all candidates of all rows of (r_j - p_j)^2 / log2(1 + r_j),
        p_j = 1 + sum_{l != j} sigmoid((s_l - s_j) / temperature)

    r is the place by labels, from 1; equal labels share their mean place. Counts the candidates.

    Args:
      temperature: divides the scores, > 0; may be traced.
      scores, labels and the others, result and errors: as in `p_list_mle`. Lists are taken a few at a
        time: memory is O(candidates^2), not O(batch candidates^2).

    Source: Schlatt et al. 2025 (Rank-DistiLLM, 2405.07920), their approximate discounted rank MSE.
    Data: lists, teacher scores.
    Kind: per example; memory list x list.
    """
    checks.positive("temperature", temperature)
    scores, labels, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, scores=scores, labels=labels
    )

    def of_list(scores, labels, kept):
        above = (kept & (labels[:, None] < labels)).sum(axis=1, dtype=scores.dtype)
        equal = (kept & (labels[:, None] == labels)).sum(axis=1, dtype=scores.dtype)
        ranks = above + (equal + 1) / 2
        others = kept & ~jnp.eye(len(kept), dtype=bool)
        ahead = jax.nn.sigmoid((scores - scores[:, None]) / temperature)
        errors = jnp.square(ranks - 1 - masked.sum(ahead, others)) / jnp.log2(1 + ranks)
        return masked.mean(errors, kept), kept.sum()

    values, counts = each_list(of_list, scores, labels, kept)
    return reduced(values, counts, weights, axis_name, reduce_fn)
