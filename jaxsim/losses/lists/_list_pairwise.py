"""Lists again: other costs of two candidates than the logistic one of `rank_net`.

    scores [batch, candidates], labels [batch, candidates] -> loss

`pairwise_hinge` and `pairwise_soft_zero_one` are means over the pairs that the labels tell apart.
"""

import math

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import of_lists, reduced
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.lists._lambda_weights import discounts, gains_of, in_sight, ranks_of
from jaxsim.losses.lists._list_net import above, each_list
from jaxsim.numerics import checks, masked
from jaxsim.numerics._reductions import mean


@checked
def pairwise_hinge(
    scores,
    labels,
    *,
    margin=1.0,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Of two candidates that the labels tell apart, the better one ahead by a margin.

        mean over all pairs y_ij > y_il of all rows of  [margin - (s_ij - s_il)]+

    Counts the pairs.

    Args:
      scores, labels: s, y [batch, candidates], larger labels belong further up.
      margin: by how much the better one should be ahead.
      candidate_where: bool [batch, candidates], False where a row has fewer candidates.
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
      weights: [batch], how much the pairs of a row count.
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts. Lists
    are taken a few at a time: memory is O(candidates^2), not O(batch candidates^2).
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Herbrich et al. 1999; Joachims 2002, the ranking SVM.
    Data: lists.
    Kind: per example; memory list x list.
    """

    def cost(ahead):
        return jax.nn.relu(margin - ahead)

    return _of_pairs(cost, scores, labels, candidate_where, where, weights, axis_name, reduce_fn)


@checked
def pairwise_soft_zero_one(
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
    """The share of pairs in the wrong order, made smooth: one hopeless pair pulls no longer.

        mean over all pairs y_ij > y_il of all rows of  sigmoid(-(s_ij - s_il) / temperature)

    Counts the pairs.

    Args:
      temperature: divides the scores, > 0; may be traced.
      scores, labels and the others, result and errors: as in `pairwise_hinge`.

    Source: Qin et al. 2010, the sigmoid in place of the step.
    Data: lists.
    Kind: per example; memory list x list.
    """
    checks.positive("temperature", temperature)

    def cost(ahead):
        return jax.nn.sigmoid(-ahead / temperature)

    return _of_pairs(cost, scores, labels, candidate_where, where, weights, axis_name, reduce_fn)


@checked
def pairwise_mse(
    scores,
    labels,
    *,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """The squared error of the differences within a row: `score_mse` with every row's offset free.

        mean over all j, l of all rows of ((s_ij - s_il) - (y_ij - y_il))^2

    j = l, which is 0, is among them. Counts the pairs. Labels carry no gradient, so that a teacher's
    scores may be labels; `margin_mse` has the pairs with the positive alone.

    Args:
      scores, labels and the others, result and errors: as in `pairwise_hinge`.

    Source: pairwise_mse_loss of rax.
    Data: lists, teacher scores.
    Kind: per example; memory batch x list.
    """
    scores, labels, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, scores=scores, labels=labels
    )
    off = scores - jax.lax.stop_gradient(labels)
    off = off - masked.mean(off, kept)[:, None]  # over all pairs it is twice the variance
    count = kept.sum(axis=1).astype(scores.dtype)
    values = 2 * masked.mean(jnp.square(off), kept)
    return reduced(values, jnp.square(count), weights, axis_name, reduce_fn)


@checked
def ndcg_loss_1(
    scores,
    labels,
    *,
    k=None,
    temperature=1.0,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Every candidate against every other one, by what its own place is worth to nDCG, in bits.

        mean over all j != l of all rows of  G_j / D(r_j) log2(1 + exp(-(s_j - s_l) / temperature))

    Gains G, ranks r and discounts D as in `lambda_loss`, without gradient. Unlike there, pairs count
    whatever their labels: a candidate without gain pushes nobody. Counts the pairs.

    Args:
      k: look only at pairs of which one is among the k candidates that now score best; None takes all.
      temperature: divides the scores, > 0; may be traced.
      scores, labels and the others, result and errors: as in `pairwise_hinge`; labels >= 0.

    Source: Wang et al. 2018 (CIKM), NDCG-Loss1.
    Data: lists.
    Kind: per example; memory list x list.
    """
    checks.positive("temperature", temperature)
    if k is not None:
        checks.whole("k", k)
    scores, labels, kept = of_lists(
        candidate_where,
        where,
        axis_name,
        weights=weights,
        limits={"labels": (0, math.inf)},
        scores=scores,
        labels=labels,
    )

    def of_list(scores, labels, kept):
        ranks = ranks_of(scores, kept)
        worth = jax.lax.stop_gradient(gains_of(labels, kept, k) / discounts(ranks)) / math.log(2)
        pairs = kept[:, None] & kept & ~jnp.eye(len(kept), dtype=bool) & in_sight(ranks, k)
        costs = worth[:, None] * jax.nn.softplus((scores - scores[:, None]) / temperature)
        return masked.mean(costs, pairs, axis=(0, 1)), pairs.sum()

    values, counts = each_list(of_list, scores, labels, kept)
    return reduced(values, counts, weights, axis_name, reduce_fn)


@checked
def unique_softmax(
    scores,
    labels,
    *,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Every candidate against those of smaller labels alone, in a softmax of its own, in nats.

        value_i = sum_j (2^y_j - 1) ( log( exp(s_j) + sum_{l: y_l < y_j} exp(s_l) ) - s_j )

    Equal labels do not compete. Counts the rows that have a candidate.

    Args:
      scores, labels and the others, result and errors: as in `pairwise_hinge`; labels >= 0.

    Source: Zhu and Klabjan 2020 (WSDM), the unique rating softmax.
    Data: lists.
    Kind: per example; memory list x list.
    """
    scores, labels, kept = of_lists(
        candidate_where,
        where,
        axis_name,
        weights=weights,
        limits={"labels": (0, math.inf)},
        scores=scores,
        labels=labels,
    )

    def of_list(scores, labels, kept):
        rivals = above(labels, kept)
        ahead = masked.log_one_plus_sum_exp(scores - scores[:, None], rivals)
        return masked.sum((jnp.exp2(labels) - 1) * ahead, kept)

    values = each_list(of_list, scores, labels, kept)
    return reduced(values, kept.any(axis=1), weights, axis_name, reduce_fn)


def _of_pairs(cost, scores, labels, candidate_where, where, weights, axis_name, reduce_fn):
    """The mean of cost(how far the better one is ahead) over the pairs that the labels tell apart."""
    scores, labels, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, scores=scores, labels=labels
    )

    def of_list(scores, labels, kept):
        pairs = above(labels, kept)
        costs = cost(scores[:, None] - scores)
        return masked.mean(costs, pairs, axis=(0, 1)), pairs.sum()

    values, counts = each_list(of_list, scores, labels, kept)
    return reduced(values, counts, weights, axis_name, reduce_fn)
