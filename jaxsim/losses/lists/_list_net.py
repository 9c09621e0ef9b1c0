"""Listwise losses: the scores of a query's candidates against graded labels, as cross-encoders are trained.

    scores [batch, candidates], labels [batch, candidates] -> loss

Each row is a separate list; larger labels belong further up. With one positive per row and nothing
else, `list_softmax` is the loss.
"""

import math

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import spoiled_by
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses.lists._each_list import above, each_list, mean_over
from jaxsim.losses.lists._lambda_weights import (
    PairWeights,
    gains_of,
    in_sight,
    ndcg_loss_2pp_weights,
    ranks_of,
)
from jaxsim.losses.pairs._info_nce import info_nce
from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array, Numeric


@over_examples(lists=True)
def list_net(scores: Array, labels: Array, where: jax.Array):
    """ListNet: cross-entropy of the probabilities of being ranked first, by labels and by scores, in nats.

        value_i = -sum_j p_ij log q_ij,    p = softmax_j(y_ij),  q = softmax_j(s_ij)

    Counts the rows that have a candidate. Also known as ListNetLoss.

    Args:
      scores, labels: s, y [batch, candidates].

    Source: Cao et al. 2007, the cross-entropy of top-one probabilities.
    Data: lists.
    """
    return -masked.sum(masked.softmax(labels, where) * masked.log_softmax(scores, where), where)


@over_examples(lists=True)
def list_mle(scores: Array, labels: Array, where: jax.Array):
    """ListMLE: minus the log-probability of the labels' order, drawing candidates one by one by score.

        value_i = sum_k ( log sum_{l >= k} exp(s_(l)) - s_(k) ),    s_(1), s_(2), ... in order of labels

    Equal labels are taken in the order of the candidates. Counts the rows that have a candidate. Also
    known as ListMLELoss. Time O(candidates log candidates) per row.

    Args:
      scores, labels: s, y [batch, candidates].

    Source: Xia et al. 2008, the likelihood loss.
    Data: lists.
    """
    return masked.sum(*costs_in_order(scores, labels, where))


@over_examples(lists=True)
@each_list
def rank_net(
    scores: Array,
    labels: Array,
    where: jax.Array,
    *,
    k: int | None = None,
    temperature: Numeric = 1.0,
):
    """RankNet: the logistic loss of every two candidates with different labels, in nats.

        mean over all pairs y_ij > y_il of all rows of  log(1 + exp(-(s_ij - s_il) / temperature))

    Counts the pairs; reduce_fn=total is the paper's sum. Also known as RankNetLoss, there in bits
    (sigma = 1 / temperature). A few lists are computed at a time.

    Args:
      scores, labels: s, y [batch, candidates].
      k: use only pairs of which one is among the k candidates that now score best; None takes all.
      temperature: divides the scores, > 0; may be traced.

    Source: Burges et al. 2005, the cross-entropy cost with known order.
    Data: lists.
    Memory: candidates^2, a few lists at a time.
    """
    _check(temperature, k)
    pairs = above(labels, where) & in_sight(ranks_of(scores, where), k)
    return mean_over(pairs, logistic(scores, temperature))


@over_examples(lists=True, limits={"labels": (0, math.inf)})
@each_list
def lambda_loss(
    scores: Array,
    labels: Array,
    where: jax.Array,
    *,
    pair_weights: PairWeights = ndcg_loss_2pp_weights,
    k: int | None = None,
    temperature: Numeric = 1.0,
):
    """LambdaLoss: `rank_net` with each pair weighted by what its order is worth to nDCG, in bits.

        mean over all pairs y_j > y_l of all rows of  w_jl log2(1 + exp(-(s_j - s_l) / temperature))

    w are the `pair_weights` of the gains G_j = (2^y_j - 1) / max DCG and the ranks by scores, by default
    NDCG-Loss2++. Neither carries gradient; equal scores rank in the order of the candidates. Counts
    the pairs; reduce_fn=total is the paper's sum. A few lists are computed at a time.

    Args:
      scores, labels: s, y [batch, candidates]; labels >= 0.
      pair_weights: (gains [candidates], ranks [candidates] from 1) -> [candidates, candidates]:
        `ndcg_loss_2pp_weights`, `ndcg_loss_2_weights`, `lambda_rank_weights`, or your own.
      k: use only pairs of which one is among the k candidates that now score best, as the others'
        order is worth nothing to nDCG@k, and divide gains by the max DCG@k; None takes all.
      temperature: divides the scores, > 0; may be traced. sigma = 1 / temperature.

    Source: Wang et al. 2018 (CIKM), NDCG-Loss2++ and related losses.
    Data: lists.
    Memory: candidates^2, a few lists at a time.
    """
    _check(temperature, k)
    ranks = ranks_of(scores, where)
    worth = jax.lax.stop_gradient(pair_weights(gains_of(labels, where, k), ranks)) / math.log(2)
    pairs = above(labels, where) & in_sight(ranks, k)
    return mean_over(pairs, worth * logistic(scores, temperature))


@over_examples(
    lists=True,
    axes={"pair_scores": "batch, 2", "list_scores": "batch, candidates"},
    places={"positive_index": "list_scores"},
)
def unime_v2_rerank(
    pair_scores: Array, list_scores: Array, positive_index: Array, where: jax.Array
):
    """UniME-V2 reranker loss: single judgments and whole lists at once, in nats.

        value_i = ( -log sigmoid(a_i) - log sigmoid(-b_i) ) / 2  +  log sum_j exp(s_ij) - s_{i p_i}

    The first part asks for a yes to the positive and a no to a hard negative, the second for the
    positive's place in the list. Counts the rows whose positive is in the list.

    Args:
      pair_scores: a, b [batch, 2], the logit of yes against no for the positive and for a hard negative.
      list_scores: s [batch, candidates].
      positive_index: p int [batch], where in the list the positive is, from 0. Draw it for each row,
        or the place is learned. One beyond the list is refused; on a device it gives NaN.

    Source: UniME-V2 (2510.13515), the reranker's pairwise and listwise objective with equal weights, on
    a model that scores; the paper's writes its answers, and weights them by their tokens.
    Data: lists, pairs with negatives.
    Memory: batch x candidates.
    """
    pair = jax.nn.softplus(pair_scores * jnp.array([-1, 1], pair_scores.dtype)).mean(axis=1)
    positives = where & (positive_index[:, None] == jnp.arange(list_scores.shape[1]))
    values, counts = info_nce.rule(list_scores, positives, where, temperature=1.0)
    return pair + values, counts | jnp.isnan(pair)


def costs_in_order(scores, labels, where):
    """What each place costs `list_mle`, from the largest label on: [batch, candidates], and which exist."""
    scores = spoiled_by(scores, labels)  # NaN has no place in the order
    scores = scores - jax.lax.stop_gradient(masked.max(scores, where, keepdims=True))
    order = jnp.argsort(jnp.where(where, -labels, jnp.inf), axis=1)
    scores, where = (jnp.take_along_axis(a, order, axis=1) for a in (scores, where))
    logits = jnp.where(where, scores, masked.NOTHING)
    return jax.lax.cumlogsumexp(logits, axis=1, reverse=True) - scores, where


def logistic(scores, temperature):
    """log(1 + exp(-(s_j - s_l) / temperature)) of every two candidates [candidates, candidates]."""
    scores = scores / temperature
    return jax.nn.softplus(scores[None, :] - scores[:, None])


def _check(temperature, k):
    checks.positive("temperature", temperature)
    if k is not None:
        checks.whole("k", k)
