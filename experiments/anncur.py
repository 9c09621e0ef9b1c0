"""annCUR (Yadav et al. 2022): k-NN search with a cross-encoder, by CUR factorization.

Claim: for k > 10, at an equal budget of cross-encoder calls, annCUR finds more of the
cross-encoder's own nearest neighbors than retrieving with a dual encoder or with TF-IDF and
reranking. No dual encoder has to be trained for it.
Data: ZESHEL in the paper (entity mentions, worlds unseen in training). Here docstrings: the summary
line is the query, the body below it the item, test packages unseen in training; the `gpu` preset
links SemCor's words in context to WordNet's glosses, from JAXSIM_DATA.
Predicts: top-k recall of annCUR above both rerank arms for k of 50 and 100, over all budgets.

The cross-encoder itself is the truth. Every arm is charged for every distinct call; what an arm leaves
open (annCUR's split of the budget, cutoff, centering, ridges) is chosen on held-out anchor queries, which
are scored anyway. Both encoders are trained from scratch on the same pairs, with the same layers.

The follow-ups are arms too: ADACUR (2305.02996) and AXN (2405.03651), and the paper's baselines on
scores of items with items. `maxsim` puts late interaction of a pretrained encoder's tokens in the place
of the cross-encoder, where that encoder itself retrieves so well that the claim need not hold.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench import each
from experiments.workbench.measures import budgeted
from experiments.workbench.networks import maxsim, models, two_stage
from experiments.workbench.sets import entities, sources
from jaxsim import evaluation, similarity

DATA = (*sources.DOCSTRINGS, "entities", "maxsim")


@dataclasses.dataclass(frozen=True)
class Config:
    """The items and queries, the encoders with their training, and the budgets of calls."""

    seed: int = 0  # of the encoders' start, the queries drawn and the draws of anchors
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "docstrings"  # docstrings, docstrings-small; with JAXSIM_DATA entities, maxsim
    items: int = 2000  # items to search among
    anchor_queries: int = 120  # queries that the index is built from, per draw (k_q)
    held_out_queries: int = 40  # more of them, to choose annCUR's settings on
    test_queries: int = 100  # queries that recall is measured on
    draws: int = 3  # draws of anchor queries and anchor items
    ks: tuple[int, ...] = (1, 10, 50, 100)  # neighbors wanted
    budgets: tuple[int, ...] = (50, 100, 200, 300, 500)  # cross-encoder calls per query
    shares: tuple[float, ...] = (0.3, 0.5, 0.7)  # parts of the budget for anchor items, to try
    vocabulary: int = 8000  # word pieces
    query_length: int = 24  # tokens of a query, at most
    item_length: int = 40  # tokens of an item, at most
    dim: int = 64  # of both encoders
    layers: int = 2  # of both encoders
    heads: int = 2  # of attention, in both encoders
    dual_dropout: float = 0.1  # of the dual encoder
    cross_dropout: float = 0.0  # of the cross-encoder; in the [EMB] head it is mostly noise
    head: str = "emb"  # of the cross-encoder: emb (the paper's proposal) or cls
    temperature: float = 0.05  # of the dual encoder's InfoNCE
    dual_steps: int = 300  # of the dual encoder's training
    dual_batch: int = 128  # pairs per step of the dual encoder
    dual_rate: float = 1e-3  # highest learning rate of the dual encoder
    mined: int = 50  # hard negatives mined per query
    negatives: int = 7  # in training, half of them mined; 63 in the paper
    cross_steps: int = 400  # of the cross-encoder's training
    cross_batch: int = 32  # queries per step of the cross-encoder
    cross_rate: float = 1e-3  # highest learning rate of the cross-encoder
    training_queries: int = 100_000  # of entities, at most
    axn_items: int = 100  # items per anchor query in the sparse block that AXN factorizes
    item_anchors: int = 250  # items that all items are scored with, for fixitem and itemcur
    tokens: int = 28  # of a text, in maxsim
    model: str = ""  # in maxsim, the folder of all-MiniLM-L6-v2 where its package is not there

    def __post_init__(self) -> None:
        settings.whole(
            self,
            1,
            "items",
            "anchor_queries",
            "held_out_queries",
            "test_queries",
            "draws",
            "ks",
            "budgets",
            "vocabulary",
            "query_length",
            "item_length",
            "dim",
            "layers",
            "heads",
            "dual_steps",
            "dual_batch",
            "mined",
            "negatives",
            "cross_steps",
            "cross_batch",
            "training_queries",
            "axn_items",
            "item_anchors",
            "tokens",
        )
        settings.positive(self, "temperature", "dual_rate", "cross_rate")
        settings.part(self, "shares", "dual_dropout", "cross_dropout")
        settings.some(self, "ks", "budgets", "shares")
        settings.one_of(self, data=DATA, head=two_stage.HEADS)
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads={self.heads}, got {self.dim}")
        if max(self.ks) > self.items:
            raise ValueError(f"ks must be at most items={self.items}, got {max(self.ks)}")


CLAIM = ("anncur", "anncur_qr", "rerank_dual", "rerank_tfidf", "rerank_item_mean")
PRESETS = {
    "smoke": Config(
        arms=(*CLAIM, "adacur", "axn"),
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
    "cpu": Config(arms=CLAIM),
    "maxsim": Config(
        data="maxsim",
        items=5000,
        anchor_queries=500,
        held_out_queries=100,
        test_queries=200,
        draws=1,
        budgets=(50, 100, 200),
    ),
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
    "anncur_leverage": "anchor items drawn by leverage scores",
    "anncur_deim": "anchor items by DEIM",
    "anncur_kmeans": "anchor items nearest to the centers of clusters",
    "adacur_2": "ADACUR, 2 rounds from a uniform start",
    "adacur": "ADACUR, 5 rounds from a uniform start",
    "adacur_softmax": "ADACUR, 5 rounds, items sampled from the softmax of the estimates",
    "adacur_dual": "ADACUR, 5 rounds from the dual encoder's best",
    "axn_dual": "AXN, 5 rounds on the dual encoder's item vectors and a bias",
    "axn": "AXN, 5 rounds on factors of a sparse block of the anchor queries' scores",
    "fixitem": "items and queries by their scores with fixed items (maxsim only)",
    "itemcur": "annCUR with fixed items in the place of anchor queries (maxsim only)",
    "rerank_dual": "the dual encoder retrieves, the cross-encoder reranks",
    "rerank_tfidf": "TF-IDF retrieves, the cross-encoder reranks",
    "rerank_item_mean": "items in the order of their mean score over the anchor queries",
}


class Shared(NamedTuple):
    """What the arms share: all scores of the cross-encoder that are ever looked at."""

    # Its queries are the pool of anchor queries, then the test queries: of the pool's scores the index
    # is built, those of the tests are the truth.
    bed: two_stage.Scored
    facts: dict[str, float]


def queries_of(config: Config) -> int:
    """How many queries are drawn: to build on, to choose on, to test on, in this order."""
    return config.anchor_queries + config.held_out_queries + config.test_queries


def corpora(config: Config) -> tuple[entities.Corpus, entities.Corpus]:
    """(training, test), with enough queries to test on."""
    queries = queries_of(config)
    train, test = entities.corpora(
        config.data,
        queries=queries,
        items=config.items,
        training_queries=config.training_queries,
    )
    if queries > len(test.queries):
        raise ValueError(
            "anchor_queries, held_out_queries and test_queries must add up to at most "
            f"{len(test.queries)}, the queries that there are, got {queries}"
        )
    return train, test


def fingerprint(config: Config) -> dict[str, Any]:
    """Of the data: what the training and the test side hold, and a pretrained model's weights."""
    if config.data != "maxsim":
        return dict(zip(("training", "test"), corpora(config), strict=True))
    return {
        "test": maxsim.captions(items=config.items, queries=queries_of(config), seed=0),
        "weights": runner.folder_fingerprint(models.folder(config.model)),
    }


def scored(config: Config, workdir: Path) -> two_stage.Scored:
    """The scores of the drawn queries with all items, and the dual encoder's vectors."""
    if config.data == "maxsim":
        return maxsim.scored(
            items=config.items,
            queries=queries_of(config),
            fixed_items=config.item_anchors,
            tokens=config.tokens,
            folder=config.model,
            seed=config.seed,
            workdir=workdir,
        )
    train, test = corpora(config)
    return two_stage.scored(
        train,
        test,
        queries=queries_of(config),
        sizes=two_stage.Sizes(
            vocabulary=config.vocabulary,
            dim=config.dim,
            layers=config.layers,
            heads=config.heads,
            query_length=config.query_length,
            item_length=config.item_length,
        ),
        dual=two_stage.Training(
            config.dual_steps, config.dual_batch, config.dual_rate, config.dual_dropout
        ),
        cross=two_stage.Training(
            config.cross_steps, config.cross_batch, config.cross_rate, config.cross_dropout
        ),
        temperature=config.temperature,
        mined=config.mined,
        negatives=config.negatives,
        head=config.head,
        seed=config.seed,
        workdir=workdir,
    )


def prepare(config: Config, workdir: Path) -> Shared:
    """The cross-encoder's scores of anchor and test queries with all items, and the dual encoder's vectors."""
    bed = scored(config, workdir)
    pool = config.anchor_queries + config.held_out_queries
    tests = bed.scores[pool:]
    centered = bed.scores[:pool] - bed.scores[:pool].mean()
    squares = np.cumsum(np.linalg.svd(centered, compute_uv=False) ** 2)
    facts: dict[str, float] = {
        "items": len(bed.corpus.items),
        "standard deviation of the scores": float(tests.std()),
        "rank for 99 % of the centered squares": int(
            np.searchsorted(squares, 0.99 * squares[-1]) + 1
        ),
    }
    if config.data != "maxsim":
        gold = np.arange(len(bed.corpus.items)) == bed.corpus.gold[pool:, None]
        dual = np.asarray(similarity.dot(bed.query_vectors[pool:], bed.item_vectors))
        for name, scores in (("cross-encoder", tests), ("dual encoder", dual)):
            facts[f"MRR of the {name}"] = float(evaluation.score_reciprocal_rank(scores, gold))
    return Shared(bed, facts)


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm: top-k recall per draw and test query, for every budget and k."""
    pool = config.anchor_queries + config.held_out_queries
    side = budgeted.Side(shared.bed.scores, shared.bed.query_vectors)
    tests = side.of(slice(pool, None))
    recalls = {}  # (budget, k): [draws, queries]
    for draw in range(config.draws):
        key = jax.random.fold_in(jax.random.key(config.seed), draw)
        order = np.asarray(jax.random.permutation(key, pool))
        method = budgeted.method(
            arm,
            shared.bed,
            side.of(order[: config.anchor_queries]),
            key,
            k=max(config.ks),
            shares=config.shares,
            axn_items=config.axn_items,
        )
        held_out = side.of(order[config.anchor_queries :])
        for budget in config.budgets:
            answers = budgeted.chosen(method, held_out, tests, budget=budget, ks=config.ks)
            for k, answer in answers.items():
                if answer.calls.max() > budget:
                    raise ValueError(f"{arm} made {answer.calls.max()} calls of budget={budget}")
                recall = each(evaluation.top_k_recall, tests.scores, answer.ids, k)
                recalls.setdefault((budget, k), []).append(recall)
    return [
        {"k": k, "budget": budget, "recall": np.stack(draws)}
        for (budget, k), draws in recalls.items()
    ]


def claim(rows: list[dict]) -> runner.Claim:
    """annCUR above the rerank arms for k > 10 at equal budgets: against which, and by how much?"""
    large = sorted({row["k"] for row in rows if row["k"] > 10}) or [max(row["k"] for row in rows)]
    return runner.against(
        [row for row in rows if row["arm"] in ("anncur", *budgeted.BASELINES)],
        "anncur",
        on="recall",
        needed=("rerank_dual", "rerank_tfidf"),
        question=f"annCUR's recall beats rerank for k of {large} at equal budget",
        where=lambda row: row["k"] in large,
    )


def pictures(rows: list[dict]) -> dict:
    """recall_vs_budget.png, with the largest recall that a budget allows."""
    figure = pictures_.curves(
        runner.summary(rows),
        x="budget",
        y="recall",
        panel="k",
        x_unit="calls of the cross-encoder",
        ceiling=lambda budget, k: min(1.0, budget / k),
        title="Top-k recall of the cross-encoder's own neighbors",
    )
    return {"recall_vs_budget": figure}
