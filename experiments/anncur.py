"""annCUR (Yadav et al. 2022): k-NN search with a cross-encoder, by CUR factorisation.

Claim: for k > 10, at an equal budget of cross-encoder calls, annCUR finds more of the
cross-encoder's own nearest neighbours than retrieving with a dual encoder or with TF-IDF and
reranking. No dual encoder has to be trained for it.
Data: ZESHEL in the paper (entity mentions, worlds unseen in training). Here docstrings: the summary
line is the query, the body below it the item, test packages unseen in training; the `gpu` preset
links SemCor's words in context to WordNet's glosses, from JAXSIM_DATA.
Predicts: top-k recall of annCUR above both rerank arms for k of 50 and 100, over all budgets.

The cross-encoder itself is the truth. Every arm is charged for every distinct call; annCUR's split
of the budget, cutoff, ridge and centring are chosen on held-out anchor queries, which are scored
anyway. Both encoders are trained from scratch on the same pairs, with the same layers.
"""

import dataclasses
import logging
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from experiments import pictures as pictures_
from experiments import runner
from experiments.workbench import text
from jaxsim import data, evaluation, search, similarity

LOG = logging.getLogger("jaxsim.experiments")


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 0
    arms: tuple[str, ...] = ()  # which arms to run; all unless told
    data: str = "docstrings"  # docstrings, docstrings-small, or entities (needs JAXSIM_DATA)
    items: int = 2000  # items to search among
    anchor_queries: int = 120  # queries that the index is built from, per draw (k_q)
    held_out_queries: int = 40  # more of them, to choose annCUR's settings on
    test_queries: int = 100
    draws: int = 3  # draws of anchor queries and anchor items
    ks: tuple[int, ...] = (1, 10, 50, 100)  # neighbours wanted
    budgets: tuple[int, ...] = (50, 100, 200, 300, 500)  # cross-encoder calls per query
    shares: tuple[float, ...] = (0.3, 0.5, 0.7)  # parts of the budget for anchor items, to try
    vocabulary: int = 8000  # word pieces
    query_length: int = 24  # tokens
    item_length: int = 40  # tokens
    dim: int = 64
    layers: int = 2
    heads: int = 2
    dual_dropout: float = 0.1
    cross_dropout: float = 0.0  # in the [EMB] head's dot product it is mostly noise
    head: str = "emb"  # of the cross-encoder: emb (the paper's proposal) or cls
    temperature: float = 0.05  # of the dual encoder's InfoNCE
    dual_steps: int = 300
    dual_batch: int = 128
    dual_rate: float = 1e-3
    mined: int = 50  # hard negatives mined per query
    negatives: int = 7  # in training, half of them mined; 63 in the paper
    cross_steps: int = 400
    cross_batch: int = 32
    cross_rate: float = 1e-3
    training_queries: int = 100_000  # at most


PRESETS = {
    "smoke": Config(
        data="docstrings-small",
        items=150,
        anchor_queries=24,
        held_out_queries=8,
        test_queries=16,
        draws=2,
        ks=(1, 10),
        budgets=(20, 40),
        shares=(0.5,),
        vocabulary=1000,
        query_length=12,
        item_length=16,
        dim=16,
        layers=1,
        dual_steps=8,
        dual_batch=32,
        mined=10,
        negatives=3,
        cross_steps=8,
        cross_batch=16,
    ),
    "cpu": Config(),
    "gpu": Config(
        data="entities",
        items=40_000,
        anchor_queries=500,
        held_out_queries=100,
        test_queries=400,
        budgets=(50, 100, 200, 500, 1000),
        vocabulary=30_000,
        query_length=64,
        item_length=64,
        dim=384,
        layers=6,
        heads=6,
        dual_steps=8000,
        dual_batch=512,
        dual_rate=3e-4,
        mined=200,
        negatives=31,
        cross_steps=12_000,
        cross_batch=64,
        cross_rate=2e-4,
    ),
}
ARMS = {
    "anncur": "uniform anchor items, the paper's method",
    "anncur_qr": "anchor items by pivoted QR of the anchor queries' scores",
    "rerank_dual": "the dual encoder retrieves, the cross-encoder reranks",
    "rerank_tfidf": "TF-IDF retrieves, the cross-encoder reranks",
    "rerank_item_mean": "items in the order of their mean score over the anchor queries",
}
BASELINES = ("rerank_dual", "rerank_tfidf", "rerank_item_mean")


class Shared(NamedTuple):
    """What the arms share: all scores of the cross-encoder that are ever looked at."""

    corpus: text.Corpus  # of the test side
    anchor_scores: np.ndarray  # [pool of anchor queries, items]
    test_scores: np.ndarray  # [test queries, items]: the truth
    dual_scores: np.ndarray  # [test queries, items] by the dual encoder
    tests: np.ndarray  # which queries of the corpus are test queries
    facts: dict


def fingerprint(config):
    """Of the data: what the training and the test side hold."""
    return data.fingerprint([[*c.queries[:50], *c.items] for c in corpora(config)])


def corpora(config):
    """(training, test)."""
    queries = config.anchor_queries + config.held_out_queries + config.test_queries
    if config.data == "entities":
        return (
            text.entities("train", queries=config.training_queries, items=0, seed=0),
            text.entities("test", queries=queries, items=config.items, seed=0),
        )
    known = {"docstrings": "all", "docstrings-small": "small"}
    if config.data not in known:
        raise ValueError(f"data must be one of {(*known, 'entities')}, got {config.data!r}")
    train, test = (text.docstrings(s, config=known[config.data]) for s in ("train", "test"))
    if len(test.items) < config.items:
        raise ValueError(f"items must be at most {len(test.items)}, got {config.items}")
    kept = slice(config.items)
    return train, text.Corpus(test.queries[kept], test.items[kept], test.gold[kept])


def prepare(config: Config, workdir: Path):
    """Both encoders, and the cross-encoder's scores of anchor and test queries with all items."""
    train, test = corpora(config)
    tokenizer = text.tokenizer(train, workdir / "tokenizer.json", vocabulary=config.vocabulary)
    queries, items = text.tokenized(train, tokenizer, config)
    dual = text.dual_encoder(queries, items, train.gold, config, workdir / "dual_encoder")
    mined = text.hard_negatives(dual, queries, items, train.gold, count=config.mined)
    cross = text.cross_encoder(queries, items, train.gold, mined, config, workdir / "cross_encoder")

    queries, items = text.tokenized(test, tokenizer, config)
    random = np.random.default_rng(config.seed)
    pool = config.anchor_queries + config.held_out_queries
    chosen = random.permutation(len(queries))[: pool + config.test_queries]
    tests = chosen[pool:]
    half = config.query_length // 2
    scorer = search.scorer(
        cross.function,
        cross.params,
        data.padded([queries[i] for i in chosen], config.query_length),
        data.padded(items, config.item_length),
        query_buckets=(half, config.query_length),
        item_buckets=(config.item_length,),  # nearly all items are cut
    )
    # The anchor queries' rows are the index; the test queries' rows are the truth, and no arm sees
    # more of them than it pays for.
    scores = search.anchor_scores(
        scorer,
        len(chosen),
        len(items),
        path=workdir / "scores",
        fingerprint=text.parameters_fingerprint(cross.params),
        label="scoring pairs",
    )
    anchor_scores, test_scores = scores[:pool], scores[pool:]
    vectors = [text.embedded(dual, data.padded(t)) for t in ([queries[i] for i in tests], items)]
    dual_scores = np.asarray(similarity.cosine(*vectors))
    gold = np.arange(len(items)) == test.gold[tests][:, None]
    singular = np.linalg.svd(anchor_scores - anchor_scores.mean(), compute_uv=False)
    facts = {
        "items": len(items),
        "MRR of the cross-encoder": float(evaluation.score_reciprocal_rank(test_scores, gold)),
        "MRR of the dual encoder": float(evaluation.score_reciprocal_rank(dual_scores, gold)),
        "standard deviation of the scores": float(test_scores.std()),
        "rank for 99 % of the centred squares": int(
            np.searchsorted(np.cumsum(singular**2) / np.sum(singular**2), 0.99) + 1
        ),
    }
    return Shared(test, anchor_scores, test_scores, dual_scores, tests, facts)


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm: top-k recall per draw and test query, for every budget and k."""
    found = {}  # (budget, k): recall [draws, queries]
    for draw in range(config.draws):
        key = jax.random.fold_in(jax.random.key(config.seed), draw)
        order = np.asarray(jax.random.permutation(key, len(shared.anchor_scores)))
        rows = shared.anchor_scores[order]
        anchors, held_out = rows[: config.anchor_queries], rows[config.anchor_queries :]
        for budget in config.budgets:
            answers = searched(config, arm, shared, anchors, held_out, key, budget)
            for k, answer in answers.items():
                if answer.calls.max() > budget:
                    raise ValueError(f"{arm} made {answer.calls.max()} calls of budget={budget}")
                values, _ = evaluation.top_k_recall(
                    shared.test_scores, answer.ids, k, reduce_fn=None
                )
                found.setdefault((budget, k), []).append(np.asarray(values))
    return [
        {"k": k, "budget": budget, "recall": np.stack(draws)}
        for (budget, k), draws in found.items()
    ]


def searched(config, arm, shared, anchors, held_out, key, budget):
    """{k: what an arm finds under a budget}; the scorer looks up what was scored for the truth."""
    most, queries = max(config.ks), len(shared.tests)

    def scorer(rows, items):
        return shared.test_scores[rows, items]

    if arm in BASELINES:
        first = {
            "rerank_dual": lambda: shared.dual_scores,
            "rerank_tfidf": lambda: text.tfidf_scores(
                [shared.corpus.queries[i] for i in shared.tests], shared.corpus.items
            ),
            "rerank_item_mean": lambda: np.tile(anchors.mean(axis=0), (queries, 1)),
        }[arm]()
        return dict.fromkeys(config.ks, search.rerank(first, scorer, k=most, budget=budget))

    def anchor_items(count):
        if arm == "anncur_qr":
            return search.pivoted_qr(anchors, count)
        return search.uniform(key, anchors.shape[1], count)

    settings, _ = search.tune_anncur(
        anchors, held_out, anchor_items, ks=config.ks, budget=budget, shares=config.shares
    )
    answers = {}
    for chosen in set(settings.values()):
        index = search.cur_index(
            anchors,
            anchor_items(chosen.anchors),
            rtol=chosen.rtol,
            ridge=chosen.ridge,
            center=chosen.center,
        )
        answers[chosen] = search.anncur(index, scorer, queries, k=most, budget=budget)
    return {k: answers[chosen] for k, chosen in settings.items()}


def claim(rows):
    """annCUR above the rerank arms for k > 10 at equal budgets: against which, and by how much?"""
    large = [row["k"] for row in rows if row["k"] > 10] or [max(row["k"] for row in rows)]
    compared = [
        runner.difference(rows, "anncur", over=name, on="recall", where=lambda r: r["k"] in large)
        for name in BASELINES
        if any(row["arm"] == name for row in rows)
    ]
    return runner.judged(
        f"annCUR's recall beats rerank for k of {sorted(set(large))} at equal budget",
        compared,
        needed=("rerank_dual", "rerank_tfidf"),
    )


def pictures(rows):
    """recall_vs_budget.png, with the largest recall that a budget allows."""
    figure = pictures_.curves(
        runner.summary(rows),
        x="budget",
        y="recall",
        panel="k",
        ceiling=lambda budget, k: min(1.0, budget / k),
        title="Top-k recall of the cross-encoder's own neighbours",
    )
    return {"recall_vs_budget": figure}
