"""Ids of the texts of pairs, equal for equal texts, and which documents count.

Rows may have different numbers of negatives: arrays of documents have a column for each of the most that a row has.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np


def listed(pairs: Any) -> list[list[str]]:
    """Each row's documents, the right one first."""
    negatives = pairs.negatives or [[]] * len(pairs.documents)
    return [[document, *rest] for document, rest in zip(pairs.documents, negatives, strict=True)]


def most_negatives(pairs: Any) -> int:
    """How many negatives a row has at most."""
    return max(map(len, pairs.negatives or ()), default=0)


def documents_of(pairs: Any) -> list[str]:
    """The different documents of pairs, negatives among them, in the order of their ids."""
    return list(dict.fromkeys(text for row in listed(pairs) for text in row))


def numbered(*columns: Iterable[Any]) -> list[np.ndarray]:
    """An int for each text of some columns, equal for equal texts, in the order of their first places."""
    numbers = {}
    return [
        np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int32)
        for texts in columns
    ]


def ids_of(pairs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Ids by text: of queries int [rows], of documents int [rows] or, with negatives, [rows, 1 + negatives].

    -1 is where a row has fewer negatives.
    """
    (queries,) = numbered(pairs.queries)
    if pairs.negatives is None:
        return queries, *numbered(pairs.documents)
    rows = listed(pairs)
    (documents,) = numbered([text for row in rows for text in row])
    return queries, columns_of(rows, documents, -1)


def columns_of(rows: list[list[str]], values: np.ndarray, missing: Any) -> np.ndarray:
    """A value for each text of rows as an array [rows, most], in which shorter rows end with another value.

    Args:
      rows: lists of texts.
      values: one for each text, row by row.
      missing: what shorter rows end with.
    """
    lengths = np.array(list(map(len, rows)))
    there = np.arange(lengths.max()) < lengths[:, None]
    array = np.full(there.shape, missing, np.asarray(values).dtype)
    array[there] = values
    return array


def usable(pairs: Any) -> np.ndarray:
    """Which documents may be compared with their query, bool [rows, 1 + negatives].

    Not a negative that is the query itself, or a document of the same query in any row, and not where a row has
    fewer.
    """
    right = {}
    for query, document in zip(pairs.queries, pairs.documents, strict=True):
        right.setdefault(query, {query}).add(document)
    counts = []
    for query, texts in zip(pairs.queries, pairs.negatives, strict=True):
        counts += [True, *(text not in right[query] for text in texts)]
    return columns_of(listed(pairs), np.array(counts), False)
