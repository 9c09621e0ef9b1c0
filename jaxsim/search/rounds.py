"""Search under a budget of calls: ask which pairs to score, score them, tell, and go on.

One host loop, `ask_and_tell`, runs every budgeted search, so that all are charged alike: a call is a
distinct (query, item) pair that the scorer was asked for, and nothing else is counted. A search is
a sequence of pure functions `ask(scored) -> item ids`, one per round; telling is the same for all.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.topk import top_k
from jaxsim.search.cur import cur_scores


class Scored(NamedTuple):
    """What has been paid for: each query's scored items, in the order of asking. A pytree."""

    ids: jax.Array  # int32 [m, budget], -1 where nothing is yet
    scores: jax.Array  # float32 [m, budget], -inf there


class Found(NamedTuple):
    """The answer of a budgeted search."""

    ids: np.ndarray  # int32 [m, k], best exact score first; -1 where fewer than k were scored
    scores: np.ndarray  # float32 [m, k], exact; -inf there
    calls: np.ndarray  # int [m], distinct items of each query that the scorer was asked for
    scored: Scored  # everything that was paid for


class ScorerError(RuntimeError):
    """A scorer failed. `scored` holds the rounds that were finished."""

    def __init__(self, message, scored):
        super().__init__(message)
        self.scored = scored


def anncur(index, scorer, num_queries, *, k, budget, query_block=256):
    """k-NN search by CUR: score the anchor items, estimate the rest, re-score the best by estimate.

    The anchor items' exact scores take part in the answer and are never paid for twice.

    Args:
      index: `CurIndex`.
      scorer: (query_rows int [p], item_ids int [p]) -> float [p]; `search.scorer` makes one.
      num_queries: m; query_rows run from 0 to m - 1.
      k: how many items to return, at most n. Where k > budget the rest are -1.
      budget: calls per query, at least the number of anchor items; what exceeds n is not used.
      query_block: queries whose estimates are held at once, [query_block, n].

    Returns: `Found`.
    Raises: ValueError for a budget below the anchors, `ScorerError` for a scorer that raises or
    returns NaN.
    Source: Yadav et al. 2022 (2210.12579), section 3.
    """
    anchors, count = index.item_embeddings.shape
    checks.at_most("k", k, count, "the number of items")
    checks.whole("budget", budget)
    if budget < anchors:
        raise ValueError(
            f"budget={budget} is below the index's {anchors} anchor items: "
            "raise budget or build with fewer anchors"
        )
    budget = min(budget, count)

    def ask_anchors(scored):
        return jnp.broadcast_to(index.anchor_items, (scored.ids.shape[0], anchors))

    asks = [ask_anchors]
    if budget > anchors:
        asks.append(
            functools.partial(
                _best_estimates, index, quota=budget - anchors, query_block=query_block
            )
        )
    return ask_and_tell(asks, scorer, num_queries, num_items=count, k=k, budget=budget)


def ask_and_tell(asks, scorer, num_queries, *, num_items, k, budget):
    """The one loop of budgeted search.

    Args:
      asks: one function per round, `Scored -> ids int [m, quota]`; -1 asks for nothing, and what was
        scored before (or twice in a round) is not paid for again.
      scorer: (query_rows int [p], item_ids int [p]) -> float [p].
      num_queries: m.
      num_items: n.
      k: how many of the scored items to return, best exact score first, ties to the lowest id.
      budget: distinct calls that a query may make.

    Returns: `Found`.
    Raises: ValueError where a round asks for more than is left or for an unknown item; `ScorerError`.
    """
    checks.whole("num_queries", num_queries)
    checks.at_most("k", k, num_items, "the number of items")
    checks.whole("budget", budget)
    scored = Scored(
        np.full((num_queries, budget), -1, np.int32),
        np.full((num_queries, budget), -np.inf, np.float32),
    )
    calls = np.zeros(num_queries, int)
    for number, ask in enumerate(asks):
        ids = np.asarray(ask(jax.tree.map(jnp.asarray, scored)), np.int32)
        checks.shaped(f"the ids of round {number}", ids, (num_queries, None), "one row per query")
        if ids.size and ids.max() >= num_items:
            raise ValueError(f"round {number} asked for item {ids.max()} of {num_items}")
        rows, places = np.nonzero(_fresh(ids, scored.ids))
        if len(rows) == 0:
            continue
        asked = ids[rows, places]
        counts = np.bincount(rows, minlength=num_queries)
        if (calls + counts).max() > budget:
            raise ValueError(
                f"round {number} asked for {counts.max()} items, which exceeds budget={budget}"
            )
        values = _called(scorer, rows, asked, number, scored)
        # A query's new pairs go behind those it has: rows are sorted, so its own stand together.
        order = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        scored = Scored(scored.ids.copy(), scored.scores.copy())
        scored.ids[rows, calls[rows] + order] = asked
        scored.scores[rows, calls[rows] + order] = values
        calls += counts
    return _answer(scored, calls, k)


def unscored(estimates, scored):
    """Estimates [m, n] with -inf at what has been paid for."""
    rows = jnp.arange(estimates.shape[0])[:, None]
    ids = jnp.where(scored.ids < 0, estimates.shape[1], scored.ids)  # past the end: dropped
    return estimates.at[rows, ids].set(-jnp.inf, mode="drop")


@functools.partial(jax.jit, static_argnames=("quota", "query_block"))
def _best_estimates(index, scored, *, quota, query_block):
    """The items of the best estimates among those not scored: int [m, quota]."""
    anchors = len(index.anchor_items)

    def best(some):
        # The first round put the anchors' scores first, in their order.
        estimates = cur_scores(index, some.scores[:anchors])
        return top_k(unscored(estimates[None], jax.tree.map(lambda a: a[None], some)), quota)[1][0]

    return jax.lax.map(best, scored, batch_size=min(query_block, scored.ids.shape[0]))


def _fresh(ids, known):
    """Which of ids [m, q] are items not in known [m, b] nor earlier in their own row."""
    fresh = ids >= 0
    both = np.concatenate([known, ids], axis=1)
    order = np.argsort(both, axis=1, kind="stable")
    ranked = np.take_along_axis(both, order, axis=1)
    repeated = np.zeros_like(both, bool)
    again = np.concatenate([np.zeros((len(ids), 1), bool), ranked[:, 1:] == ranked[:, :-1]], axis=1)
    np.put_along_axis(repeated, order, again, axis=1)
    return fresh & ~repeated[:, known.shape[1] :]


def _called(scorer, rows, items, number, scored):
    """The scorer's values, or an error that keeps what was paid for."""
    try:
        values = np.asarray(scorer(rows.astype(np.int32), items))
    except Exception as error:
        raise ScorerError(
            f"the scorer raised {type(error).__name__} in round {number}: {error}", scored
        ) from error
    if values.shape != rows.shape:
        raise ScorerError(
            f"the scorer must return one score per pair, [{len(rows)}], got shape {values.shape}",
            scored,
        )
    if bad := np.isnan(values).sum():
        first = np.flatnonzero(np.isnan(values))[0]
        raise ScorerError(
            f"the scorer returned NaN for {bad} of {len(rows)} pairs in round {number}, "
            f"first for query {rows[first]} and item {items[first]}",
            scored,
        )
    return values


def _answer(scored, calls, k):
    order = np.lexsort((scored.ids, -scored.scores), axis=1)[:, :k]
    ids, scores = (np.take_along_axis(a, order, axis=1) for a in scored)
    short = k - ids.shape[1]
    if short > 0:
        ids = np.pad(ids, ((0, 0), (0, short)), constant_values=-1)
        scores = np.pad(scores, ((0, 0), (0, short)), constant_values=-np.inf)
    return Found(ids, scores, calls, scored)
