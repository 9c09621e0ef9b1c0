"""Queries and the items they are about, as annCUR links them: mentions in context, titles with texts."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.workbench.sets import sources
from jaxsim import data

MARKERS = {
    "query_markers": (data.SPECIAL["[unused0]"], data.SPECIAL["[unused1]"]),
    "candidate_marker": data.SPECIAL["[unused2]"],
}


class Corpus(NamedTuple):
    """Queries, items, and which item each query is about."""

    queries: list[tuple[str, str, str]]  # left context, mention, right context
    items: list[tuple[str, str]]  # title, text
    gold: np.ndarray  # int [queries]


def docstrings(name: str, split: str) -> Corpus:
    """Summary lines as mentions without context, bodies as items without a title."""
    pairs = sources.chosen(sources.DOCSTRINGS, name)(split)
    queries = [("", query, "") for query, _ in pairs]
    return Corpus(queries, [("", document) for _, document in pairs], np.arange(len(pairs)))


@functools.cache
def entities(split: str, *, queries: int, items: int, seed: int) -> Corpus:
    """Mentions in SemCor and WordNet's glosses, some of each: the glosses that are meant come first.

    A test mention's gloss may occur in training, its sentence's genre does not.
    """
    random = np.random.default_rng([seed, ("train", "validation", "test").index(split)])
    mentions = data.entity_mentions(split)
    mentions = [mentions[i] for i in random.permutation(len(mentions))[:queries]]
    glosses = {row["id"]: row for row in data.glosses()}
    meant = dict.fromkeys(row["synset"] for row in mentions)
    if lost := [name for name in meant if name not in glosses]:
        raise ValueError(
            f"the prepared datasets semcor and wordnet do not fit together: synset {lost[0]!r} has no "
            "gloss"
        )
    others = [name for name in glosses if name not in meant]
    chosen = [*meant, *(others[i] for i in random.permutation(len(others)))]
    chosen = chosen[: max(items, len(meant))]
    place = {name: number for number, name in enumerate(chosen)}
    return Corpus(
        [(row["left"], row["mention"], row["right"]) for row in mentions],
        [(glosses[name]["title"], glosses[name]["document"]) for name in chosen],
        np.array([place[row["synset"]] for row in mentions]),
    )


def corpora(name: str, *, queries: int, items: int, training_queries: int) -> tuple[Corpus, Corpus]:
    """(training, test) of a data set, the test side with so many items.

    Args:
      name: docstrings, docstrings-small, or entities.
      queries: how many of the test side are drawn, of entities; docstrings have as many as items.
      items: of the test side.
      training_queries: of entities, at most.

    Raises: ValueError for unknown data or too many items; FileNotFoundError without JAXSIM_DATA.
    """
    if name == "entities":
        train = entities("train", queries=training_queries, items=0, seed=0)
        return train, entities("test", queries=queries, items=items, seed=0)
    train, test = (docstrings(name, split) for split in ("train", "test"))
    if len(test.items) < items:
        raise ValueError(f"items must be at most {len(test.items)}, got {items}")
    return train, Corpus(test.queries[:items], test.items[:items], test.gold[:items])


def joined(texts: Sequence[tuple[str, ...]]) -> list[str]:
    """Queries or items as plain texts: their parts in one string."""
    return [" ".join(parts) for parts in texts]


def tokenized(
    corpus: Corpus, tokenizer: Any, *, query_length: int, item_length: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Token ids of all queries and all items, cut, with the markers of mentions and titles."""
    queries = data.mention_tokens(
        tokenizer, *zip(*corpus.queries, strict=True), max_length=query_length
    )
    items = data.entity_tokens(tokenizer, *zip(*corpus.items, strict=True), max_length=item_length)
    return queries, items
