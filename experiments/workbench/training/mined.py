"""Queries with their document and negatives that an encoder has found, drawn from a window of ranks."""

from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.workbench.networks import sentences
from jaxsim import search
from jaxsim.search import mining


class Pairs(NamedTuple):
    """Token ids of queries, each with its document."""

    queries: list[np.ndarray]
    documents: list[np.ndarray]
    texts: np.ndarray  # int [pairs], a number of each document, equal for equal texts


class Mined(NamedTuple):
    """Token ids of queries with their document and its negatives."""

    queries: list[np.ndarray]
    documents: list[list[np.ndarray]]  # [examples][1 + negatives], the positive first
    texts: np.ndarray  # int [examples, 1 + negatives], equal for equal texts


def positives_alone(batch: dict[str, Any]) -> dict[str, Any]:
    """A batch of {"documents", "texts"} without negatives."""
    documents = jax.tree.map(lambda leaf: leaf[:, :1], batch["documents"])
    return batch | {"documents": documents, "texts": batch["texts"][:, :1]}


def pairs(queries: list[np.ndarray], documents: list[np.ndarray], texts: list[str]) -> Pairs:
    """Pairs of token ids, and of the documents' texts."""
    return Pairs(queries, documents, np.unique(np.array(texts), return_inverse=True)[1])


def mined(
    pairs: Pairs,
    vectors: tuple[np.ndarray, np.ndarray],
    *,
    count: int,
    window: tuple[int, int],
    top: int,
    seed: int,
) -> tuple[Mined, dict[str, float]]:
    """Negatives drawn from a window of ranks, for the queries whose own document is among the first.

    Args:
      pairs: to learn from.
      vectors: of the queries and of the documents, float [pairs, dim].
      count: of negatives; queries that find fewer are left out.
      window: first and last rank.
      top: a query is left out whose own document ranks below.
      seed: of the draw.

    Returns: the examples, and facts about them.
    """
    own = np.arange(len(pairs.queries))
    first, last = window
    found = search.mine_negatives(
        *vectors,
        own,
        count,
        rules=[mining.ranks(first, last)],
        depth=last,
        text_ids=pairs.texts,
        key=jax.random.fold_in(jax.random.key(seed), 1),
    )
    consistent = search.consistency_filter(*vectors, own, top)
    places = np.concatenate([own[:, None], found.ids], axis=1)[consistent]
    places = places[(places >= 0).all(axis=1)]
    lists = [sentences.at(pairs.documents, row) for row in places]
    examples = Mined(sentences.at(pairs.queries, places[:, 0]), lists, pairs.texts[places])
    short = float(found.table["queries that are short"])
    return examples, {"queries short of negatives": short}
