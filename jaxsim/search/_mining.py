"""Mining: hard negatives from a corpus, paraphrase pairs. Ids in, ids out.

Nothing of size [queries, items] is held. What makes a candidate a bad negative is a rule, a function
`Candidates -> bool [m, r]`, True for what may stay; rules compose by being listed.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, ArrayTree, PRNGKey, Scorer, Similarity
from jaxsim.search._ask_and_tell import called
from jaxsim.search._brute_force import exact, filtered, one_side, sides
from jaxsim.search._thresholds import ROUNDING, at_least, at_most
from jaxsim.similarity import cosine, paired

TAKEN = 4096  # rows gathered at once
QUERIES = 2**13  # whose candidates are put in order at once
COPY = 1e-5  # copies of a vector differ by less, relative to its largest entry


class Candidates(NamedTuple):
    """Candidates that mining rules look at: each query's closest items, without positives and their copies."""

    scores: np.ndarray  # float32 [m, r], closest first, -inf where there are none
    ids: np.ndarray  # int32 [m, r], -1 there
    ranks: np.ndarray  # int [m, r], from 1, among non-positives
    positives: np.ndarray  # int32 [m, p], -1 for padding
    positive_scores: (
        np.ndarray
    )  # float32 [m], the lowest among a query's positives; NaN without one


class Mined(NamedTuple):
    """Result of hard negative mining, with counts of what became of the candidates."""

    scores: np.ndarray  # float32 [m, k], -inf where fewer are left
    ids: np.ndarray  # int32 [m, k]; -1 there
    positive_scores: np.ndarray  # float32 [m]
    table: dict  # {what: count} candidates, removed by each rule (by the first that objects), kept, short


def mine_negatives(
    queries: ArrayTree,
    items: ArrayTree,
    positives: Array,
    k: int,
    *,
    rules: Sequence[Callable[[Candidates], Array]] = (),
    depth: int = 100,
    similarity: Similarity = cosine,
    where: Array | None = None,
    text_ids: Array | Sequence[str] | None = None,
    key: PRNGKey | None = None,
    stride: int = 1,
) -> Mined:
    """Hard negative mining: each query's k closest items that are not positives and that no rule removes.

    An item that equals a positive is never a negative, whatever the rules say: an item of the same text where
    `text_ids` says so, and an item whose vector is the positive's up to rounding.

    Args:
      queries: [m, dim], or a pytree that `similarity` takes.
      items: [n, dim], likewise; what is memory-mapped is streamed.
      positives: int [m] or [m, p], the items that a query is about; -1 for padding.
      k: how many per query, at most n.
      rules: functions `Candidates -> bool [m, r]`: `margin`, `relative_margin`, `ranks`, `cap`, `veto`,
        or your own.
      depth: how many of the closest items are candidates, at least k; what exceeds n is not used.
      similarity: (x [m, ...], y [n, ...]) -> [m, n].
      where: bool [n], False for items that are not candidates.
      text_ids: [n], equal for items of equal text: numbers, or the texts themselves. Of each text the
        first item that `where` keeps is a candidate, for queries about other texts.
      key: draws k of those that are left uniformly, in place of the closest.
      stride: cyclic hard negatives: takes every `stride`-th of those that are left, the closest first, and
        begins anew at the first that was not taken until there are k. Negatives are more different then. None
        comes twice: where fewer are left all are taken. Not together with a key.

    Returns: `Mined`.
    Raises: ValueError for shapes that do not fit, queries that are not finite, a positive whose similarity
    is NaN; a key and a stride together; `ScorerError` from `veto`.
    Source: the stride is UniME-V2's cyclic sampling (2510.13515), as a review of it has it.
    """
    item_vectors = checks.vectors(
        "items", items, streamed=True
    )  # where they are: rows are gathered from there
    queries, items, rows, count = sides(queries, items, similarity)
    positives = _ids_of_items("positives", positives, rows, count)
    checks.at_most("k", k, count, "the number of items")
    checks.whole("depth", depth, k)
    depth = min(depth, count)
    for number, rule in enumerate(rules):
        checks.function(f"rule {number} of rules", rule, "such as search.mining.margin(0.1)")
    checks.whole("stride", stride)
    if key is not None:
        checks.key("key", key)
        if stride != 1:
            raise ValueError(f"give a key or a stride, got both: a key, and stride={stride}")
    where, excluded = filtered(where, count), positives
    if text_ids is not None:
        where, excluded = _one_of_each_text(text_ids, positives, where, count)
    scores, ids = exact(queries, items, depth, similarity=similarity, where=where, exclude=excluded)
    scores, ids = np.array(scores), np.array(ids)  # on the host, to be written
    own_scores = _own_scores(queries, item_vectors, positives, similarity)
    copies = 0
    for block in _blocks(rows):
        arrays = ids[block], scores[block], positives[block], own_scores[block]
        copies += _without_copies(item_vectors, *arrays)
    ranks = np.broadcast_to(np.arange(1, depth + 1), ids.shape)
    candidates = Candidates(scores, ids, ranks, positives, _lowest(positives, own_scores))
    mask = ids >= 0
    table = {"copies of a positive": copies, "candidates": int(mask.sum())}
    for number, rule in enumerate(rules):
        verdict = checks.one_array(f"the mask of rule {number}", rule(candidates))
        checks.shaped(f"the mask of rule {number}", verdict, ids.shape)
        checks.booleans(f"the mask of rule {number}", verdict)
        name = f"removed by {getattr(rule, '__name__', f'rule {number}')}"
        table[name] = table.get(name, 0) + int((mask & ~verdict).sum())
        mask &= verdict
    table["kept"] = int(mask.sum())
    table["queries that are short"] = int((mask.sum(axis=1) < k).sum())
    draws = None if key is None else np.asarray(jax.random.uniform(key, ids.shape))
    best = np.full((rows, k), -np.inf, np.float32), np.full((rows, k), -1, np.int32)
    for block in _blocks(rows):
        draw = None if draws is None else draws[block]
        places, left = _places(mask[block], k, stride, draw)
        for array, side in zip(best, (scores, ids), strict=True):
            array[block][left] = np.take_along_axis(side[block], places, axis=1)[left]
    return Mined(*best, candidates.positive_scores, table)


def _blocks(rows):
    return (slice(start, start + QUERIES) for start in range(0, rows, QUERIES))


def _places(mask, k, stride, draws):
    """The places of k candidates among those of `mask`, and which of the places hold one: [m, k] each."""
    order = draws
    if draws is None:
        place = np.cumsum(mask, axis=1) - 1  # among those that are left
        order = place % stride * mask.shape[1] + place // stride
    places = np.argsort(np.where(mask, order, np.inf), axis=1, kind="stable")[:, :k]
    return places, np.take_along_axis(mask, places, axis=1)


def candidate_scores(
    queries: ArrayTree, items: ArrayTree, ids: Array, *, similarity: Similarity = cosine
) -> np.ndarray:
    """Scores of each query with its list of candidates, such as mined negatives, by their ids.

    Of vectors that are gathered already: `similarity.list_scores`.

    Args:
      queries: [m, dim], or a pytree that `similarity` takes.
      items: [n, dim], likewise; what is memory-mapped is streamed.
      ids: int [m, c], -1 for padding.
      similarity: (x [m, ...], y [n, ...]) -> [m, n].

    Returns: float32 [m, c], -inf for padding.
    Raises: ValueError for shapes that do not fit, queries that are not finite, a score that is NaN.
    """
    item_vectors = checks.vectors("items", items, streamed=True)
    queries, _, rows, count = sides(queries, items, similarity)
    ids = _ids_of_items("ids", ids, rows, count)
    scores = _own_scores(queries, item_vectors, ids, similarity, "a candidate")
    return np.where(ids >= 0, scores, -np.inf).astype(np.float32)


def consistency_filter(
    queries: ArrayTree,
    items: ArrayTree,
    positives: Array,
    top: int,
    *,
    similarity: Similarity = cosine,
    where: Array | None = None,
) -> np.ndarray:
    """Ranking consistency filter: which queries have a positive among their `top` closest items.

    The others are left out of training: their label, or the model that mines, is wrong about them.

    Args:
      queries, items, positives, similarity, where: as in `mine_negatives`; a positive counts wherever it is.
      top: how many of the closest items; what exceeds n is not used.

    Returns: bool [m]: no more than top - 1 items are closer than the closest positive, up to rounding; False for
    a query without a positive.
    Raises: ValueError for shapes that do not fit, queries that are not finite, a positive whose similarity is
    NaN.
    Source: Zhao et al. 2025 (KaLM-Embedding-V2, 2506.20923), whose code skips a query where its place, counted
    from 0, is above 50: top=51.
    """
    item_vectors = checks.vectors("items", items, streamed=True)
    queries, items, rows, count = sides(queries, items, similarity)
    positives = _ids_of_items("positives", positives, rows, count)
    checks.whole("top", top)
    where = filtered(where, count)
    scores, _ = exact(queries, items, min(top, count), similarity=similarity, where=where)
    own_scores = np.where(
        positives >= 0, _own_scores(queries, item_vectors, positives, similarity), -np.inf
    )
    best = own_scores.max(axis=1, initial=-np.inf)
    known = (positives >= 0).any(axis=1)
    return known if top > count else known & at_most(np.asarray(scores)[:, -1], best)


def margin(gap: float) -> Callable[[Candidates], Array]:
    """Margin rule: keeps candidates at least `gap` below the lowest positive; all without a positive."""
    checks.finite("gap", gap)

    def below_by_a_margin(candidates):
        lowest = candidates.positive_scores[:, None].astype(np.float64)
        return at_most(candidates.scores, lowest - gap, np.abs(lowest) + abs(gap))

    return below_by_a_margin


def relative_margin(share: float) -> Callable[[Candidates], Array]:
    """Relative margin rule: keeps scores of at most `share`, such as 0.95, of the lowest positive's score.

    Of a negative score p the limit is as far below it as of a positive one: p - (1 - share) |p|. A share of
    it would be above it.

    Args:
      share: from 0 to 1.

    Source: Moreira et al. 2024 (NV-Retriever, 2407.15831), TopK-PercPos.
    """
    checks.probability("share", share)

    def below_a_share(candidates):
        lowest = candidates.positive_scores[:, None].astype(np.float64)
        return at_most(
            candidates.scores, np.where(lowest < 0, (2 - share) * lowest, share * lowest)
        )

    return below_a_share


def ranks(first: int, last: int) -> Callable[[Candidates], Array]:
    """Rank rule: keeps ranks from `first` to `last` among non-positives, counted from 1."""
    checks.whole("first", first)
    checks.whole("last", last, first)

    def in_ranks(candidates):
        return (candidates.ranks >= first) & (candidates.ranks <= last)

    return in_ranks


def cap(highest: float) -> Callable[[Candidates], Array]:
    """Cap rule: keeps scores of at most `highest`."""
    checks.number("highest", highest)

    def below_the_cap(candidates):
        return at_most(candidates.scores, highest)

    return below_the_cap


def veto(scorer: Scorer, gap: float = 0.0) -> Callable[[Candidates], Array]:
    """Veto rule: another scorer, such as a cross-encoder, must score it at least `gap` below the positives too.

    Args:
      scorer: (query_rows int [p], item_ids int [p]) -> float [p]; it is asked for all candidates.
      gap: in its scores.
    """
    checks.function("scorer", scorer, "(query_rows int [p], item_ids int [p]) -> float [p]")
    checks.finite("gap", gap)

    def not_vetoed(candidates):
        rows, places = np.nonzero(candidates.ids >= 0)
        values = np.full(candidates.ids.shape, -np.inf, np.float32)
        values[rows, places] = called(scorer, rows, candidates.ids[rows, places], " in veto")
        queries, columns = np.nonzero(candidates.positives >= 0)
        lowest = np.full(len(candidates.ids), np.inf, np.float32)
        positives = called(scorer, queries, candidates.positives[queries, columns], " in veto")
        np.minimum.at(lowest, queries, positives.astype(np.float32))
        lowest = lowest[:, None].astype(np.float64)
        return at_most(values, lowest - gap, np.abs(lowest) + abs(gap))

    return not_vetoed


def paraphrases(
    vectors: ArrayTree,
    count: int,
    *,
    neighbors: int = 20,
    lowest: float = -np.inf,
    similarity: Similarity = cosine,
) -> tuple[np.ndarray, np.ndarray]:
    """Paraphrase mining: the `count` most similar pairs within a corpus.

    Args:
      vectors: [n, dim], or a pytree that `similarity` takes.
      count: how many pairs at most.
      neighbors: of each row that are looked at; a row is in at most that many pairs as the first. What
        exceeds the rows is not used.
      lowest: the score that a pair needs.
      similarity: symmetric.

    Returns: (scores float32 [p], pairs int32 [p, 2], the lower id first), most similar first.
    Raises: ValueError for vectors that are not finite.
    """
    checks.whole("count", count)
    checks.whole("neighbors", neighbors)
    checks.number("lowest", lowest)
    vectors, rows = one_side(vectors, similarity)
    numbers = np.arange(rows)[:, None]
    scores, ids = exact(
        vectors, vectors, min(neighbors, rows), similarity=similarity, exclude=numbers
    )
    scores, ids = np.asarray(scores).ravel(), np.asarray(ids)
    pairs = np.stack([np.broadcast_to(numbers, ids.shape).ravel(), ids.ravel()], axis=1)
    mask = (pairs[:, 1] >= 0) & at_least(scores, lowest)
    pairs, scores = np.sort(pairs[mask], axis=1), scores[mask]
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    order = np.argsort(-scores[first], kind="stable")[:count]
    return scores[first][order], pairs[order].astype(np.int32)


def same_threshold(
    scores: Array, same: Array, *, precision: float = 0.95
) -> tuple[float, float, float]:
    """Chooses the lowest similarity threshold with a given precision, on labeled pairs.

    Args:
      scores: [pairs].
      same: bool [pairs], what a person says.
      precision: in (0, 1], the share of pairs at or above the threshold that are the same.

    Returns: (threshold, precision there, recall there), floats. Where no threshold has the precision it
    is infinity, with recall 0. Scores that differ by rounding alone fall on one side.
    Raises: ValueError for shapes that do not fit, scores that are not finite, or no pair that is the same.
    """
    scores = checks.host_reals("scores", scores).astype(np.float64)
    checks.shaped("scores", scores, (None,), "one per pair")
    checks.finite_rows("scores", scores)
    same = checks.one_array("same", same)
    checks.shaped("same", same, scores.shape, "one per pair")
    checks.booleans("same", same)
    checks.positive("precision", precision)
    checks.probability("precision", precision)
    if not same.any():
        raise ValueError("same must hold a pair that is the same, got none")
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], np.cumsum(same[order])
    precisions = right / np.arange(1, len(scores) + 1)
    # Equal scores fall on one side together.
    last = np.append(scores[:-1] - scores[1:] > ROUNDING * np.abs(scores[:-1]), True)
    good = np.flatnonzero(last & (precisions >= precision))
    if len(good) == 0:
        return float("inf"), 1.0, 0.0
    place = good[-1]
    return float(scores[place]), float(precisions[place]), float(right[place] / right[-1])


def _ids_of_items(name, ids, rows, count):
    """int32 [rows, p], of items or -1."""
    ids = checks.one_array(name, ids)
    ids = ids[:, None] if ids.ndim == 1 else ids
    checks.shaped(name, ids, (rows, None), "one row per query")
    if ids.size:
        checks.integers(name, ids)
        if ids.max() >= count:
            raise ValueError(f"{name} must be below {count}, got {ids.max()}")
        if ids.min() < -1:
            raise ValueError(f"{name} must be items, or -1 for padding, got {ids.min()}")
    return ids.astype(np.int32)


def _one_of_each_text(text_ids, positives, where, count):
    """The first candidate of each text: bool [n]; and that of each positive's text: int32 [m, p]."""
    text_ids = checks.names("text_ids", text_ids)
    checks.shaped("text_ids", text_ids, (count,), "one per item")
    text = np.unique(text_ids, return_inverse=True)[1]
    candidates = np.arange(count) if where is None else np.flatnonzero(where)
    first = np.full(count, -1)
    first[text[candidates[::-1]]] = candidates[
        ::-1
    ]  # of several the last to be written is the first
    where = np.zeros(count, bool)
    where[first[first >= 0]] = True
    return where, np.where(positives < 0, -1, first[text[positives]]).astype(np.int32)


def _own_scores(queries, items, positives, similarity, what="a positive"):
    """The similarity of each query with its positives: float32 [m, p], NaN for padding."""
    rows, places = np.nonzero(positives >= 0)
    scores = np.full(positives.shape, np.nan, np.float32)
    of_pairs = jax.jit(paired(similarity))
    for start in range(0, len(rows), TAKEN):
        chunk = slice(start, start + TAKEN)
        pairs = _taken(queries, rows[chunk]), _taken(items, positives[rows[chunk], places[chunk]])
        scores[rows[chunk], places[chunk]] = np.asarray(of_pairs(*pairs), np.float32)[
            : len(rows[chunk])
        ]
    bad = np.isnan(scores[rows, places])
    if bad.any():
        query, place = rows[np.argmax(bad)], places[np.argmax(bad)]
        raise ValueError(
            f"items must be finite: item {positives[query, place]}, {what} of query {query}, has "
            "the similarity NaN"
        )
    return scores


def _lowest(positives, scores):
    """The lowest of a query's own scores, NaN without a positive: float32 [m]."""
    known = positives >= 0
    lowest = np.where(known, scores, np.inf).min(axis=1, initial=np.inf)
    return np.where(known.any(axis=1), lowest, np.nan).astype(np.float32)


def _without_copies(items, ids, scores, positives, own_scores):
    """Puts copies of a positive of their query last, as -1 and -inf, in place; returns how many there were."""
    copies = _copies(items, ids, scores, positives, own_scores)
    order = np.argsort(copies, axis=1, kind="stable")
    ids[...] = np.take_along_axis(np.where(copies, -1, ids), order, axis=1)
    scores[...] = np.take_along_axis(np.where(copies, -np.inf, scores), order, axis=1)
    return int(copies.sum())


def _copies(items, ids, scores, positives, own_scores):
    """Which candidates are copies of a positive of their query: bool [m, r].

    Only of those that score as the positive does up to rounding the vectors are looked at.
    """
    copies = np.zeros(ids.shape, bool)
    for mine, values in zip(positives.T, own_scores.T, strict=True):
        with np.errstate(invalid="ignore"):
            near = np.abs(scores - values[:, None]) <= COPY * np.maximum(np.abs(values), 1)[:, None]
        rows, places = np.nonzero(near & (ids >= 0) & ~copies & (mine >= 0)[:, None])
        for start in range(0, len(rows), TAKEN):
            chunk = slice(start, start + TAKEN)
            sides = _taken(items, ids[rows[chunk], places[chunk]]), _taken(items, mine[rows[chunk]])
            copies[rows[chunk], places[chunk]] = _equal(*sides)[: len(rows[chunk])]
    return copies


def _equal(one, other):
    """Which rows of two pytrees are copies, up to the rounding of an encoder: bool [rows]."""
    equal = True
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = (np.asarray(side, np.float32).reshape(len(side), -1) for side in (a, b))
        size = np.abs(a).max(axis=1, initial=0, keepdims=True)
        with np.errstate(invalid="ignore"):  # infinities are equal, and have no difference
            near = (a == b) | (np.abs(a - b) <= COPY * size)
        equal = equal & near.all(axis=1)
    return equal


def _taken(tree, rows):
    """Rows of a pytree as NumPy arrays, filled up to a power of 2: few gathers are compiled."""
    rows = np.pad(rows, (0, (1 << (len(rows) - 1).bit_length()) - len(rows)))
    return jax.tree.map(lambda leaf: np.asarray(leaf[rows]), tree)
