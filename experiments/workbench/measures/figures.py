"""Figures as rows of results hold them: per example, or with the repeats of a bootstrap."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from experiments import runner
from experiments.workbench.measures.vectors import unit_rows
from jaxsim import data, evaluation, search


def each(figure: Callable[..., Any], *args: Any, **kwargs: Any) -> np.ndarray:
    """A figure of evaluation for each example, not their mean: float64 [examples]."""
    values, _ = figure(*args, reduce_fn=None, **kwargs)
    return np.asarray(values, float)


def by_sizes(
    queries: np.ndarray, documents: np.ndarray, test: data.Collection, sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """Retrieval by cosines of first coordinates, a row for each size: reciprocal rank, recall at 1 and nDCG@10.

    Args:
      queries, documents: float [n, dim], of the collection.
      test: the collection.
      sizes: numbers of first coordinates.
    """
    rows = []
    for size in sizes:
        _, ids = search.exact(unit_rows(queries[:, :size]), unit_rows(documents[:, :size]), k=10)
        row: dict[str, Any] = {"size": size}
        row["MRR@10"] = each(evaluation.reciprocal_rank, ids, test.truth)
        row["R@1"] = each(evaluation.recall, ids, test.truth, 1)
        row["nDCG@10"] = each(evaluation.ndcg, ids, test.truth, 10, grades=test.grades)
        rows.append(row)
    return rows


def resampled_mean(values: np.ndarray, *, repeats: int = 100, seed: int = 1) -> runner.Resampled:
    """A mean over examples with its bootstrap repeats, to be averaged with other statistics.

    Args:
      values: float [examples].
      repeats: of the bootstrap.
      seed: of its draws, the same for all arms.
    """
    draws = np.random.default_rng(seed).integers(len(values), size=(repeats, len(values)))
    return runner.Resampled(values.mean(), values[draws].mean(axis=1))


def spearman(scores: Any, gold: Any, *, repeats: int = 100, seed: int = 0) -> runner.Resampled:
    """Spearman's rank correlation of scores with people's, with repeats of resampled pairs, ranked anew.

    Args:
      scores, gold: float [pairs].
      repeats: of the bootstrap.
      seed: of its draws, the same for all arms.
    """
    from scipy.stats import rankdata  # comes with jax

    scores, gold = np.asarray(scores, float), np.asarray(gold, float)
    draws = np.random.default_rng(seed).integers(len(gold), size=(repeats, len(gold)))
    draws = np.concatenate([np.arange(len(gold))[None], draws])
    ranks = [rankdata(side[draws], axis=1) for side in (scores, gold)]
    x, y = (side - side.mean(axis=1, keepdims=True) for side in ranks)
    norms = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    value, *rest = (x * y).sum(axis=1) / np.where(norms > 0, norms, np.nan)
    return runner.Resampled(value, rest)


def balanced(
    statistic: Callable[..., Any],
    scores: Any,
    labels: Any,
    *,
    repeats: int = 100,
    seed: int = 0,
) -> runner.Resampled:
    """A statistic of balanced pairs, such as `evaluation.roc_auc`: each right one is resampled with its wrong one.

    Args:
      statistic: of (scores, labels), which JAX can map over repeats.
      scores, labels: [2 n], the right ones first and the wrong ones in their order, as `data.balanced_pairs` has them.
      repeats: of the bootstrap.
      seed: of its draws, the same for all arms.
    """
    count = len(labels) // 2
    draws = np.random.default_rng(seed).integers(count, size=(repeats, count))
    draws = np.concatenate([np.arange(count)[None], draws])
    places = np.concatenate([draws, count + draws], axis=1)
    scores, labels = np.asarray(scores, np.float32), np.asarray(labels)
    value, *rest = np.asarray(jax.vmap(statistic)(scores[places], labels[places]), float)
    return runner.Resampled(value, rest)


def averaged(figures: Sequence[runner.Resampled]) -> runner.Resampled:
    """The mean of statistics of several data sets, whose repeats are independent."""
    repeats = np.mean([figure.repeats for figure in figures], axis=0)
    return runner.Resampled(np.mean([figure.value for figure in figures]), repeats)
