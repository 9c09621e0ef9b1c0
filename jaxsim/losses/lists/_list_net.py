"""Lists: the scores of a query's candidates against graded labels, as a cross-encoder is trained.

    scores [batch, candidates], labels [batch, candidates] -> loss

Each row is a list of its own; larger labels belong further up. With one positive per row and nothing
else, `list_softmax` is the loss.
"""

import math

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import BLOCK_ENTRIES
from jaxsim.losses._lift._examples import (
    of_lists,
    of_rows,
    poisoned,
    reduced,
    spoilt_by,
    with_weight,
)
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.lists._lambda_weights import gains_of, in_sight, ndcg_loss_2pp_weights, ranks_of
from jaxsim.losses.pairs._info_nce import info_nce
from jaxsim.numerics import block_entries, checks, masked
from jaxsim.numerics._reductions import mean


@checked
def list_net(
    scores,
    labels,
    *,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Cross-entropy between the chances, by labels and by scores, of a candidate to come first, in nats.

        value_i = -sum_j p_ij log q_ij,    p = softmax_j(y_ij),  q = softmax_j(s_ij)

    Counts the rows that have a candidate. Also known as ListNetLoss.

    Args:
      scores, labels: s, y [batch, candidates].
      candidate_where: bool [batch, candidates], False where a row has fewer candidates.
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
      weights: [batch].
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Cao et al. 2007, the cross-entropy of top-one probabilities.
    Data: lists.
    Kind: per example; memory batch x candidates.
    """
    scores, labels, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, scores=scores, labels=labels
    )
    values = -masked.sum(masked.softmax(labels, kept) * masked.log_softmax(scores, kept), kept)
    return reduced(values, kept.any(axis=1), weights, axis_name, reduce_fn)


@checked
def list_mle(
    scores,
    labels,
    *,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Minus the log-probability of the labels' order, drawing candidates by score one after another.

        value_i = sum_k ( log sum_{l >= k} exp(s_(l)) - s_(k) ),    s_(1), s_(2), ... in order of labels

    Equal labels are taken in the order of the candidates. Counts the rows that have a candidate. Also
    known as ListMLELoss.

    Args, result, kind and errors as `list_net`. Time O(candidates log candidates) per row.
    Source: Xia et al. 2008, the likelihood loss.
    Data: lists.
    Kind: per example; memory batch x candidates.
    """
    scores, labels, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, scores=scores, labels=labels
    )
    costs, kept = costs_in_order(scores, labels, kept)
    return reduced(masked.sum(costs, kept), kept.any(axis=1), weights, axis_name, reduce_fn)


@checked
def rank_net(
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
    """The logistic loss of every two candidates that the labels tell apart, in nats.

        mean over all pairs y_ij > y_il of all rows of  log(1 + exp(-(s_ij - s_il) / temperature))

    Counts the pairs; reduce_fn=total is the paper's sum. Also known as RankNetLoss, there in bits
    (sigma = 1 / temperature).

    Args:
      k: look only at pairs of which one is among the k candidates that now score best; None takes all.
      temperature: divides the scores, > 0; may be traced.
      scores, labels and the others, result, kind and errors: as in `list_net`. Lists are taken a few
        at a time: memory is O(candidates^2), not O(batch candidates^2).

    Source: Burges et al. 2005, the cross-entropy cost with known order.
    Data: lists.
    Kind: per example; memory candidates^2, a few lists at a time.
    """
    checks.positive("temperature", temperature)
    if k is not None:
        checks.whole("k", k)
    scores, labels, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, scores=scores, labels=labels
    )

    def of_list(scores, labels, kept):
        pairs = above(labels, kept) & in_sight(ranks_of(scores, kept), k)
        return mean_cost(scores / temperature, pairs, 1.0)

    values, counts = each_list(of_list, scores, labels, kept)
    return reduced(values, counts, weights, axis_name, reduce_fn)


@checked
def lambda_loss(
    scores,
    labels,
    *,
    pair_weights=ndcg_loss_2pp_weights,
    k=None,
    temperature=1.0,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """`rank_net` with every pair weighed by what its order is worth to nDCG, in bits.

        mean over all pairs y_j > y_l of all rows of  w_jl log2(1 + exp(-(s_j - s_l) / temperature))

    w are the `pair_weights` of the gains G_j = (2^y_j - 1) / max DCG and the ranks by scores; unless
    told NDCG-Loss2++. Neither carries gradient; equal scores rank in the order of the candidates. Counts
    the pairs; reduce_fn=total is the paper's sum. Also known as LambdaLoss.

    Args:
      pair_weights: (gains [candidates], ranks [candidates] from 1) -> [candidates, candidates]:
        `ndcg_loss_2pp_weights`, `ndcg_loss_2_weights`, `lambda_rank_weights`, or your own.
      k: look only at pairs of which one is among the k candidates that now score best, as the others'
        order is worth nothing to nDCG@k, and divide gains by the max DCG@k; None takes all.
      temperature: divides the scores, > 0; may be traced. sigma = 1 / temperature.
      scores, labels and the others, result, kind and errors: as in `list_net`; labels >= 0. Lists are
        taken a few at a time: memory is O(candidates^2), not O(batch candidates^2).

    Source: Wang et al. 2018 (CIKM), NDCG-Loss2++ and its kin.
    Data: lists.
    Kind: per example; memory candidates^2, a few lists at a time.
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
        worth = jax.lax.stop_gradient(pair_weights(gains_of(labels, kept, k), ranks)) / math.log(2)
        pairs = above(labels, kept) & in_sight(ranks, k)
        return mean_cost(scores / temperature, pairs, worth)

    values, counts = each_list(of_list, scores, labels, kept)
    return reduced(values, counts, weights, axis_name, reduce_fn)


@checked
def unime_v2_rerank(
    pair_scores,
    list_scores,
    positive_index,
    *,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """A reranker trained on single judgments and on whole lists at once, in nats.

        value_i = ( -log sigmoid(a_i) - log sigmoid(-b_i) ) / 2  +  log sum_j exp(s_ij) - s_{i p_i}

    The first part asks for a yes to the positive and a no to a hard negative, the second for the
    positive's place in the list. Counts the rows whose positive is in the list.

    Args:
      pair_scores: a, b [batch, 2], the logit of yes against no for the positive and for a hard negative.
      list_scores: s [batch, candidates].
      positive_index: p int [batch], where in the list the positive is, from 0. Draw it anew for each row,
        or the place is learned. One beyond the list is refused; on a device it gives NaN.
      candidate_where: bool [batch, candidates], False where a list is shorter.
      where, weights, axis_name, reduce_fn, result, kind and errors: as in `list_net`.

    Source: UniME-V2 (2510.13515), the reranker's pairwise and listwise objective with equal weights, on
    a model that scores; the paper's writes its answers, and weighs them by their tokens.
    Data: lists, pairs with negatives.
    Kind: per example; memory batch x candidates.
    """
    list_scores, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, list_scores=list_scores
    )
    batch, candidates = list_scores.shape
    pair_scores, rows = of_rows(
        where, axis_name, "batch, 2", weights=weights, pair_scores=pair_scores
    )
    checks.shaped("pair_scores", pair_scores, (batch, 2), "one row per list")
    as_given = positive_index
    positive_index = checks.column("positive_index", positive_index, batch, "one per list")
    outside = checks.within("positive_index", as_given, 0, candidates - 1, where=where)
    pair_scores = poisoned(pair_scores, outside & with_weight(rows, weights))
    pair = jax.nn.softplus(pair_scores * jnp.array([-1, 1], pair_scores.dtype)).mean(axis=1)
    positives = (positive_index[:, None] == jnp.arange(candidates)) & kept
    values, counts = info_nce.rule(list_scores, positives, kept, temperature=1.0)
    counts = counts | jnp.isnan(pair)
    return reduced(pair + values, counts, weights, axis_name, reduce_fn)


def costs_in_order(scores, labels, kept):
    """What each place costs `list_mle`, from the largest label on: [batch, candidates], and which exist."""
    scores = spoilt_by(scores, labels)  # NaN has no place in the order
    scores = scores - jax.lax.stop_gradient(masked.max(scores, kept, keepdims=True))
    order = jnp.argsort(jnp.where(kept, -labels, jnp.inf), axis=1)
    scores, kept = (jnp.take_along_axis(a, order, axis=1) for a in (scores, kept))
    # Finite, for what is missing: the gradient of -inf against -inf is NaN.
    rest = jax.lax.cumlogsumexp(jnp.where(kept, scores, -1e30), axis=1, reverse=True)
    return rest - scores, kept


def each_list(function, scores, labels, kept):
    """A function of one list's (scores, labels, kept), over all lists, a few at a time.

    It returns the list's value, or that and how much the list counts. With NaN in a list that is NaN, and 1:
    what compares labels does not see it.
    """

    def of_list(scores, labels, kept):
        result = function(scores, labels, kept)
        if not isinstance(result, tuple):
            return spoilt_by(result, scores, labels)
        value, count = result
        bad = jnp.isnan(scores).any() | jnp.isnan(labels).any()
        return spoilt_by(value, scores, labels), jnp.where(bad, 1, count)

    lists = scores, labels, kept
    at_once = max(1, block_entries(BLOCK_ENTRIES) // max(scores.shape[1], 1) ** 2)
    if at_once >= scores.shape[0]:
        return jax.vmap(of_list)(*lists)
    checkpointed = jax.checkpoint(of_list)
    return jax.lax.map(lambda one: checkpointed(*one), lists, batch_size=at_once)


def above(labels, kept):
    """Which candidate has a larger label than which: bool [candidates, candidates]."""
    return (labels[:, None] > labels) & kept[:, None] & kept


def mean_cost(scores, above, worth):
    """The mean logistic cost of a list's pairs, and their number."""
    costs = worth * jax.nn.softplus(scores[None, :] - scores[:, None])
    return masked.mean(costs, above, axis=(0, 1)), above.sum()
