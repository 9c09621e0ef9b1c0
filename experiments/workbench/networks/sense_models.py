"""Models of word senses: tables of senses with a network that reads the context, k-means of contexts, draws.

Tables are as `encoders.sense_tables` names them, of one run.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.workbench.sets.senses import Occurrences
from jaxsim import analysis, data, evaluation, losses
from jaxsim.numerics import masked, relaxations


class Model(NamedTuple):
    """The sense of each occurrence, and how often each sense of a word is meant."""

    senses: Callable[[Occurrences], np.ndarray]  # -> int [n]
    priors: np.ndarray  # [words, senses]; of dead senses too


def by_chance(words: int, count: int, *, seed: int) -> Model:
    """Senses that are drawn, whatever the context.

    Args:
      words: of the vocabulary.
      count: senses of a word.
      seed: of the draws.
    """
    random = np.random.default_rng([seed, 1])
    return Model(
        lambda asked: random.integers(count, size=len(asked.words)),
        np.full((words, count), 1 / count),
    )


def of_tables(
    tables: dict[str, Any], windows: data.Windows, words: int, *, threshold: float
) -> dict[str, Model]:
    """The ways to read tables with senses: the cosine with the senses around, and the network.

    Args:
      tables: senses, output vectors and the disambiguation network.
      windows: the text that was learned from, whose senses give the priors.
      words: of the vocabulary.
      threshold: prior below which a sense is pruned.
    """
    every = np.ones_like(windows.where)  # what pads a sentence is in the context, as in training
    p = _in_blocks(_network, tables, windows.centers, windows.contexts, every)
    pairs = (windows.contexts > 0).sum(axis=1)
    priors = np.asarray(analysis.sense_priors(p, windows.centers, words, where=pairs))
    alive = np.array(analysis.prune_senses(priors, threshold=threshold))
    alive[0] = True  # the unknown word

    def cosine(asked):
        scores = _in_blocks(_cosines, (tables["senses"], alive), *asked[:3])
        return scores.argmax(axis=1)

    def by_network(asked):
        # The released code adds the word itself to its context.
        contexts = np.concatenate([asked.contexts, asked.words[:, None]], axis=1)
        where = np.concatenate([asked.where, np.ones((len(asked.words), 1), bool)], axis=1)
        scores = _in_blocks(_network, tables, asked.words, contexts, where)
        return np.where(alive[asked.words], scores, 0).argmax(axis=1)

    return {"cosine": Model(cosine, priors), "network": Model(by_network, priors)}


def of_clusters(
    table: Any, learned: Occurrences, *, clusters: int, occurrences: int, seed: int
) -> Model:
    """k-means, for each word, of mean contexts in the text to learn from; the nearest center is the sense.

    Args:
      table: float [words, dim], vectors of the words around.
      learned: occurrences in that text of all words that are asked for.
      clusters: of a word.
      occurrences: of a word, that the centers are of; one with fewer has them several times.
      seed: of the centers' start.
    """
    vectors = _in_blocks(_mean_contexts, table, *learned[:3])

    @functools.cache
    def centers_of(word):
        rows = np.flatnonzero(learned.words == word)
        several = np.resize(rows, occurrences)  # one shape for all words
        key = jax.random.fold_in(jax.random.key(seed), word)
        return np.asarray(evaluation.kmeans(vectors[several], clusters, key=key).centers)

    def senses(asked):
        vectors_asked = _in_blocks(_mean_contexts, table, *asked[:3])
        nearest = np.zeros(len(vectors_asked), int)
        for word in np.unique(asked.words):
            rows = asked.words == word
            away = vectors_asked[rows][:, None] - centers_of(int(word))
            nearest[rows] = np.square(away).sum(axis=2).argmin(axis=1)
        return nearest

    return Model(senses, np.full((len(table), clusters), 1 / clusters))


def usage(priors: np.ndarray, *, threshold: float) -> dict[str, np.ndarray]:
    """The number of live senses, and the exponential of the entropy of priors: float [words] each.

    Args:
      priors: float [words, senses].
      threshold: prior below which a sense is pruned.
    """
    entropy = -np.sum(priors * np.log(np.maximum(priors, 1e-12)), axis=1)
    alive = np.asarray(analysis.prune_senses(priors, threshold=threshold))
    return {"live senses": alive.sum(axis=1).astype(float), "effective senses": np.exp(entropy)}


def _in_blocks(function: Callable[..., Any], tables: Any, *columns: np.ndarray) -> np.ndarray:
    """function(tables, *columns) in blocks of rows of one size, so that it compiles once."""
    rows, size = len(columns[0]), 2048
    padded = [np.pad(a, [(0, -rows % size)] + [(0, 0)] * (a.ndim - 1)) for a in columns]
    starts = range(0, len(padded[0]), size)
    parts = []
    for start in starts:
        block = (column[start : start + size] for column in padded)
        parts.append(np.asarray(function(tables, *block)))
    return np.concatenate(parts)[:rows]


@jax.jit
def _network(tables: dict[str, Any], words: Any, contexts: Any, where: Any) -> jax.Array:
    """The disambiguation network's softmax for words in contexts [n, length]: [n, senses]."""
    weights, offsets = tables["weights"], tables["offsets"]
    if weights.ndim == 3:
        weights, offsets = weights[words], offsets[words]
    around = tables["out"][contexts]
    logits = losses.parts.sense_logits(around, weights, offsets, context_where=where)
    return relaxations.tempered_softmax(logits)


@jax.jit
def _cosines(tables: tuple[Any, Any], words: Any, contexts: Any, where: Any) -> jax.Array:
    """The cosine of senses with the mean of the senses around, of (senses, alive): [n, senses]."""
    return analysis.assign_sense_cosine(*tables, words, contexts, context_where=where)


@jax.jit
def _mean_contexts(table: Any, words: Any, contexts: Any, where: Any) -> jax.Array:
    """The mean vector of the words around, of unit length: [n, dim]."""
    mean = masked.mean(table[contexts], where[:, :, None], axis=1)
    return mean / jnp.maximum(jnp.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
