"""Ranking metrics: recall, precision, average precision and reciprocal rank, of ids or of scores with ties.

Scores that tie have no order, so that a policy has to choose one:

    "pessimistic"  what is irrelevant comes first: a constant scorer looks as bad as it is
    "trec_eval"    the highest item number first, as trec_eval's descending document ids
    "expected"     the mean over all orders of what ties

A query with a NaN among its scores has the figure NaN. Ids beyond 32 bits, such as hashes, are numbered
anew. All functions can be jitted (k and ties static) and reduce by the mean over the queries that have
something relevant; `reduce_fn=None` gives (values, counts) per query.
"""

import functools

import jax
import jax.numpy as jnp

from jaxsim.evaluation._numbering import together
from jaxsim.evaluation._reduced import reduced
from jaxsim.numerics import checks
from jaxsim.numerics._reductions import mean
from jaxsim.numerics._topk import top_k
from jaxsim.numerics.types import Array, ReduceFn

TIES = ("pessimistic", "trec_eval", "expected")


def recall(ids: Array, truth: Array, k: int, *, reduce_fn: ReduceFn | None = mean) -> jax.Array:
    """Recall@k: the share of a query's relevant items among the first k returned.

    Args:
      ids: int [queries, returned], best first; -1 is nothing, a repeated item counts once.
      truth: int [queries, relevant], the relevant items; -1 is nothing.
      k: how many of the returned count, at most `returned`.
      reduce_fn: (values, counts, axis_name) -> number; None gives both.

    Returns: float32, the mean over the queries that have a relevant item.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import evaluation
      >>> float(evaluation.recall(np.array([[2, 0, 1]]), np.array([[0, 5]]), k=2))
      0.5
    """
    hits, relevant = _hits(ids, truth)
    checks.at_most("k", k, hits.shape[1], "the number of items returned")
    return reduced(hits[:, :k].sum(axis=1) / jnp.maximum(relevant, 1), relevant > 0, reduce_fn)


def precision(ids: Array, truth: Array, k: int, *, reduce_fn: ReduceFn | None = mean) -> jax.Array:
    """Precision@k: the share of relevant items among the first k returned; missing ones are misses.

    Args:
      ids, truth, k, reduce_fn: as in `recall`.

    Returns: float32, the mean over the queries that have a relevant item.
    """
    hits, relevant = _hits(ids, truth)
    checks.at_most("k", k, hits.shape[1], "the number of items returned")
    return reduced(hits[:, :k].mean(axis=1), relevant > 0, reduce_fn)


def average_precision(
    ids: Array, truth: Array, k: int, *, reduce_fn: ReduceFn | None = mean
) -> jax.Array:
    """Average precision@k (MAP@k): the mean of precision@j over the ranks j <= k of relevant items.

        sum_{j <= k} relevant_j precision@j / min(k, number of relevant items)

    Args:
      ids, truth, k, reduce_fn: as in `recall`.

    Returns: float32, the mean over the queries that have a relevant item: MAP@k.
    """
    hits, relevant = _hits(ids, truth)
    checks.at_most("k", k, hits.shape[1], "the number of items returned")
    hits = hits[:, :k]
    precisions = jnp.cumsum(hits, axis=1) / jnp.arange(1, k + 1)
    value = (hits * precisions).sum(axis=1) / jnp.clip(relevant, 1, k)
    return reduced(value, relevant > 0, reduce_fn)


def precision_at_r(ids: Array, truth: Array, *, reduce_fn: ReduceFn | None = mean) -> jax.Array:
    """R-precision: the share of relevant items among the first R returned, R a query's relevant items.

    Args:
      ids, truth, reduce_fn: as in `recall`; where fewer than R are returned, the rest are misses.

    Returns: float32, the mean over the queries that have a relevant item.
    """
    hits, relevant = _hits(ids, truth)
    first = jnp.arange(hits.shape[1]) < relevant[:, None]
    count = (hits & first).sum(axis=1)
    return reduced(count / jnp.maximum(relevant, 1), relevant > 0, reduce_fn)


def reciprocal_rank(
    ids: Array, truth: Array, *, k: int | None = None, reduce_fn: ReduceFn | None = mean
) -> jax.Array:
    """MRR: 1 / the rank of the first relevant item returned; 0 where there is none.

    Args:
      ids, truth: as in `recall`.
      k: how many of the returned count; None counts all.
      reduce_fn: as in `recall`.

    Returns: float32, the mean over the queries that have a relevant item: MRR, or MRR@k.
    """
    hits, relevant = _hits(ids, truth)
    k = hits.shape[1] if k is None else k
    checks.at_most("k", k, hits.shape[1], "the number of items returned")
    places = jnp.arange(1, k + 1)
    return reduced((hits[:, :k] / places).max(axis=1), relevant > 0, reduce_fn)


def score_recall(
    scores: Array,
    relevant: Array,
    k: int,
    *,
    ties: str = "pessimistic",
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """Recall@k of scores: the share of a query's relevant items among the k best, with a policy for ties.

    Args:
      scores: [queries, items], larger is better.
      relevant: bool [queries, items].
      k: at most the number of items.
      ties: "pessimistic", "trec_eval" or "expected".
      reduce_fn: as in `recall`.

    Returns: float32, the mean over the queries that have a relevant item.
    """
    scores, relevant, spoiled = _scored(scores, relevant, ties)
    checks.at_most("k", k, scores.shape[1], "the number of items")
    count = relevant.sum(axis=1)
    if ties == "expected":
        better, tied = _groups(scores)
        inside = jnp.clip(k - better, 0, tied) / tied
        hits = jnp.where(relevant, inside, 0).sum(axis=1)
    else:
        hits = _ordered(scores, relevant, ties)[:, :k].sum(axis=1)
    return reduced(hits / jnp.maximum(count, 1), count > 0, reduce_fn, spoiled)


def score_average_precision(
    scores: Array, relevant: Array, *, ties: str = "pessimistic", reduce_fn: ReduceFn | None = mean
) -> jax.Array:
    """MAP of scores: the mean of precision at the ranks of relevant items, with a policy for ties.

    With Hamming distances hundreds of items tie: "expected" is the mean over all orders of what ties. Among
    t equal scores with r relevant ones, behind n items with R relevant ones, the jth place adds

        (r / t) (R + 1 + (j - 1) (r - 1) / (t - 1)) / (n + j)

    and the value is the sum over all places / the number of relevant items.

    Args:
      scores, relevant, ties, reduce_fn: as in `score_recall`.

    Returns: float32, the mean over the queries that have a relevant item: MAP.
    Source: McSherry and Najork 2008, "Computing information retrieval performance measures efficiently in
    the presence of tied scores".

    Examples:
      >>> import numpy as np
      >>> from jaxsim import evaluation
      >>> scores, relevant = np.zeros((1, 2)), np.array([[True, False]])
      >>> float(evaluation.score_average_precision(scores, relevant, ties="expected"))
      0.75
    """
    scores, relevant, spoiled = _scored(scores, relevant, ties)
    if ties == "expected":
        values = _expected_average_precision(scores, relevant)
    else:
        hits, places = _ordered(scores, relevant, ties), jnp.arange(1, scores.shape[1] + 1)
        values = (hits * jnp.cumsum(hits, axis=1) / places).sum(axis=1)
    count = relevant.sum(axis=1)
    return reduced(values / jnp.maximum(count, 1), count > 0, reduce_fn, spoiled)


def score_reciprocal_rank(
    scores: Array, relevant: Array, *, ties: str = "pessimistic", reduce_fn: ReduceFn | None = mean
) -> jax.Array:
    """MRR of scores: 1 / the rank of the best relevant item, with a policy for ties.

    Args:
      scores, relevant, ties, reduce_fn: as in `score_recall`.

    Returns: float32, the mean over the queries that have a relevant item: MRR.
    """
    scores, relevant, spoiled = _scored(scores, relevant, ties)
    places = jnp.arange(1, scores.shape[1] + 1)
    if ties != "expected":
        values = (_ordered(scores, relevant, ties) / places).max(axis=1)
        return reduced(values, relevant.any(axis=1), reduce_fn, spoiled)
    best = jnp.where(relevant, scores, -jnp.inf).max(axis=1, keepdims=True)
    better = (scores > best).sum(axis=1, keepdims=True)
    tied = (scores == best).sum(axis=1, keepdims=True)
    good = ((scores == best) & relevant).sum(axis=1, keepdims=True)
    # The first of `good` among `tied` in random order is at rank j with probability C(tied - j, good - 1) / C(tied, good).
    chance = jnp.exp(_log_choose(tied - places, good - 1) - _log_choose(tied, good))
    chance = jnp.where(places <= tied - good + 1, chance, 0)
    values = jnp.where(good[:, 0] > 0, (chance / (better + places)).sum(axis=1), 0)
    return reduced(values, relevant.any(axis=1), reduce_fn, spoiled)


def top_k_recall(
    exact_scores: Array, ids: Array, k: int, *, reduce_fn: ReduceFn | None = mean
) -> jax.Array:
    """Top-k recall: the share of the exact top k among the best k returned.

    The items returned are ranked by their exact scores, as reranking does. Ties go to the lowest id.

    Args:
      exact_scores: [queries, items], of the scorer whose neighbors are wanted.
      ids: int [queries, returned], any number, in any order, below `items`; -1 is nothing.
      k: at most the number of items. Where fewer are returned, recall is at most returned / k.
      reduce_fn: (values, counts, axis_name) -> number; None gives both.

    Returns: float32, the mean over queries.
    Source: Yadav et al. 2022 (2210.12579), section 4.
    """
    exact_scores, ids = checks.reals("exact_scores", exact_scores), checks.numbers_of("ids", ids)
    checks.shaped("exact_scores", exact_scores, (None, None))
    checks.shaped("ids", ids, (exact_scores.shape[0], None), "one row per row of exact_scores")
    checks.integers("ids", ids)
    checks.at_most("k", k, exact_scores.shape[1], "the number of items")
    checks.below("ids", ids, exact_scores.shape[1], "the number of items")
    return reduced(*_of_top_k(exact_scores, ids, k), reduce_fn, jnp.isnan(exact_scores).any(axis=1))


# The helpers below are jitted as whole functions: by itself each operation would be compiled.


@functools.partial(jax.jit, static_argnames="k")
def _of_top_k(exact_scores, ids, k):
    """(which part of its exact top k each query got [queries], that all of them count)."""
    count = exact_scores.shape[1]
    rows = jnp.arange(len(ids))[:, None]
    returned = jnp.zeros(exact_scores.shape, bool)
    returned = returned.at[rows, jnp.where(ids < 0, count, ids)].set(True, mode="drop")
    # The exact top k that were returned are also the best k of those returned.
    hits = jnp.take_along_axis(returned, top_k(exact_scores, k)[1], axis=1)
    return hits.mean(axis=1), jnp.ones(len(ids), bool)


def _hits(ids, truth):
    """Which returned items are relevant and new [queries, returned], and how many relevant there are."""
    return _hits_of_each(*returned_and_truth(ids, truth))


def returned_and_truth(ids: Array, truth: Array) -> tuple[jax.Array, jax.Array]:
    """Checks ids and truth, and returns both as JAX arrays, int [queries, ...], renumbered together."""
    ids, truth = together(ids=ids, truth=truth, nothing=True)
    checks.shaped("ids", ids, (None, None), "one row per query")
    checks.shaped("truth", truth, (ids.shape[0], None), "one row per row of ids")
    return ids, truth


@jax.jit
@jax.vmap
def _hits_of_each(ids, truth):
    # Sorting finds repeats and members in memory O(returned + relevant).
    order = jnp.argsort(ids, stable=True)
    again = jnp.zeros(ids.shape, bool).at[order[1:]].set(ids[order[1:]] == ids[order[:-1]])
    truth = jnp.sort(truth)
    distinct = jnp.concatenate([jnp.ones(1, bool), truth[1:] != truth[:-1]])[: len(truth)]
    relevant = (distinct & (truth >= 0)).sum()
    if len(truth) == 0:
        return jnp.zeros(ids.shape, bool), relevant
    member = truth[jnp.searchsorted(truth, ids).clip(0, len(truth) - 1)] == ids
    return member & ~again & (ids >= 0), relevant


def _scored(scores, relevant, ties):
    """Scores without NaN, relevance, and which queries had one."""
    checks.one_of("ties", ties, TIES)
    scores = checks.reals("scores", scores)
    checks.shaped("scores", scores, (None, None), "one row per query")
    relevant = checks.given_mask("relevant", relevant, scores.shape, "one per score")
    spoiled = jnp.isnan(scores)
    return jnp.where(spoiled, -jnp.inf, scores), relevant, spoiled.any(axis=1)


@functools.partial(jax.jit, static_argnames="ties")
def _ordered(scores, relevant, ties):
    """Relevance in the order of the ranking [queries, items]."""
    items = jnp.broadcast_to(jnp.arange(scores.shape[1]), scores.shape)
    later = relevant if ties == "pessimistic" else -items
    order = jax.vmap(lambda s, t: jnp.lexsort((t, -s)))(scores, later)
    return jnp.take_along_axis(relevant, order, axis=1)


@jax.jit
@jax.vmap
def _expected_average_precision(scores, relevant):
    """The sum over places of the chance of a relevant item there times its expected precision, per query."""
    order = jnp.argsort(-scores, stable=True)
    ranked, hits = -scores[order], relevant[order]
    begin, end = (jnp.searchsorted(ranked, ranked, side=side) for side in ("left", "right"))
    before = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(hits, dtype=jnp.int32)])
    places = jnp.arange(len(scores))
    tied, above = end - begin, before[begin]
    good = before[end] - above
    share = (places - begin) / jnp.maximum(tied - 1, 1)
    return jnp.sum(good / tied * (above + 1 + share * (good - 1)) / (places + 1))


@jax.jit
def _groups(scores):
    """How many scores are above each, and how many equal it, itself included."""
    ranked = jnp.sort(scores, axis=1)
    low, high = (
        jax.vmap(functools.partial(jnp.searchsorted, side=side))(ranked, scores)
        for side in ("left", "right")
    )
    return scores.shape[1] - high, high - low


def _log_choose(n, k):
    n, k = n.astype(jnp.float32), k.astype(jnp.float32)
    log_factorial = jax.scipy.special.gammaln
    return log_factorial(n + 1) - log_factorial(k + 1) - log_factorial(jnp.maximum(n - k, 0) + 1)
