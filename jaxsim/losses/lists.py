"""Lists: the scores of a query's candidates against graded labels, as a cross-encoder is trained.

    scores [batch, candidates], labels [batch, candidates] -> loss

Each row is a list of its own; larger labels belong further up. With one positive per row and nothing
else, `list_softmax` is the loss.
"""

import math

import jax
import jax.numpy as jnp

from jaxsim.losses.examples import of_lists, of_rows, reduced
from jaxsim.losses.rows import BLOCK_ENTRIES
from jaxsim.losses.softmax import info_nce
from jaxsim.numerics import checks, masked
from jaxsim.numerics.reductions import mean


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
    Kind: per example.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Cao et al. 2007, the cross-entropy of top-one probabilities.
    """
    scores, labels, kept = of_lists(candidate_where, where, axis_name, scores=scores, labels=labels)
    values = -masked.sum(masked.softmax(labels, kept) * masked.log_softmax(scores, kept), kept)
    return reduced(values, kept.any(axis=1), weights, axis_name, reduce_fn)


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
    """
    scores, labels, kept = of_lists(candidate_where, where, axis_name, scores=scores, labels=labels)
    scores = scores - jax.lax.stop_gradient(masked.max(scores, kept, keepdims=True))
    order = jnp.argsort(jnp.where(kept, -labels, jnp.inf), axis=1)
    scores, kept = (jnp.take_along_axis(a, order, axis=1) for a in (scores, kept))
    # Finite, for what is missing: the gradient of -inf against -inf is NaN.
    rest = jax.lax.cumlogsumexp(jnp.where(kept, scores, -1e30), axis=1, reverse=True)
    return reduced(masked.sum(rest - scores, kept), kept.any(axis=1), weights, axis_name, reduce_fn)


def rank_net(
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
    """The logistic loss of every two candidates that the labels tell apart, in nats.

        mean over all pairs y_ij > y_il of all rows of  log(1 + exp(-(s_ij - s_il) / temperature))

    Counts the pairs; reduce_fn=total is the paper's sum. Also known as RankNetLoss, there in bits
    (sigma = 1 / temperature).

    Args:
      temperature: divides the scores, > 0; may be traced.
      scores, labels and the others, result, kind and errors: as in `list_net`. Lists are taken a few
        at a time: memory is O(candidates^2), not O(batch candidates^2).

    Source: Burges et al. 2005, the cross-entropy cost with known order.
    """
    checks.positive("temperature", temperature)
    scores, labels, kept = of_lists(candidate_where, where, axis_name, scores=scores, labels=labels)

    def of_list(scores, labels, kept):
        return _mean_cost(scores / temperature, _above(labels, kept), 1.0)

    values, counts = _each_list(of_list, scores, labels, kept)
    return reduced(values, counts, weights, axis_name, reduce_fn)


def lambda_loss(
    scores,
    labels,
    *,
    mu=10.0,
    k=None,
    temperature=1.0,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """`rank_net` with every pair weighed by what its order is worth to nDCG, in bits.

        mean over all pairs y_j > y_l of all rows of
            (rho_jl + mu delta_jl) |G_j - G_l| log2(1 + exp(-(s_j - s_l) / temperature)),
        rho_jl   = |1 / D(r_j) - 1 / D(r_l)|,
        delta_jl = |1 / D(|r_j - r_l|) - 1 / D(|r_j - r_l| + 1)|,
        G_j = (2^y_j - 1) / max DCG,    D(r) = log2(1 + r),    r the rank by scores

    NDCG-Loss2++. Ranks carry no gradient; equal scores rank in the order of the candidates. Counts the
    pairs; reduce_fn=total is the paper's sum. Also known as LambdaLoss.

    Args:
      mu: how much of NDCG-Loss2 is mixed in, >= 0; 10 is the paper. 0 is LambdaRank.
      k: look only at the k candidates that now score best, as nDCG@k does; None takes all.
      temperature: divides the scores, > 0; may be traced. sigma = 1 / temperature.
      scores, labels and the others, result, kind and errors: as in `list_net`; labels >= 0. Lists are
        taken a few at a time: memory is O(candidates^2), not O(batch candidates^2).

    Source: Wang et al. 2018 (CIKM), NDCG-Loss2++.
    """
    checks.positive("temperature", temperature)
    checks.not_negative("mu", mu)
    if k is not None:
        checks.whole("k", k)
    scores, labels, kept = of_lists(candidate_where, where, axis_name, scores=scores, labels=labels)

    def of_list(scores, labels, kept):
        ranks = 1 + jnp.argsort(jnp.argsort(jnp.where(kept, -scores, jnp.inf)))
        worth = _worth_to_ndcg(ranks.astype(scores.dtype), labels, kept, mu, k) / math.log(2)
        seen = kept if k is None else kept & (ranks <= k)
        return _mean_cost(scores / temperature, _above(labels, seen), worth)

    values, counts = _each_list(of_list, scores, labels, kept)
    return reduced(values, counts, weights, axis_name, reduce_fn)


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
    """A reranker trained on single judgements and on whole lists at once, in nats.

        value_i = ( -log sigmoid(a_i) - log sigmoid(-b_i) ) / 2  +  log sum_j exp(s_ij) - s_{i p_i}

    The first part asks for a yes to the positive and a no to a hard negative, the second for the
    positive's place in the list. Counts the rows whose positive is in the list.

    Args:
      pair_scores: a, b [batch, 2], the logit of yes against no for the positive and for a hard negative.
      list_scores: s [batch, candidates].
      positive_index: p int [batch], where in the list the positive stands. Draw it anew for each row, or
        the place is learned.
      candidate_where: bool [batch, candidates], False where a list is shorter.
      where, weights, axis_name, reduce_fn, result, kind and errors: as in `list_net`.

    Source: UniME-V2 (2510.13515), the reranker's pairwise and listwise objective with equal weights, on
    a model that scores; the paper's writes its answers, and weighs them by their tokens.
    """
    pair_scores, _ = of_rows(where, axis_name, "batch, 2", pair_scores=pair_scores)
    list_scores, kept = of_lists(candidate_where, where, axis_name, list_scores=list_scores)
    batch, candidates = list_scores.shape
    checks.shaped("pair_scores", pair_scores, (batch, 2), "one row per list")
    positive_index = jnp.asarray(positive_index)
    checks.shaped("positive_index", positive_index, (batch,), "one per list")
    checks.integers("positive_index", positive_index)
    pair = jax.nn.softplus(pair_scores * jnp.array([-1, 1], pair_scores.dtype)).mean(axis=1)
    positives = (positive_index[:, None] == jnp.arange(candidates)) & kept
    values, counts = info_nce.rule(list_scores, positives, kept, temperature=1.0)
    return reduced(pair + values, counts, weights, axis_name, reduce_fn)


def _each_list(function, scores, labels, kept):
    """A function of one list's (scores, labels, kept), over all lists, a few at a time."""
    lists = scores, labels, kept
    at_once = max(1, BLOCK_ENTRIES // max(scores.shape[1], 1) ** 2)
    if at_once >= scores.shape[0]:
        return jax.vmap(function)(*lists)
    checkpointed = jax.checkpoint(function)
    return jax.lax.map(lambda one: checkpointed(*one), lists, batch_size=at_once)


def _above(labels, kept):
    """Which candidate has a larger label than which: bool [candidates, candidates]."""
    return (labels[:, None] > labels) & kept[:, None] & kept


def _mean_cost(scores, above, worth):
    """The mean logistic cost of a list's pairs, and their number."""
    costs = worth * jax.nn.softplus(scores[None, :] - scores[:, None])
    return masked.mean(costs, above, axis=(0, 1)), above.sum()


def _worth_to_ndcg(ranks, labels, kept, mu, k):
    """What the order of two candidates is worth to nDCG: [candidates, candidates]."""
    gains = jnp.where(kept, jnp.exp2(jnp.maximum(labels, 0)) - 1, 0)
    best = jnp.sort(gains, descending=True)[:k]
    most = jnp.sum(best / _discount(1 + jnp.arange(best.shape[0], dtype=ranks.dtype)))
    gains = gains / jnp.where(most > 0, most, 1)
    apart = jnp.maximum(jnp.abs(ranks[:, None] - ranks), 1)
    delta = 1 / _discount(apart) - 1 / _discount(apart + 1)
    rho = jnp.abs(1 / _discount(ranks[:, None]) - 1 / _discount(ranks))
    return jax.lax.stop_gradient((rho + mu * delta) * jnp.abs(gains[:, None] - gains))


def _discount(ranks):
    return jnp.log2(1 + ranks)
