"""Losses over late interaction: similarity=max_sim, texts as {"vectors", "where"}."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import losses
from jaxsim.similarity import max_sim

RANDOM = np.random.default_rng(0)
QUERIES = RANDOM.normal(size=(4, 2, 3))
DOCUMENTS = RANDOM.normal(size=(4, 2, 5, 3))
THERE = RANDOM.uniform(size=(4, 2, 5)) < 0.7
WHERE = np.array([1, 1, 0, 1], bool)


def reference(queries):
    """Each query's tokens with their closest tokens among each document's, in a softmax."""
    rows, values = np.flatnonzero(WHERE), []
    for i in rows:
        scores = [
            sum(max(a @ b for b in DOCUMENTS[j, n][THERE[j, n]]) for a in queries[i])
            for j in rows
            for n in range(2)
        ]
        own = scores[2 * list(rows).index(i)]
        values.append(np.logaddexp.reduce(np.array(scores) / 2) - own / 2)
    return np.mean(values)


def test_info_nce_of_max_sim(float64):
    assert THERE.any(axis=2).all()

    def loss(vectors):
        queries = {"vectors": vectors, "where": jnp.ones(QUERIES.shape[:2], bool)}
        documents = {"vectors": jnp.asarray(DOCUMENTS), "where": jnp.asarray(THERE)}
        settings = {"similarity": max_sim, "temperature": 2.0, "where": WHERE, "block": 2}
        return losses.info_nce(queries, documents, **settings)

    value, gradient = jax.jit(jax.value_and_grad(loss))(QUERIES)
    np.testing.assert_allclose(value, reference(QUERIES), rtol=1e-12)
    steps = 1e-6 * np.eye(QUERIES.size).reshape(-1, *QUERIES.shape)
    slopes = [(reference(QUERIES + d) - reference(QUERIES - d)) / 2e-6 for d in steps]
    np.testing.assert_allclose(gradient, np.reshape(slopes, QUERIES.shape), atol=1e-8)


def test_scores_of_lists_by_max_sim(float64):
    """group_info_nce on texts, which leaves out the documents of other rows."""

    def call(where):
        queries = {"vectors": jnp.asarray(QUERIES), "where": jnp.ones(QUERIES.shape[:2], bool)}
        documents = {"vectors": jnp.asarray(DOCUMENTS), "where": jnp.asarray(THERE)}
        return losses.group_info_nce(
            queries, documents, similarity=max_sim, temperature=2.0, where=where
        )

    scores = np.array(
        [
            [
                sum(max(a @ b for b in d[kept]) for a in query)
                for d, kept in zip(documents, there, strict=True)
            ]
            for query, documents, there in zip(QUERIES, DOCUMENTS, THERE, strict=True)
        ]
    )
    expected = np.logaddexp(0, (scores[:, 1] - scores[:, 0]) / 2)[WHERE].mean()
    np.testing.assert_allclose(jax.jit(call)(WHERE), expected, rtol=1e-12)
