"""Search by codes, by vectors, or by a code that filters and a vector that ranks, and its figures.

Hamming distances tie by the hundred: figures are means over all orders of what ties.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.workbench.measures.figures import each
from jaxsim import evaluation, search, similarity

PLACES = 1, 10, 100  # at which precision is taken
_HAMMING, _COSINE = jax.jit(similarity.negative_hamming), jax.jit(similarity.cosine)


class Side(NamedTuple):
    """Documents as an arm has them: a packed code, a vector, or both."""

    codes: np.ndarray | None = None  # uint32 [documents, words]
    vectors: np.ndarray | None = None  # float32 [documents, dim]

    def of(self, places: np.ndarray) -> "Side":
        """Some of them."""
        return Side(*(None if part is None else part[places] for part in self))


Sides = tuple[Side, Side]  # of known and of new documents


def packed(items: np.ndarray, others: np.ndarray) -> Sides:
    """Bits of both sides as codes."""
    return Side(np.asarray(similarity.pack(items))), Side(np.asarray(similarity.pack(others)))


def scores_of(asking: Side, known: Side) -> np.ndarray:
    """How close queries are to documents: by codes where there are any, else by cosines of vectors."""
    if asking.codes is not None and known.codes is not None:
        return np.asarray(_HAMMING(asking.codes, known.codes))
    return np.asarray(_COSINE(asking.vectors, known.vectors))


def without(table: np.ndarray, own: np.ndarray | None) -> np.ndarray:
    """[queries, documents] without each query's column, where it has one."""
    if own is None:
        return table
    left = np.arange(table.shape[1]) != own[:, None]
    return table[left].reshape(len(table), -1)


def figures(
    asking: Side,
    known: Side,
    grades: np.ndarray,
    own: np.ndarray | None,
    *,
    radii: Sequence[int],
) -> dict[str, np.ndarray]:
    """Figures per query; of a code also of what lies within a radius, ranked by a vector where there is one.

    Args:
      asking: the queries.
      known: what is searched.
      grades: float [queries, documents], above 0 where a document is relevant.
      own: the place of each query in `known`, which must not find itself; None where it is not there.
      radii: bits that may differ in a filter.
    """
    grades = without(grades, own)
    scores = without(scores_of(asking, known), own)
    row = {name: np.asarray(value, float) for name, value in _measured(scores, grades).items()}
    if asking.codes is None:
        return row
    for radius in radii:
        near = scores >= -radius
        row[f"documents within {radius}"] = near.sum(axis=1).astype(float)
        hits = (near & (grades > 0)).sum(axis=1)
        row[f"precision within {radius}"] = hits / np.maximum(near.sum(axis=1), 1)
        if asking.vectors is not None and known.vectors is not None:
            ranked = filtered(asking, known, radius, own)
            row[f"NDCG@10 within {radius}"] = ndcg_of_list(ranked, grades, own)
    return row


def average_precision(known: Side, places: np.ndarray, relevant: np.ndarray) -> float:
    """MAP of some of the known documents among the others, to choose settings by.

    Args:
      known: all.
      places: int [queries], those that ask.
      relevant: bool [queries, documents].
    """
    scores = without(scores_of(known.of(places), known), places)
    return float(_mean_average_precision(scores, without(relevant, places)))


@jax.jit
def _measured(scores: jax.Array, grades: jax.Array) -> dict[str, jax.Array]:
    """MAP, NDCG@10 and precision per query."""
    expected: dict[str, Any] = {"ties": "expected", "reduce_fn": None}
    relevant, count = grades > 0, grades.shape[1]
    row = {"MAP": evaluation.score_average_precision(scores, relevant, **expected)[0]}
    row["NDCG@10"] = evaluation.score_ndcg(scores, grades, min(10, count), **expected)[0]
    for place in PLACES:
        share = evaluation.score_recall(scores, relevant, min(place, count), **expected)[0]
        row[f"precision@{place}"] = share * relevant.sum(axis=1) / place
    return row


@jax.jit
def _mean_average_precision(scores: jax.Array, relevant: jax.Array) -> jax.Array:
    return evaluation.score_average_precision(scores, relevant, ties="expected")


def filtered(asking: Side, known: Side, radius: int, own: np.ndarray | None) -> np.ndarray:
    """The ten nearest by their vectors of what is within a radius by its code, -1 where there are fewer."""
    queries, query_codes, items, item_codes = (
        np.asarray(part) for part in (asking.vectors, asking.codes, known.vectors, known.codes)
    )
    _, ids = search.within_radius(
        queries,
        query_codes,
        items,
        item_codes,
        min(10, len(items)),
        radius=radius,
        exclude=None if own is None else own[:, None],
    )
    return np.asarray(ids)


def ndcg_of_list(ids: np.ndarray, grades: np.ndarray, own: np.ndarray | None) -> np.ndarray:
    """NDCG@10 of lists per query; the best order is that of all documents, whose grades are given."""
    count = grades.shape[1] + (own is not None)
    truth = without(np.broadcast_to(np.arange(count), (len(ids), count)), own)
    return each(evaluation.ndcg, ids, truth, ids.shape[1], grades=grades)
