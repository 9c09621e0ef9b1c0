"""Ids of the texts of pairs, equal for equal texts, and which documents count."""

from collections.abc import Iterable
from typing import Any

import numpy as np


def documents_of(pairs: Any) -> list[str]:
    """The different documents of pairs, negatives among them, in the order of their ids."""
    negatives = pairs.negatives or [()] * len(pairs.documents)
    rows = zip(pairs.documents, negatives, strict=True)
    return list(dict.fromkeys(text for document, rest in rows for text in (document, *rest)))


def numbered(*columns: Iterable[Any]) -> list[np.ndarray]:
    """An int for each text of some columns, equal for equal texts, in the order of their first places."""
    numbers = {}
    return [
        np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int32)
        for texts in columns
    ]


def ids_of(pairs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Ids by text: of queries int [rows], of documents int [rows] or, with negatives, [rows, 1 + negatives]."""
    (queries,) = numbered(pairs.queries)
    if pairs.negatives is None:
        return queries, *numbered(pairs.documents)
    listed = [
        [document, *rest] for document, rest in zip(pairs.documents, pairs.negatives, strict=True)
    ]
    (documents,) = numbered([text for row in listed for text in row])
    return queries, documents.reshape(len(listed), -1)


def usable(pairs: Any) -> np.ndarray:
    """Which documents may be compared with their query, bool [rows, 1 + negatives].

    Not a negative that is the query itself, or a document of the same query in any row.
    """
    right = {}
    for query, document in zip(pairs.queries, pairs.documents, strict=True):
        right.setdefault(query, {query}).add(document)
    rows = zip(pairs.queries, pairs.negatives, strict=True)
    return np.array(
        [[True, *(text not in right[query] for text in texts)] for query, texts in rows]
    )
