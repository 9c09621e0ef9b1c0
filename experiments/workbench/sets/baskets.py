"""Baskets for recommendation: what is learnt from, what is asked, and two tables trained on pairs."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.workbench.measures.figures import each
from experiments.workbench.networks import tfidf
from experiments.workbench.sets import sources
from jaxsim import data, encoders, evaluation, losses, similarity, training
from jaxsim.numerics import top_k, total
from jaxsim.numerics.types import Similarity


class Split(NamedTuple):
    """Sessions in the order of time, and the pairs of items that each part gives."""

    names: list  # of the items
    item_counts: np.ndarray  # int [items], training sessions that have each
    pairs: np.ndarray  # int32 [pairs, 2], learnt from
    counts: np.ndarray  # int [pairs]
    removed: np.ndarray  # int32 [pairs, 2], taken out of training to be asked for
    validation: np.ndarray  # int32 [pairs, 2], of later sessions
    test: np.ndarray  # int32 [pairs, 2], of the latest


def split(
    source: str,
    *,
    min_count: int,
    min_pmi: float,
    removed: float,
    seed: int,
    hidden: np.ndarray | None = None,
) -> Split:
    """Sessions split by time, 80/10/10, each part filtered likewise; a tenth of the pairs is removed.

    Args:
      source: groceries, retail or imports.
      min_count, min_pmi: what a pair must have.
      removed: part of the training pairs that is taken out and asked for.
      seed: of what is removed.
      hidden: bool [items], items that training must not see; None hides none.
    """
    baskets = sources.chosen(sources.BASKETS, source)()
    sessions, items = data.without_outliers(baskets.sessions), len(baskets.names)
    ends = [len(sessions) * part // 10 for part in (0, 8, 9, 10)]
    parts = [sessions[a:b] for a, b in itertools.pairwise(ends)]
    if hidden is not None:
        parts[0] = [session[~hidden[session]] for session in parts[0]]
    filtered, totals = [], []
    for part in parts:
        pairs, counts = data.session_pairs(part)
        totals.append(data.item_counts(part, items))
        frequent = data.pmi_filter(
            pairs, counts, totals[-1], len(part), min_count=min_count, min_pmi=min_pmi
        )
        filtered.append((pairs[frequent], counts[frequent]))
    (pairs, counts), (validation, _), (test, _) = filtered
    random = np.random.default_rng([seed, 1])
    gone = random.random(len(pairs)) < removed
    parts = {"training": pairs[~gone], "validation": validation, "test": test}
    for part, left in parts.items():
        if not len(left):
            raise ValueError(
                f"data={source!r} has no {part} pairs at min_count={min_count}, "
                f"min_pmi={min_pmi}, removed={removed}: lower these"
            )
    return Split(
        baskets.names, totals[0], pairs[~gone], counts[~gone], pairs[gone], validation, test
    )


def name_similarity(source: str) -> np.ndarray:
    """Similarities of the items' names in [0, 1], by TF-IDF of letters: float [items, items]."""
    return tfidf.likeness(sources.chosen(sources.BASKETS, source)().names)


def truth(pairs: np.ndarray, items: int) -> np.ndarray:
    """Each item's partners: int32 [items, most], -1 where it has fewer."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    sizes = np.bincount(both[:, 0], minlength=items)
    partners = np.full((items, max(sizes.max(initial=0), 1)), -1, np.int32)
    partners[np.arange(partners.shape[1]) < sizes[:, None]] = both[:, 1]
    return partners


def train(
    pairs: np.ndarray,
    counts: np.ndarray,
    item_counts: np.ndarray,
    settings: dict[str, Any],
    keys: jax.Array,
    *,
    dim: int,
    batch: int,
    steps: int,
    snapshots: int,
    label: str,
) -> dict[str, Any]:
    """Both tables by SGNS, for several settings at once.

    Args:
      pairs, counts: as `Split` has them.
      item_counts: for the noise and the subsampling.
      settings: {"rate", "exponent", "threshold", "negatives"}, float [runs] each.
      keys: jax.random keys [runs].
      dim: of both tables.
      batch: pairs per step.
      steps: of training.
      snapshots: how many are kept, in equal distances.
      label: of the progress bar.

    Returns: {"in", "out"}: [snapshots, runs, items, dim].
    """
    most = int(max(settings["negatives"]))
    both, counts = jnp.asarray(pairs), jnp.asarray(counts, jnp.float32)
    frequencies = item_counts / max(item_counts.sum(), 1)
    kept_parts = [data.word2vec_keep_probability(frequencies, t) for t in settings["threshold"]]
    # A pair is seen where both ends are kept; each run draws by its own line of weights.
    weights = [
        counts * jnp.asarray(keep[both[:, 0]] * keep[both[:, 1]], jnp.float32)
        for keep in kept_parts
    ]
    settings = {
        "rate": jnp.asarray(settings["rate"]),
        "negatives": jnp.asarray(settings["negatives"], jnp.int32),
        "ends": jnp.stack([jnp.cumsum(w) / w.sum() for w in weights]),
        "noise": jnp.stack(
            [data.negatives.count_power(item_counts, e) for e in settings["exponent"]]
        ),
    }

    def draw(setting):
        def of(key):
            which, side = jax.random.split(key)
            rows = jnp.searchsorted(setting["ends"], jax.random.uniform(which, (batch,)))
            rows = jnp.minimum(rows, len(both) - 1)
            # Each pair predicts in both directions.
            turned = jax.random.bernoulli(side, shape=(batch,))
            one, other = (jnp.where(turned, both[rows, 1 - s], both[rows, s]) for s in (0, 1))
            return {"target": one, "context": other, "where": jnp.ones(batch, bool), "ids": rows}

        return of

    def optimizer(setting):
        def lookup(batch, key):
            drawn = data.negatives.draw(
                key, setting["noise"], (len(batch["context"]), most), without=batch["context"]
            )
            return {
                "in": batch["target"],
                "out": jnp.concatenate([batch["context"], drawn.ravel()]),
            }

        def rate(step):
            return setting["rate"] * (1 - step / steps)

        return training.sgd_rows(rate, lookup)

    def objective(setting):
        def loss(rows, batch, *, key, axis_name):
            count = len(batch["context"])
            seen, drawn = rows["out"][:count], rows["out"][count:]
            used = jnp.broadcast_to(jnp.arange(most) < setting["negatives"], (count, most))
            # A sum over pairs: one update of each, as if they came one by one.
            return losses.sgns(
                rows["in"],
                seen,
                drawn.reshape(count, most, -1),
                negative_where=used,
                where=batch["where"],
                axis_name=axis_name,
                reduce_fn=total,
            )

        return loss

    starts = jax.vmap(lambda key: encoders.in_out_tables(key, len(item_counts), dim))(keys)
    return training.fit_seeds(
        objective,
        starts,
        draw,
        optimizer=optimizer,
        settings=settings,
        keys=keys,
        steps=steps,
        snapshots=snapshots,
        label=label,
    )[0]


def ranked(
    score: Callable[[np.ndarray], Any],
    items: int,
    k: int,
    *,
    known: np.ndarray | None = None,
    block: int = 1024,
) -> np.ndarray:
    """The k best other items of every item: int [items, k], -1 where fewer have a score.

    Args:
      score: (item numbers [rows]) -> [rows, items]; what is -inf is never found.
      items: how many.
      k: how many to find.
      known: int [pairs, 2], pairs that are not asked for; None asks for all.
      block: items that are asked for at once.
    """
    known = np.empty((0, 2), int) if known is None else known
    known = np.concatenate([known, known[:, ::-1]])
    answers = []
    for start in range(0, items, block):
        rows = np.arange(start, min(start + block, items))
        scores = np.array(score(rows), np.float32)
        scores[rows - start, rows] = -np.inf
        there = known[(known[:, 0] >= start) & (known[:, 0] < start + block)]
        scores[there[:, 0] - start, there[:, 1]] = -np.inf
        values, ids = (np.asarray(a) for a in top_k(jnp.asarray(scores), k))
        answers.append(np.where(np.isneginf(values), -1, ids))
    return np.concatenate(answers)


def between(
    queries: Any, items: Any, by: Similarity = similarity.cosine
) -> Callable[[np.ndarray], jax.Array]:
    """What `ranked` takes, from two tables [items, dim]: in-out or in-in is a choice of the two."""
    return lambda rows: by(jnp.asarray(queries[rows]), jnp.asarray(items))


def figures(ids: np.ndarray, partners: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """Precision, recall and average precision at k, per query that has a partner."""
    measures = {
        "precision": evaluation.precision,
        "recall": evaluation.recall,
        "average precision": evaluation.average_precision,
    }
    asked = (partners >= 0).any(axis=1)
    return {name: each(measure, ids, partners, k)[asked] for name, measure in measures.items()}
