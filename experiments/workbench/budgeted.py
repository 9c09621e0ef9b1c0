"""How the arms of annCUR find neighbors: each under a budget of calls, at the settings that suit it.

The configs of the experiments that use this have the fields that its functions name.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from experiments.workbench import text
from jaxsim import search, similarity

# Anchor items of the annCUR arms: (key, anchor scores, count) -> int [count].
ANCHORS = {
    "anncur": lambda key, scores, count: search.anchors.uniform(key, scores.shape[1], count),
    "anncur_qr": lambda key, scores, count: search.anchors.pivoted_qr(scores, count),
    "anncur_leverage": search.anchors.leverage,
    "anncur_deim": lambda key, scores, count: search.anchors.deim(scores, count),
    "anncur_kmeans": search.anchors.kmeans,
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

    def scorer(self, rows, items):
        return self.scores[rows, items]


def chosen(config, prepared, held_out, tests, budget):
    """{k: what an arm finds}, with the settings that find most for the held-out queries."""
    settings, find = prepared
    options = settings(budget)
    best = dict.fromkeys(config.ks, options[0])
    if len(options) > 1:
        best, _ = search.best_settings(
            options, lambda o: find(o, held_out, budget), held_out.scores, ks=config.ks
        )
    answers = {option: find(option, tests, budget) for option in dict.fromkeys(best.values())}
    return {k: answers[option] for k, option in best.items()}


def method(config, arm, shared, anchors, key):
    """An arm as (budget -> settings to choose from, (setting, side, budget) -> what it finds)."""
    most = max(config.ks)
    if arm in BASELINES:

        def first_stage(side):
            if arm == "rerank_item_mean":
                return np.tile(anchors.scores.mean(axis=0), (len(side.scores), 1))
            if arm == "rerank_dual":
                return similarity.dot(side.vectors, shared.item_vectors)
            tests = shared.corpus.queries[-len(side.scores) :]
            return text.tfidf_scores(tests, shared.corpus.items)

        return lambda budget: [None], lambda _, side, budget: search.rerank(
            first_stage(side), side.scorer, k=most, budget=budget
        )
    if arm in ROUNDS:
        return in_rounds(config, arm, shared, anchors, key)
    if arm in ANCHORS:
        order = functools.cache(functools.partial(ANCHORS[arm], key, anchors.scores))
        build = functools.partial(search.cur_index, anchors.scores)
    else:
        if shared.item_scores is None:
            raise ValueError(
                f"{arm} needs scores of items with items, which data={config.data!r} lacks"
            )
        item_scores, fixed = shared.item_scores

        def order(count):
            if arm == "fixitem":
                return np.arange(min(count, len(fixed)))
            return search.anchors.uniform(key, len(item_scores), count)

        def build(items, **settings):
            if arm == "fixitem":
                return search.fixed_items_index(item_scores[:, items], fixed[items])
            return search.item_cur_index(item_scores, items, **settings)

    @functools.cache
    def index(count, rtol, ridge, center):
        return build(order(count), rtol=rtol, ridge=ridge, center=center)

    def find(setting, side, budget):
        found = index(*dataclasses.astuple(setting))
        return search.anncur(found, side.scorer, len(side.scores), k=most, budget=budget)

    return functools.partial(search.cur_settings, shares=config.shares), find


def in_rounds(config, arm, shared, anchors, key):
    """`method` for ADACUR and AXN."""
    settings = dict(ROUNDS[arm])
    dual, epochs = settings.pop("dual", False), settings.pop("epochs", None)
    factors = None
    if epochs is None:
        basis = search.row_basis(anchors.scores)
    else:  # a sparse block of what the anchor queries' rows hold; nothing else of them is looked at
        near = search.exact(
            anchors.vectors, shared.item_vectors, min(config.axn_items, config.items)
        )[1]
        entries = search.drawn_entries(near, anchors.scorer)
        factors = search.factorize(*entries, anchors.vectors, shared.item_vectors, epochs=epochs)
        basis = search.factor_basis(factors.items)

    def find(ridge, side, budget):
        first = prior = None
        if dual:
            first = np.asarray(search.exact(side.vectors, shared.item_vectors, budget)[1])
        if factors is not None:
            prior = search.factor_queries(factors, side.vectors)
        return search.adaptive(
            basis,
            side.scorer,
            len(side.scores),
            k=max(config.ks),
            budget=budget,
            key=key,
            first=first,
            prior=prior,
            ridge=ridge,
            **settings,
        )

    return lambda budget: list(RIDGES), find
