"""How the arms of annCUR find neighbors: each under a budget of calls, at the settings that suit it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.workbench.networks import tfidf, two_stage
from experiments.workbench.sets import entities
from jaxsim import search, similarity

# Anchor items of the annCUR arms: (key, anchor scores, count) -> int [count].
ANCHORS = {
    "anncur": lambda key, scores, count: search.anchors.uniform(key, scores.shape[1], count),
    "anncur_qr": lambda key, scores, count: search.anchors.pivoted_qr(scores, count),
    "anncur_leverage": search.anchors.leverage,
    "anncur_deim": lambda key, scores, count: search.anchors.deim(scores, count),
    "anncur_kmeans": search.anchors.kmeans_items,
}
# Settings of the arms in rounds; "dual" starts from the dual encoder's best.
ROUNDS = {
    "adacur_2": {"rounds": 2},
    "adacur": {"rounds": 5},
    "adacur_softmax": {"rounds": 5, "temperature": 0.3},
    "adacur_dual": {"rounds": 5, "dual": True},
    "axn_dual": {"rounds": 5, "dual": True, "epochs": 0},
    "axn": {"rounds": 5, "dual": True, "epochs": 50},
}
BASELINES = ("rerank_dual", "rerank_tfidf", "rerank_item_mean")
RIDGES = (1e-2, 3e-2, 1e-1, 3e-1)  # tried on held-out queries


class Side(NamedTuple):
    """Some queries, and a scorer that looks their scores up."""

    scores: np.ndarray
    vectors: np.ndarray

    def scorer(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        return self.scores[rows, items]

    def of(self, rows: slice | np.ndarray) -> "Side":
        return Side(self.scores[rows], self.vectors[rows])


class Method(NamedTuple):
    """An arm: what it can be set to under a budget, and what it finds."""

    settings: Callable[[int], list]  # budget -> settings to choose from
    find: Callable[[Any, Side, int], Any]  # (setting, side, budget) -> what it finds


def chosen(
    method: Method, held_out: Side, tests: Side, *, budget: int, ks: tuple[int, ...]
) -> dict[int, Any]:
    """{k: what an arm finds}, with the settings that find most for the held-out queries."""
    options = method.settings(budget)
    best = dict.fromkeys(ks, options[0])
    if len(options) > 1:
        best, _ = search.best_settings(
            options, lambda o: method.find(o, held_out, budget), held_out.scores, ks=ks
        )
    answers = {o: method.find(o, tests, budget) for o in dict.fromkeys(best.values())}
    return {k: answers[option] for k, option in best.items()}


def method(
    arm: str,
    bed: two_stage.Scored,
    anchors: Side,
    key: jax.Array,
    *,
    k: int,
    shares: tuple[float, ...],
    axn_items: int,
) -> Method:
    """The method of an arm.

    Args:
      arm: of annCUR's `ARMS`.
      bed: the items, and the queries' texts.
      anchors: the anchor queries.
      key: of what is drawn.
      k: neighbors wanted, at most.
      shares: parts of the budget for anchor items, to try.
      axn_items: items per anchor query in the sparse block that AXN factorizes.
    """
    if arm in BASELINES:
        return reranked(arm, bed, anchors, k)
    if arm in ROUNDS:
        return in_rounds(arm, bed, anchors, key, k=k, axn_items=axn_items)
    return by_cur(arm, bed, anchors, key, k=k, shares=shares)


def reranked(arm: str, bed: two_stage.Scored, anchors: Side, k: int) -> Method:
    """`method` of the arms whose first stage is another scorer."""

    def first_stage(side: Side) -> Any:
        if arm == "rerank_item_mean":
            return np.tile(anchors.scores.mean(axis=0), (len(side.scores), 1))
        if arm == "rerank_dual":
            return similarity.dot(side.vectors, bed.item_vectors)
        tests = bed.corpus.queries[-len(side.scores) :]
        return tfidf.scores(entities.joined(tests), entities.joined(bed.corpus.items))

    def find(setting: None, side: Side, budget: int) -> Any:
        return search.rerank(first_stage(side), side.scorer, k=k, budget=budget)

    return Method(lambda budget: [None], find)


def by_cur(
    arm: str,
    bed: two_stage.Scored,
    anchors: Side,
    key: jax.Array,
    *,
    k: int,
    shares: tuple[float, ...],
) -> Method:
    """`method` of annCUR, and of its relatives on scores of items with items."""
    if arm in ANCHORS:
        order = functools.cache(functools.partial(ANCHORS[arm], key, anchors.scores))
        build = functools.partial(search.cur_index, anchors.scores)
    elif bed.item_scores is None:
        raise ValueError(f"{arm} needs scores of items with items, which only data='maxsim' has")
    elif arm == "fixitem":
        item_scores, fixed = bed.item_scores

        def order(count: int) -> np.ndarray:
            return np.arange(min(count, len(fixed)))

        def build(items: np.ndarray, **settings: Any) -> Any:
            return search.fixed_items_index(item_scores[:, items], fixed[items])
    else:
        item_scores, _ = bed.item_scores
        order = functools.partial(search.anchors.uniform, key, len(item_scores))
        build = functools.partial(search.item_cur_index, item_scores)

    @functools.cache
    def index(count: int, rtol: float, ridge: float, center: bool) -> Any:
        return build(order(count), rtol=rtol, ridge=ridge, center=center)

    def find(setting: Any, side: Side, budget: int) -> Any:
        built = index(*dataclasses.astuple(setting))
        return search.anncur(built, side.scorer, len(side.scores), k=k, budget=budget)

    return Method(functools.partial(search.cur_settings, shares=shares), find)


def in_rounds(
    arm: str,
    bed: two_stage.Scored,
    anchors: Side,
    key: jax.Array,
    *,
    k: int,
    axn_items: int,
) -> Method:
    """`method` of ADACUR and AXN."""
    settings = dict(ROUNDS[arm])
    dual, epochs = settings.pop("dual", False), settings.pop("epochs", None)
    factors = None
    if epochs is None:
        basis = search.row_basis(anchors.scores)
    else:  # a sparse block of what the anchor queries' rows hold; nothing else of them is looked at
        count = min(axn_items, len(bed.item_vectors))
        _, near = search.exact(anchors.vectors, bed.item_vectors, count)
        entries = search.drawn_entries(near, anchors.scorer)
        factors = search.factorize(*entries, anchors.vectors, bed.item_vectors, epochs=epochs)
        basis = search.factor_basis(factors.items)

    def find(ridge: float, side: Side, budget: int) -> Any:
        first = prior = None
        if dual:
            first = np.asarray(search.exact(side.vectors, bed.item_vectors, budget)[1])
        if factors is not None:
            prior = search.factor_queries(factors, side.vectors)
        return search.adaptive(
            basis,
            side.scorer,
            len(side.scores),
            k=k,
            budget=budget,
            key=key,
            first=first,
            prior=prior,
            ridge=ridge,
            **settings,
        )

    return Method(lambda budget: list(RIDGES), find)
