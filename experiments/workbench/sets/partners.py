"""Sentences and their partners, by people's grades: the best one to learn from, and lists to find it in."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from experiments.workbench.sets import graded

BINS = np.linspace(0, 1, 11)  # of grades
ASKED = 100  # sentences of a test set that search among as many others
Similarities = Callable[[Sequence[str], Sequence[str]], np.ndarray]


def best(
    pairs: graded.Pairs, texts: Sequence[str], *, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """(sentences, the partner of each that people graded highest), places of texts, int [n].

    Args:
      pairs: in either order.
      texts: all sentences, each once.
      least: grade of a partner.
    """
    place = {text: number for number, text in enumerate(texts)}
    found: dict[int, tuple[float, int]] = {}
    for one, other, score in zip(*pairs, strict=True):
        for query, positive in ((one, other), (other, one)):
            if score >= least and query != positive:
                pair = (float(score), place[positive])
                found[place[query]] = max(found.get(place[query], (0.0, -1)), pair)
    asked = np.array(sorted(found))
    return asked, np.array([found[query][1] for query in asked])


class Lists(NamedTuple):
    """Sentences that search for their partner among all of them."""

    queries: list[str]
    items: list[str]  # each once
    own: np.ndarray  # int [queries], the place of the partner

    def scores(self, similarities: Similarities) -> np.ndarray:
        """What a measure of pairs gives every query with every item: [queries, items]."""
        first = [query for query in self.queries for _ in self.items]
        found = similarities(first, self.items * len(self.queries))
        return np.asarray(found).reshape(len(self.queries), len(self.items))


def lists(test: graded.Pairs, *, least: float) -> Lists:
    """Pairs of a test set that people graded so highly."""
    good = np.flatnonzero(test.scores >= least)
    places = np.random.default_rng(0).permutation(good)[:ASKED]
    items: list[str] = list(dict.fromkeys(test.second[place] for place in places))
    own = np.array([items.index(test.second[place]) for place in places])
    return Lists([test.first[place] for place in places], items, own)


def by_grade(grades: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """The mean score of the pairs with about the same grade; without those of empty bins.

    Args:
      grades: float [queries, items], from 0 to 1.
      scores: float [queries, items], cosines.
    """
    means = {}
    for low, high in itertools.pairwise(BINS):
        inside = (grades >= low) & ((grades < high) | (high == 1))
        if inside.any():
            means[f"cosine at {(low + high) / 2:.2f}"] = float(scores[inside].mean())
    return means
