"""Mining: hard negatives from a corpus, paraphrase pairs, near-duplicates. Ids in, ids out.

Nothing of size [queries, items] is held. What makes a candidate a bad negative is a rule, a function
`Candidates -> bool [m, r]`, True for what may stay; rules compose by being listed.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.search.brute_force import exact
from jaxsim.similarity import cosine, paired

ROWS = 256  # rows compared at once


class Candidates(NamedTuple):
    """What rules look at: the items closest to each query, positives taken out."""

    ids: np.ndarray  # int32 [m, r], closest first, -1 where there are none
    scores: np.ndarray  # float32 [m, r]
    ranks: np.ndarray  # int [m, r], from 1, among what is no positive
    positives: np.ndarray  # int32 [m, p], -1 for padding
    positive_scores: (
        np.ndarray
    )  # float32 [m], the lowest among a query's positives; NaN without one


class Mined(NamedTuple):
    """Hard negatives, and what became of the candidates."""

    ids: np.ndarray  # int32 [m, k], -1 where fewer are left
    scores: np.ndarray  # float32 [m, k]; -inf there
    positive_scores: np.ndarray  # float32 [m]
    table: dict  # {what: count} candidates, removed by each rule (by the first that objects), kept, short


def mine_negatives(
    queries, items, positives, k, *, rules=(), depth=100, similarity=cosine, where=None, key=None
):
    """k hard negatives of each query: the closest items that are no positives and that no rule removes.

    Args:
      queries: [m, dim], or a pytree that `similarity` takes.
      items: [n, dim], likewise; what is memory-mapped is streamed.
      positives: int [m] or [m, p], the items that a query is about; -1 for padding.
      k: how many per query.
      rules: functions `Candidates -> bool [m, r]`: `margin`, `relative_margin`, `ranks`, `cap`, `veto`,
        or your own.
      depth: how many of the closest items are candidates.
      similarity: (x [m, ...], y [n, ...]) -> [m, n].
      where: bool [n], False for items that are no candidates.
      key: draws k of those that are left uniformly, in place of the closest.

    Returns: `Mined`.
    Raises: ValueError for shapes that do not fit.
    """
    count = checks.rows_of("items", items)
    rows = checks.rows_of("queries", queries)
    positives = np.asarray(positives, np.int32)
    positives = positives[:, None] if positives.ndim == 1 else positives
    checks.shaped("positives", positives, (rows, None), "one row per query")
    if positives.size and positives.max() >= count:
        raise ValueError(f"positives must be below {count}, got {positives.max()}")
    checks.whole("k", k)
    checks.whole("depth", depth, k)
    depth = min(depth, count)
    scores, ids = exact(
        queries, items, depth, similarity=similarity, where=where, exclude=positives
    )
    scores, ids = np.asarray(scores), np.asarray(ids)
    ranks = np.broadcast_to(np.arange(1, depth + 1), ids.shape)
    found = Candidates(
        ids, scores, ranks, positives, _lowest(queries, items, positives, similarity)
    )
    kept = ids >= 0
    table = {"candidates": int(kept.sum())}
    for number, rule in enumerate(rules):
        verdict = np.asarray(rule(found))
        checks.shaped(f"the mask of rule {number}", verdict, ids.shape)
        name = getattr(rule, "__name__", f"rule {number}")
        table[f"removed by {name}"] = int((kept & ~verdict).sum())
        kept &= verdict
    table["kept"] = int(kept.sum())
    table["queries that are short"] = int((kept.sum(axis=1) < k).sum())
    order = np.arange(depth) if key is None else np.asarray(jax.random.uniform(key, ids.shape))
    places = np.argsort(np.where(kept, order, np.inf), axis=1, kind="stable")[:, :k]
    left = np.take_along_axis(kept, places, axis=1)
    return Mined(
        np.where(left, np.take_along_axis(ids, places, axis=1), -1).astype(np.int32),
        np.where(left, np.take_along_axis(scores, places, axis=1), -np.inf).astype(np.float32),
        found.positive_scores,
        table,
    )


def margin(gap):
    """A rule: at least `gap` below the lowest positive. Queries without a positive keep all."""

    def below_by_a_margin(found):
        return ~(found.scores > found.positive_scores[:, None] - gap)

    return below_by_a_margin


def relative_margin(share):
    """A rule: at most `share` of the lowest positive's score, such as 0.95.

    Source: Moreira et al. 2024 (NV-Retriever, 2407.15831), TopK-PercPos.
    """

    def below_a_share(found):
        return ~(found.scores > share * found.positive_scores[:, None])

    return below_a_share


def ranks(first, last):
    """A rule: ranks from `first` to `last` among what is no positive, counted from 1."""

    def in_ranks(found):
        return (found.ranks >= first) & (found.ranks <= last)

    return in_ranks


def cap(highest):
    """A rule: a score of at most `highest`."""

    def below_the_cap(found):
        return found.scores <= highest

    return below_the_cap


def veto(scorer, gap=0.0):
    """A rule: another scorer, such as a cross-encoder, also puts it at least `gap` below the positives.

    Args:
      scorer: (query_rows int [p], item_ids int [p]) -> float [p]; it is asked for all candidates.
      gap: in its scores.
    """

    def not_vetoed(found):
        rows, places = np.nonzero(found.ids >= 0)
        values = np.full(found.ids.shape, -np.inf, np.float32)
        values[rows, places] = scorer(rows.astype(np.int32), found.ids[rows, places])
        own, columns = np.nonzero(found.positives >= 0)
        lowest = np.full(len(found.ids), np.inf, np.float32)
        np.minimum.at(lowest, own, scorer(own.astype(np.int32), found.positives[own, columns]))
        return values <= lowest[:, None] - gap

    return not_vetoed


def paraphrases(vectors, count, *, neighbours=20, lowest=-np.inf, similarity=cosine):
    """The `count` most similar pairs within a corpus.

    Args:
      vectors: [n, dim], or a pytree that `similarity` takes.
      count: how many pairs at most.
      neighbours: of each row that are looked at; a row is in at most that many pairs as the first.
      lowest: the score that a pair needs.
      similarity: symmetric.

    Returns: (pairs int32 [p, 2], the lower id first, scores float32 [p]), most similar first.
    """
    rows = checks.rows_of("vectors", vectors)
    checks.whole("count", count)
    own = np.arange(rows)[:, None]
    scores, ids = exact(vectors, vectors, min(neighbours, rows), similarity=similarity, exclude=own)
    scores, ids = np.asarray(scores).ravel(), np.asarray(ids)
    pairs = np.stack([np.broadcast_to(own, ids.shape).ravel(), ids.ravel()], axis=1)
    kept = (pairs[:, 1] >= 0) & (scores >= lowest)
    pairs, scores = np.sort(pairs[kept], axis=1), scores[kept]
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    order = np.argsort(-scores[first], kind="stable")[:count]
    return pairs[order].astype(np.int32), scores[first][order]


def near_duplicates(vectors, threshold, *, similarity=cosine):
    """Groups of rows that a chain of similarities of at least `threshold` holds together.

    Every pair is compared, block by block.

    Args:
      vectors: [n, dim], or a pytree that `similarity` takes.
      threshold: as `same_threshold` finds it.
      similarity: symmetric.

    Returns: int32 [n], the lowest id of each row's group; a row of its own has its own id.
    """
    from scipy.sparse import coo_matrix  # comes with jax
    from scipy.sparse.csgraph import connected_components

    rows = checks.rows_of("vectors", vectors)
    vectors = jax.tree.map(jnp.asarray, vectors)
    compare = jax.jit(lambda x, y: similarity(x, y) >= threshold)
    starts = range(0, rows, ROWS)
    edges = [np.zeros((0, 2), int)]
    for start in starts:
        first = min(start, max(rows - ROWS, 0))  # the last block starts early: one compilation
        some = jax.tree.map(lambda a, f=first: a[f : f + ROWS], vectors)
        left, right = np.nonzero(np.asarray(compare(some, vectors)))
        edges.append(np.stack([left + first, right], axis=1))
    edges = np.concatenate(edges)
    graph = coo_matrix((np.ones(len(edges), np.int8), edges.T), shape=(rows, rows))
    _, groups = connected_components(graph, directed=False)
    lowest = np.full(groups.max(initial=-1) + 1, rows)
    np.minimum.at(lowest, groups, np.arange(rows))
    return lowest[groups].astype(np.int32)


def same_threshold(scores, same, *, precision=0.95):
    """The lowest threshold above which pairs are "the same" with a given precision, on labelled pairs.

    Args:
      scores: [pairs].
      same: bool [pairs], what a person says.
      precision: in (0, 1], the share of pairs at or above the threshold that are the same.

    Returns: (threshold, precision there, recall there), floats. Where no threshold has the precision it
    is infinity, with recall 0.
    Raises: ValueError for shapes that do not fit, or no pair that is the same.
    """
    scores, same = np.asarray(scores, np.float64), np.asarray(same)
    checks.shaped("same", same, scores.shape, "one per pair")
    checks.booleans("same", same)
    checks.positive("precision", precision)
    checks.probability("precision", precision)
    if not same.any():
        raise ValueError("same must hold a pair that is the same, got none")
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], np.cumsum(same[order])
    found = right / np.arange(1, len(scores) + 1)
    last = np.append(scores[1:] != scores[:-1], True)  # equal scores fall on one side together
    good = np.flatnonzero(last & (found >= precision))
    if len(good) == 0:
        return float("inf"), 1.0, 0.0
    place = good[-1]
    return float(scores[place]), float(found[place]), float(right[place] / right[-1])


def _lowest(queries, items, positives, similarity):
    """The lowest similarity of each query with its positives, NaN without one: float32 [m]."""
    rows, places = np.nonzero(positives >= 0)
    lowest = np.full(len(positives), np.inf, np.float32)
    if len(rows):
        of_pairs = jax.jit(paired(similarity))
        own = positives[rows, places]
        for start in range(0, len(rows), 4096):
            some = slice(start, start + 4096)
            left = jax.tree.map(lambda a, i=rows[some]: np.asarray(a)[i], queries)
            right = jax.tree.map(lambda a, i=own[some]: np.asarray(a[i]), items)
            np.minimum.at(lowest, rows[some], np.asarray(of_pairs(left, right), np.float32))
    return np.where(np.isinf(lowest), np.nan, lowest)
