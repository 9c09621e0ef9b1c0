"""Distillation: losses/teachers/_distillation.py. The teacher is another reading of the rows, held fixed."""

import jax.numpy as jnp
import numpy as np
from entry import Entry, cosine_or_dot, documents_of

from jaxsim import losses


def divergence(targets, scores):
    log_p, log_q = (a - np.logaddexp.reduce(a) for a in map(np.array, (targets, scores)))
    return np.sum(np.exp(log_p) * (log_p - log_q))


def embedding(x, labels, where, large, at):
    values = []
    for i in np.flatnonzero(where):
        s, t = x[i], documents_of(at)[i]
        square = np.sum((s - t) ** 2)
        angle = 1 - cosine_or_dot(s, t, False)
        values.append(square + 2 * np.sqrt(square) + 3 * square / 4 + 5 * angle)
    return np.mean(values) if values else 0.0


def call_embedding(x, labels, where, **settings):
    """All four in one sum, so that they share their compilations."""
    forms = (
        losses.embedding_distillation,
        losses.embedding_distillation_l2,
        losses.embedding_distillation_mse,
        losses.embedding_distillation_cosine,
    )
    teacher = documents_of(x)
    terms = [form(x, teacher, where=where, **settings) for form in forms]
    return sum(weight * term for weight, term in zip((1, 2, 3, 5), terms, strict=True))


def scores(x, labels, where, large, at):
    values = []
    for i in np.flatnonzero(where):
        there = [j for j in range(3) if not (j == 1 and labels[i] == 1)]
        values.append(divergence(at[i, 1:][there] / 2.0, x[i, :3][there] / 0.5))
    return np.mean(values) if values else 0.0


def call_scores(x, labels, where, **settings):
    there = (jnp.arange(3) != 1) | (jnp.asarray(labels)[:, None] != 1)
    return losses.score_distillation(
        x[:, :3],
        x[:, 1:],
        student_temperature=0.5,
        teacher_temperature=2.0,
        candidate_where=there,
        where=where,
        **settings,
    )


def similarity(x, labels, where, large, at):
    rows, values = np.flatnonzero(where), []
    for i in rows:
        s = [cosine_or_dot(x[i], documents_of(x)[j], large) / 0.05 for j in rows]
        t = [cosine_or_dot(at[i, 1:], documents_of(at)[j, :3], False) / 0.1 for j in rows]
        values.append(divergence(t, s))
    return np.mean(values) if values else 0.0


def call_similarity(x, labels, where, **settings):
    return losses.similarity_distillation(
        x,
        documents_of(x),
        teacher=(x[:, 1:], documents_of(x)[:, :3]),
        teacher_temperature=0.1,
        where=where,
        **settings,
    )


LOSSES = {
    "embedding_distillation": Entry(call_embedding, embedding, lifted=False, held=True),
    "score_distillation": Entry(call_scores, scores, lifted=False, unit=False, held=True),
    "similarity_distillation": Entry(call_similarity, similarity, held=True),
}
