"""A teacher of sentence pairs that reads both at once without being a network of ours: soft word alignment.

vectors = alignment.word_vectors(sentences, dim=100, words=10_000)
teacher = alignment.fitted(vectors, first, second, scores)       # a perceptron on features of the alignment
scores = teacher(first, second)

Each word of a sentence is aligned to its nearest word of the other one by the cosine of word vectors, both ways,
rare words count more. On small data that is a far better teacher of similarity than a cross-encoder from scratch.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.workbench.measures.vectors import unit_rows
from jaxsim import search

NUMBER = re.compile(r"[0-9]+")
WORD = re.compile(r"\w+")


@dataclasses.dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors of words by counting, with how much a word counts."""

    places: dict[str, int]
    vectors: np.ndarray  # float32 [words, dim], unit
    weights: np.ndarray  # float32 [words]: the inverse frequency in sentences, log
    unknown: float  # the weight of a word without a vector

    def weight(self, word: str) -> float:
        """How much a word counts."""
        place = self.places.get(word)
        return self.unknown if place is None else float(self.weights[place])

    def weights_of(self, words: Sequence[str]) -> np.ndarray:
        """How much each of some words counts, float64 [words]."""
        return np.array([self.weight(word) for word in words], float)


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return WORD.findall(text.lower())


def word_vectors(
    texts: Sequence[str], *, dim: int, words: int, window: int = 5, seed: int = 0
) -> WordVectors:
    """Word vectors by counting: positive pointwise mutual information on its leading directions (PPMI-SVD).

    Args:
      texts: sentences to count in.
      dim: of the vectors, below the number of words.
      words: the most frequent ones that get a vector.
      window: words on either side.
      seed: of the randomized decomposition.

    Source: Levy, Goldberg and Dagan 2015, with their smoothing of contexts by 0.75 and the square root of the
    singular values.
    """
    from scipy import sparse
    from sklearn.decomposition import TruncatedSVD

    split = [words_of(text) for text in texts]
    counts = Counter(word for sentence in split for word in sentence)
    places = {word: place for place, (word, _) in enumerate(counts.most_common(words))}
    containing = np.zeros(len(places))
    rows: list[int] = []
    sentence_of: list[int] = []
    for number, sentence in enumerate(split):
        known = [places[word] for word in sentence if word in places]
        rows += known
        sentence_of += [number] * len(known)
        containing[list(set(known))] += 1
    ids, owner = np.array(rows), np.array(sentence_of)
    together = sparse.csr_matrix((len(places), len(places)))
    for offset in range(1, window + 1):
        near = owner[:-offset] == owner[offset:]
        one, other = ids[:-offset][near], ids[offset:][near]
        ones = np.ones(2 * len(one))
        both = (np.concatenate([one, other]), np.concatenate([other, one]))
        together = together + sparse.coo_matrix((ones, both), shape=together.shape).tocsr()
    found = together.tocoo()
    totals = np.asarray(together.sum(axis=1)).ravel()
    contexts = totals**0.75 / np.sum(totals**0.75)
    information = np.log(found.data / (totals[found.row] * contexts[found.col]))
    positive = sparse.coo_matrix(
        (np.maximum(information, 0), (found.row, found.col)), shape=together.shape
    )
    svd = TruncatedSVD(min(dim, len(places) - 1), random_state=seed)
    left = svd.fit_transform(positive.tocsr())
    vectors = left / np.sqrt(np.maximum(svd.singular_values_, 1e-12))
    weights = np.log((len(split) + 1) / (containing + 1)).astype(np.float32)
    return WordVectors(
        places, unit_rows(vectors).astype(np.float32), weights, float(np.log(len(split) + 1))
    )


def features(vectors: WordVectors, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
    """Features of the alignment of each pair, float64 [pairs, features]; exchanging the two changes none."""
    known = {text: words_of(text) for text in {*first, *second}}
    return np.array(
        [_of_pair(vectors, known[a], known[b]) for a, b in zip(first, second, strict=True)]
    )


def _of_pair(vectors: WordVectors, first: list[str], second: list[str]) -> list[float]:
    likeness = _likeness(vectors, first, second)
    weights = [vectors.weights_of(side) for side in (first, second)]
    best = [likeness.max(axis=1, initial=0), likeness.max(axis=0, initial=0)]
    covered = [
        float(np.sum(w * b) / max(np.sum(w), 1e-9)) for w, b in zip(weights, best, strict=True)
    ]
    plain = [float(b.mean()) if len(b) else 0.0 for b in best]
    worst = [float(b.min(initial=1)) for b in best]
    means = [_mean(vectors, side, w) for side, w in zip((first, second), weights, strict=True)]
    one, other = set(first), set(second)
    rare = [vectors.weights_of(sorted(words)).sum() for words in (one & other, one | other)]
    numbers = [set(filter(NUMBER.fullmatch, side)) for side in (one, other)]
    lengths = len(first), len(second)
    return [
        min(covered),
        max(covered),
        min(plain),
        max(plain),
        min(worst),
        max(worst),
        float(means[0] @ means[1]),
        len(one & other) / max(len(one | other), 1),
        rare[0] / max(rare[1], 1e-9),
        min(lengths) / max(*lengths, 1),
        np.log1p(sum(lengths)),
        float(numbers[0] != numbers[1]),
        float(("not" in one) != ("not" in other) or ("no" in one) != ("no" in other)),
    ]


def _likeness(vectors: WordVectors, first: list[str], second: list[str]) -> np.ndarray:
    """The cosines of all words of a pair, [first, second], below 0 is 0; equal words without a vector have 1."""
    sides = []
    for side in (first, second):
        rows = np.zeros((len(side), vectors.vectors.shape[1]), np.float32)
        for number, word in enumerate(side):
            if word in vectors.places:
                rows[number] = vectors.vectors[vectors.places[word]]
        sides.append(rows)
    equal = np.array(first, dtype=object)[:, None] == np.array(second, dtype=object)[None]
    return np.where(equal.astype(bool), 1, np.maximum(sides[0] @ sides[1].T, 0))


def _mean(vectors: WordVectors, words: list[str], weights: np.ndarray) -> np.ndarray:
    total = np.zeros(vectors.vectors.shape[1])
    for word, weight in zip(words, weights, strict=True):
        if word in vectors.places:
            total += weight * vectors.vectors[vectors.places[word]]
    return total / max(float(np.linalg.norm(total)), 1e-9)


@dataclasses.dataclass(frozen=True, eq=False)
class Teacher:
    """A perceptron on features of the alignment: pairs of texts to scores."""

    vectors: WordVectors
    regression: Any

    def __call__(self, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """The score of each pair, float32 [pairs]."""
        return self.of(features(self.vectors, first, second))

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The score of each pair by its features."""
        return self.regression.predict(rows).astype(np.float32)


def fitted(vectors: WordVectors, rows: np.ndarray, scores: np.ndarray, *, seed: int) -> Teacher:
    """A teacher of features [pairs, features] and scores [pairs]."""
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    perceptron = MLPRegressor(
        hidden_layer_sizes=(32,), early_stopping=True, max_iter=500, random_state=seed
    )
    return Teacher(vectors, make_pipeline(StandardScaler(), perceptron).fit(rows, scores))


def text_vectors(vectors: WordVectors, texts: Sequence[str]) -> np.ndarray:
    """The weighted mean of the words of each text, of norm 1, float32 [texts, dim]."""
    found = []
    for text in texts:
        split = words_of(text)
        found.append(_mean(vectors, split, vectors.weights_of(split)))
    return np.array(found, np.float32)


def nearest(vectors: np.ndarray, rows: np.ndarray, *, rank: np.ndarray) -> np.ndarray:
    """For each of some rows the one that is at a rank of its nearest others, from 1: int [rows].

    Args:
      vectors: unit rows [n, dim].
      rows: int [m].
      rank: int [m].
    """
    most = int(rank.max())
    _, ids = search.exact(vectors[rows], vectors, k=most + 1)
    ids = np.asarray(ids)
    others = np.argsort(ids == rows[:, None], axis=1, kind="stable")  # the row itself comes last
    ids = np.take_along_axis(ids, others, axis=1)
    return np.take_along_axis(ids, rank[:, None] - 1, axis=1)[:, 0]
