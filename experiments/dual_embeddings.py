"""Dual embeddings (Kvernadze et al. 2022): complements are found from one table of skip-gram to the other.

Claim: of two tables trained on items bought together, an item's input vector against the output
vectors of others (in-out) recommends what is bought with it, better than either table by itself
(in-in, out-out: substitutes), than counting, and than the best sellers. Made-up pairs of similar
items extend that to items that were never bought.
Data: orders of Overstock and Instacart in the paper; here market baskets from JAXSIM_DATA, in the
order of time; `smoke` takes the modules that files of the standard library import together.
Predicts: in-out above in-in and out-out by a clear factor; about as good as counting on orders;
above it only on pairs that training never saw, where counting has nothing to say.

All arms that use tables choose among the same settings and snapshots, each by its own recall on the
validation orders. Cold start: a tenth of the items is hidden from training and asked for; similar
items are those of similar names, by TF-IDF of letters.
"""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.sets import baskets, sources
from jaxsim import data, evaluation, similarity


@dataclasses.dataclass(frozen=True)
class Config:
    """The baskets, the two tables with their training, and the settings that arms choose among."""

    seed: int = 0  # of the pairs removed, the items hidden and the tables' start
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "groceries"  # groceries or retail (need JAXSIM_DATA), or imports
    ks: tuple[int, ...] = (5, 10)  # how many items are recommended
    min_count: int = 3  # orders that must have a pair
    min_pmi: float = 0.0  # nats, of a pair
    removed: float = 0.1  # part of the training pairs that is taken out and asked for
    hidden: float = 0.1  # part of the items that cold start hides
    dim: int = 50  # of both tables
    batch: int = 128  # pairs per step
    steps: int = 4000  # of training
    snapshots: int = 4  # points at which training may be stopped early
    rates: tuple[float, ...] = (0.015, 0.05)  # of SGD, at the start, falling to 0
    exponents: tuple[float, ...] = (-0.5, 0.0, 0.75)  # of the counts in the noise
    negatives: tuple[int, ...] = (10,)  # per pair
    thresholds: tuple[float, ...] = (1e-2,)  # frequency above which an item is thinned out
    gamma: float = 0.5  # how much a made-up pair counts
    neighbors: int = 3  # similar items that may replace one
    similar: float = 0.2  # the least similarity of names that does

    def __post_init__(self) -> None:
        settings.one_of(self, data=sources.BASKETS)
        settings.whole(self, 0, "min_count")
        settings.whole(
            self, 1, "ks", "dim", "batch", "steps", "snapshots", "negatives", "neighbors"
        )
        settings.positive(self, "rates", "thresholds")
        settings.finite(self, "min_pmi", "exponents", "gamma")
        settings.part(self, "removed", "hidden", "similar")
        settings.some(self, "ks", "rates", "exponents", "negatives", "thresholds")
        if self.snapshots > self.steps:
            raise ValueError(f"snapshots must be at most steps={self.steps}, got {self.snapshots}")


PRESETS = {
    "smoke": Config(
        arms=("in_out", "in_in", "counts", "top_sellers", "cold_both"),
        data="imports",
        ks=(5,),
        dim=8,
        batch=64,
        steps=60,
        snapshots=2,
        rates=(0.05,),
        exponents=(0.0,),
        hidden=0.3,
    ),
    "cpu": Config(),
    "full": Config(
        rates=(0.015, 0.03, 0.05, 0.1),
        exponents=(-0.5, -0.1, 0.0, 0.75),
        negatives=(5, 10, 20, 30),
        thresholds=(1e-3, 1e-2),
        steps=16_000,
    ),
    "gpu": Config(
        data="retail",
        ks=(20, 50),
        dim=100,
        batch=4096,
        steps=40_000,
        rates=(0.015, 0.045, 0.15),
        negatives=(5, 20),
        thresholds=(1e-4, 1e-3, 1e-2),
        exponents=(-0.5, -0.1, 0.0, 0.5, 0.75),
    ),
}
SEEDS = {"cpu": 3, "full": 5, "gpu": 3}
SHOWN = ("recall",)
Score = Callable[[np.ndarray], Any]  # item numbers [rows] -> scores of all items [rows, items]
TABLES = {  # of the query, of what is recommended, and how they are compared
    "in_out": ("in", "out", similarity.cosine),
    "in_in": ("in", "in", similarity.cosine),
    "out_out": ("out", "out", similarity.cosine),
    "in_out_dot": ("in", "out", similarity.dot),
}
ARMS = {
    "in_out": "the input table against the output table: the paper's method",
    "in_in": "the input table against itself",
    "out_out": "the output table against itself",
    "in_out_dot": "as in_out, without normalization",
    "counts": "what was bought together most often",
    "top_sellers": "what was bought most often",
    "cold_made_up": "cold items: trained on made-up pairs too (DA)",
    "cold_substitute": "cold items: answered by the most similar known item (IA)",
    "cold_both": "cold items: made-up pairs, and a substitute where these gave none",
    "cold_top_sellers": "cold items: what was bought most often",
}


class Shared(NamedTuple):
    """What the arms share."""

    split: baskets.Split
    settings: dict  # of the sweep, float [runs] each
    tables: dict  # {"in", "out"}: [snapshots, runs, items, dim]
    facts: dict


def fingerprint(config: Config) -> data.Baskets:
    """Of the data: all sessions."""
    return sources.chosen(sources.BASKETS, config.data)()


def split_of(config: Config, hidden: np.ndarray | None = None) -> baskets.Split:
    """The sessions split by time, as a config filters them; hidden items are not trained on."""
    return baskets.split(
        config.data,
        min_count=config.min_count,
        min_pmi=config.min_pmi,
        removed=config.removed,
        seed=config.seed,
        hidden=hidden,
    )


def prepare(config: Config, workdir: Path) -> Shared:
    """The split, and both tables for every setting of the sweep, trained side by side."""
    split = split_of(config)
    choices = {
        "rate": config.rates,
        "exponent": config.exponents,
        "negatives": config.negatives,
        "threshold": config.thresholds,
    }
    grid = list(itertools.product(*choices.values()))
    settings = dict(zip(choices, map(np.array, zip(*grid, strict=True)), strict=True))
    tables = trained(config, split, settings, "sweep")
    facts = {"items": len(split.names), "training pairs": len(split.pairs), "settings": len(grid)}
    return Shared(split, settings, tables, facts)


def trained(
    config: Config,
    split: baskets.Split,
    settings: dict[str, Any],
    label: str,
    *,
    more: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Tables of a split for each setting; `more`, (pairs, counts), is trained on too."""
    pairs, counts = split.pairs, split.counts
    if more is not None:
        pairs, counts = (np.concatenate(both) for both in zip((pairs, counts), more, strict=True))
    keys = jax.random.split(jax.random.key(config.seed), len(settings["rate"]))
    return baskets.train(
        pairs,
        counts,
        split.item_counts,
        settings,
        keys,
        dim=config.dim,
        batch=config.batch,
        steps=config.steps,
        snapshots=config.snapshots,
        label=label,
    )


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm: figures on the orders and on the removed pairs, or on cold items."""
    if arm in COLD:
        return cold(config, arm, shared)
    split, items = shared.split, len(shared.split.names)
    score = SCORES[arm](config, arm, shared)
    asked = {"orders": (split.test, None), "unseen": (split.removed, split.pairs)}
    rows = []
    for subset, (pairs, known) in asked.items():
        partners = baskets.truth(pairs, items)
        answers = baskets.ranked(score, items, max(config.ks), known=known)
        rows += figures(config, subset, answers, partners)
    return rows


def figures(config: Config, subset: str, answers: np.ndarray, partners: np.ndarray) -> list[dict]:
    """A row for each k, with figures per item that is asked about."""
    return [{"subset": subset, "k": k, **baskets.figures(answers, partners, k)} for k in config.ks]


def from_tables(config: Config, arm: str, shared: Shared) -> Score:
    """The scores of both tables, as an arm compares them, at its best setting."""
    return between(arm, shared.tables, *best_setting(config, arm, shared))


def from_counts(config: Config, arm: str, shared: Shared) -> Score:
    """How often two items were bought together; what never was has no score."""
    split, items = shared.split, len(shared.split.names)
    together = np.full((items, items), -np.inf, np.float32)
    for one, other in (split.pairs.T, split.pairs.T[::-1]):
        together[one, other] = split.counts
    return lambda rows: together[rows]


def from_sales(config: Config, arm: str, shared: Shared) -> Score:
    """How often an item was bought, whatever is asked."""
    return best_sellers(shared.split)


SCORES = {
    **dict.fromkeys(TABLES, from_tables),
    "counts": from_counts,
    "top_sellers": from_sales,
}


def best_sellers(split: baskets.Split) -> Score:
    """The same scores for every item: how often each was bought."""
    return lambda rows: np.tile(split.item_counts, (len(rows), 1))


def between(arm: str, tables: dict[str, Any], snapshot: int, place: int) -> Score:
    """The scores of one run's tables, as an arm compares them."""
    query, item, by = TABLES[arm]
    return baskets.between(tables[query][snapshot, place], tables[item][snapshot, place], by)


def best_setting(config: Config, arm: str, shared: Shared) -> tuple[int, int]:
    """(snapshot, setting) with the best recall on the validation orders."""
    split, k = shared.split, max(config.ks)
    partners = baskets.truth(split.validation, len(split.names))

    def recall(which):
        answers = baskets.ranked(between(arm, shared.tables, *which), len(split.names), k)
        return float(evaluation.recall(answers, partners, k))

    return runner.best(list(np.ndindex(shared.tables["in"].shape[:2])), recall)


def cold(config: Config, arm: str, shared: Shared) -> list[dict]:
    """Items that training never saw, asked for with in-out's best setting."""
    items = len(shared.split.names)
    hidden = np.random.default_rng([config.seed, 2]).random(items) < config.hidden
    split = split_of(dataclasses.replace(config, removed=0.0), hidden)
    likeness = baskets.name_similarity(config.data)
    np.fill_diagonal(likeness, -1)
    answers = COLD[arm](config, shared, split, likeness)
    partners = np.where(hidden[:, None], baskets.truth(split.test, items), -1)
    if not (partners >= 0).any():
        raise ValueError(
            f"hidden must leave out an item that is bought in the test part, got {config.hidden}"
        )
    return figures(config, "cold", answers, partners)


def cold_best_sellers(
    config: Config, shared: Shared, split: baskets.Split, likeness: np.ndarray
) -> np.ndarray:
    """What was bought most often."""
    return baskets.ranked(best_sellers(split), len(split.names), max(config.ks))


def cold_substitute(
    config: Config, shared: Shared, split: baskets.Split, likeness: np.ndarray
) -> np.ndarray:
    """An item that training saw answers for the one of the most similar name (IA)."""
    score, known = trained_again(config, shared, split, "substitutes")
    return substituted(config, score, known, likeness)


def cold_made_up(
    config: Config, shared: Shared, split: baskets.Split, likeness: np.ndarray
) -> np.ndarray:
    """Trained on made-up pairs of similar items too (DA); an item without any has no answer."""
    pairs = made_up(config, split, likeness)
    score, known = trained_again(config, shared, split, "made-up pairs", more=pairs)
    answers = baskets.ranked(among(score, known), len(known), max(config.ks))
    return np.where(known[:, None], answers, -1)


def cold_both(
    config: Config, shared: Shared, split: baskets.Split, likeness: np.ndarray
) -> np.ndarray:
    """Made-up pairs, and a substitute where these gave none."""
    pairs = made_up(config, split, likeness)
    score, known = trained_again(config, shared, split, "made-up pairs", more=pairs)
    return substituted(config, score, known, likeness)


COLD = {
    "cold_made_up": cold_made_up,
    "cold_substitute": cold_substitute,
    "cold_both": cold_both,
    "cold_top_sellers": cold_best_sellers,
}


def made_up(
    config: Config, split: baskets.Split, likeness: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(pairs, counts) in which an item takes the place of one of a similar name."""
    near = np.argsort(-likeness, axis=1, kind="stable")[:, : config.neighbors]
    return data.synthetic_pairs(
        split.pairs,
        split.counts,
        near,
        np.take_along_axis(likeness, near, axis=1),
        gamma=config.gamma,
        threshold=config.similar,
    )


def trained_again(
    config: Config,
    shared: Shared,
    split: baskets.Split,
    label: str,
    *,
    more: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Score, np.ndarray]:
    """(in-out scores at its best setting, bool [items]: which have vectors) of another split."""
    snapshot, place = best_setting(config, "in_out", shared)
    setting = {name: column[[place]] for name, column in shared.settings.items()}
    tables = trained(config, split, setting, label, more=more)
    known = np.zeros(len(split.names), bool)
    known[split.pairs if more is None else np.concatenate([split.pairs, more[0]])] = True
    return between("in_out", tables, snapshot, 0), known


def substituted(
    config: Config, score: Score, known: np.ndarray, likeness: np.ndarray
) -> np.ndarray:
    """Answers where an item without a vector asks as the known item of the most similar name."""
    nearest = np.where(known, likeness, -1).argmax(axis=1)
    asks = np.where(known, np.arange(len(known)), nearest)
    return baskets.ranked(among(lambda rows: score(asks[rows]), known), len(known), max(config.ks))


def among(score: Score, known: np.ndarray) -> Score:
    """Scores of known items alone."""
    return lambda rows: np.where(known, score(rows), -np.inf)


def claim(rows: list[dict]) -> runner.Claim:
    """In-out above the tables by themselves, on orders; against counting and best sellers, reported."""
    return runner.against(
        [row for row in rows if row["arm"] != "in_out_dot"],
        "in_out",
        on="recall",
        needed=("in_in", "out_out"),
        question="in-out finds more of what is bought together than one table by itself",
        where=lambda row: row["subset"] == "orders",
    )


def pictures(rows: list[dict]) -> dict:
    """recall.png: recall at the largest k, by subset."""
    most = max(row["k"] for row in rows)
    chosen = [row for row in runner.summary(rows) if row["k"] == most]
    figure = pictures_.bars(chosen, y="recall", panel="subset", title=f"recall@{most}")
    return {"recall": figure}
