"""Reports: every usual figure of embeddings with classes, or of rankings, in one call, with intervals."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsim.evaluation._bootstrap import interval
from jaxsim.evaluation._class_retrieval import (
    class_recall,
    class_reciprocal_rank,
    map_at_r,
    r_precision,
)
from jaxsim.evaluation._clustering import class_nmi
from jaxsim.evaluation._graded import ndcg
from jaxsim.evaluation._ranking import average_precision, precision, recall, reciprocal_rank
from jaxsim.numerics.types import Array, ArrayTree, PRNGKey, Similarity
from jaxsim.similarity import cosine


class Estimate(NamedTuple):
    """A figure with the 95 % interval of its mean over queries; None where it is not such a mean, or of one query."""

    value: float
    low: float | None
    high: float | None


def report(
    embeddings: ArrayTree,
    labels: Array,
    *,
    references: ArrayTree | None = None,
    reference_labels: Array | None = None,
    ks: Sequence[int] = (1, 10),
    similarity: Similarity = cosine,
    where: Array | None = None,
    key: PRNGKey | None = None,
) -> dict[str, Estimate]:
    """Report of embeddings with classes: recall@k, MRR, R-precision, MAP@R and NMI.

        report(z, labels)["MAP@R"].value

    What pytorch-metric-learning's AccuracyCalculator gives: its precision_at_1 is recall@1 here. Ties are
    pessimistic.

    Args:
      embeddings: [n, dim], or a pytree that `similarity` takes.
      labels: int [n].
      references: [m, dim] to search among in place of the embeddings themselves, with reference_labels int [m].
      ks: of recall, each at most the number of references.
      similarity: (x, y) -> scores [n, m], larger is closer.
      where: bool [n], False for padding.
      key: a jax.random key for k-means: NMI is in the report where there is one and no references.

    Returns: {name: Estimate}; NaN where a query that counts has NaN scores.
    Raises: ValueError as `class_recall` and `class_nmi` do, or where no query has a match.
    """
    shared: dict[str, Any] = {
        "references": references,
        "reference_labels": reference_labels,
        "similarity": similarity,
        "where": where,
        "reduce_fn": None,
    }
    figures: dict[str, Any] = {
        f"recall@{k}": class_recall(embeddings, labels, k, **shared) for k in ks
    }
    figures |= {
        "MRR": class_reciprocal_rank(embeddings, labels, **shared),
        "R-precision": r_precision(embeddings, labels, **shared),
        "MAP@R": map_at_r(embeddings, labels, **shared),
    }
    estimates = {name: _estimate(name, *pair) for name, pair in figures.items()}
    if key is not None:
        if references is not None:
            raise ValueError("key is for NMI, of embeddings without references: got both")
        rows = slice(None) if where is None else np.asarray(where)
        vectors = jax.tree.map(lambda leaf: leaf[rows], embeddings)
        nmi = class_nmi(vectors, np.asarray(labels)[rows], key=key)
        estimates["NMI"] = Estimate(nmi, None, None)
    return estimates


def retrieval_report(
    ids: Array, truth: Array, *, grades: Array | None = None, ks: Sequence[int] = (1, 10)
) -> dict[str, Estimate]:
    """Report of rankings: MRR, and nDCG, MAP, recall and precision at every k, with intervals over queries.

        scores, ids = search.exact(queries, documents, k=10)
        retrieval_report(ids, truth)["nDCG@10"]

    Args:
      ids: int [queries, returned], best first; -1 is nothing.
      truth: int [queries, judged], the relevant items; -1 is nothing.
      grades: [queries, judged], of the items of `truth`, for nDCG; None makes all of them 1.
      ks: how many of the returned count, each at most `returned`.

    Returns: {name: Estimate}.
    Raises: ValueError for shapes that do not fit, a k above the number returned, or where no query has a relevant
    item.
    """
    figures: dict[str, Any] = {"MRR": reciprocal_rank(ids, truth, reduce_fn=None)}
    for k in ks:
        figures[f"nDCG@{k}"] = ndcg(ids, truth, k, grades=grades, reduce_fn=None)
        for name, figure in (
            ("MAP", average_precision),
            ("recall", recall),
            ("precision", precision),
        ):
            figures[f"{name}@{k}"] = figure(ids, truth, k, reduce_fn=None)
    return {name: _estimate(name, *pair) for name, pair in figures.items()}


def _estimate(name, values, counts):
    """The mean over the queries that count, and its interval."""
    values = np.asarray(values, np.float64)[np.asarray(counts) > 0]
    if not len(values):
        raise ValueError(f"{name} needs a query with a match, got none")
    value = float(values.mean())
    if len(values) == 1 or not np.isfinite(value):
        return Estimate(value, None, None)
    return Estimate(value, *interval(values, 0))
