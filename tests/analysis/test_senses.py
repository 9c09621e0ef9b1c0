"""Sense priors, pruning and assignment against loops in float64."""

import functools

import jax
import numpy as np
import pytest

from jaxsim import analysis

RANDOM = np.random.default_rng(0)


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def test_priors_are_means_over_occurrences():
    p = RANDOM.dirichlet(np.ones(3), 20)
    centers, counts = RANDOM.integers(0, 4, 20), 0.5 * (np.arange(20) % 4)
    spoiled = np.where(counts[:, None] > 0, p, np.nan)
    priors = jax.jit(functools.partial(analysis.sense_priors, words=5))(
        spoiled, centers, where=counts
    )
    for word in range(4):
        weight = counts * (centers == word)
        np.testing.assert_allclose(priors[word], weight @ p / weight.sum(), rtol=1e-5)
    np.testing.assert_allclose(priors[4], 1 / 3, rtol=1e-6)
    with pytest.raises(ValueError, match="centers must be from 0 to 2"):
        analysis.sense_priors(p, np.full(20, 3), 3)


def test_a_sense_below_the_threshold_is_dead():
    alive = analysis.prune_senses(np.array([[0.5, 0.46, 0.04], [0.05, 0.95, 0]]))
    assert alive.tolist() == [[True, True, False], [True, True, False]]


def test_a_context_means_the_sense_that_is_nearest(float64):
    senses, alive = RANDOM.normal(size=(6, 3, 4)), RANDOM.random((6, 3)) < 0.7
    alive[:, 0], alive[5] = True, False
    centers, contexts = RANDOM.integers(0, 6, 8), RANDOM.integers(0, 5, (8, 5))
    where = RANDOM.random((8, 5)) < 0.6
    where[3] = False
    result = jax.jit(analysis.assign_sense_cosine)(
        senses, alive, centers, contexts, context_where=where
    )
    for row, (word, near, there) in enumerate(zip(centers, contexts, where, strict=True)):
        vectors = [senses[j][alive[j]].mean(axis=0) for j in near[there]]
        scores = np.zeros(3)
        for s in np.flatnonzero(alive[word]):
            scores[s] = (
                (1 + cosine(senses[word, s], np.mean(vectors, axis=0))) / 2 if vectors else 1
            )
        expected = scores / scores.sum() if scores.any() else scores
        np.testing.assert_allclose(result[row], expected, rtol=1e-10, atol=1e-12)
