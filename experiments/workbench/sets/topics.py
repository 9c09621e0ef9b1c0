"""Documents with topics: known ones, which are searched, and new ones, which ask."""

from typing import NamedTuple

import numpy as np

from experiments.workbench.sets import sources
from jaxsim import data


class Documents(NamedTuple):
    """Documents with their topics."""

    texts: list[str]
    topics: np.ndarray  # bool [documents, topics]

    def of(self, places: np.ndarray) -> "Documents":
        """Some of them."""
        return Documents([self.texts[place] for place in places], self.topics[places])

    def words(self, most: int) -> list[list[str]]:
        """The first words of each."""
        return [data.words(text)[:most] for text in self.texts]


def known_and_new(name: str, *, known: int, new: int) -> tuple[Documents, Documents]:
    """(known, new) documents of a data set, so many of each at most, equally for all seeds.

    Args:
      name: "reuters", whose new documents are later ones, or one of `sources.LABELED`, split at random.
      known, new: how many, at most.
    """
    if name == "reuters":
        return _reuters(known, new)
    texts = sources.chosen(sources.LABELED, name)()
    topics = np.arange(len(texts.names)) == texts.labels[:, None]
    documents = distinct(Documents(texts.texts, topics))
    order = np.random.default_rng(0).permutation(len(documents.texts))
    new = min(new, len(order) // 4)
    return documents.of(order[new:][:known]), documents.of(order[:new])


def _reuters(known: int, new: int) -> tuple[Documents, Documents]:
    """(known, new) documents of Reuters with a topic."""
    parts = []
    for split, most in (("train", known), ("test", new)):
        texts = data.reuters(split)
        documents = Documents(texts.texts, texts.topics).of(np.flatnonzero(texts.topics.any(1)))
        documents = distinct(documents)
        order = np.random.default_rng(0).permutation(len(documents.texts))
        parts.append(documents.of(order[:most]))
    before, later = parts
    seen = set(before.texts)
    unseen = [place for place, text in enumerate(later.texts) if text not in seen]
    return before, later.of(np.array(unseen, int))


def distinct(documents: Documents) -> Documents:
    """Without texts that were there before: a duplicate is found by its words alone."""
    first = {text: place for place, text in reversed(list(enumerate(documents.texts)))}
    return documents.of(np.sort(list(first.values())))


def answerable(
    topics: np.ndarray, known: np.ndarray, least: int, places: np.ndarray | None = None
) -> np.ndarray:
    """The places of documents that share a topic with so many known ones: they alone can ask."""
    shared = (topics & (known.sum(axis=0) >= least)).any(axis=1)
    return (np.arange(len(topics)) if places is None else places)[shared]


def shared_topics(topics: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The part of two documents' topics that both have, [queries, documents]."""
    both = topics.astype(np.float32) @ others.T.astype(np.float32)
    either = topics.sum(axis=1)[:, None] + others.sum(axis=1) - both
    return both / np.maximum(either, 1)
