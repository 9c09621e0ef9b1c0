"""Pairs with graded labels: losses/graded/_cosent.py. The label says how alike row and document are."""

import jax.numpy as jnp
import numpy as np
from entry import Entry, cosine_or_dot, documents_of

from jaxsim import losses


def graded(labels):
    """Labels in [0, 1], with ties."""
    return (labels % 5) / 4


def cosines(x):
    return [cosine_or_dot(q, d, False) for q, d in zip(x, documents_of(x), strict=True)]


def angles(x):
    scores = []
    for q, d in zip(x, documents_of(x), strict=True):
        q, d = q[:2] + 1j * q[2:], d[:2] + 1j * d[2:]
        product, norms = q @ d.conj(), np.linalg.norm(q) * np.linalg.norm(d)
        scores.append(abs(product.real + product.imag) / norms if norms > 0 else 0.0)
    return scores


def ranked(s, y, rows, temperature):
    excess = [(s[i] - s[j]) / temperature for i in rows for j in rows if y[i] < y[j]]
    return np.logaddexp.reduce([0, *excess])


def regression(x, labels, where, large):
    s, y = cosines(x), graded(labels)
    errors = [(s[i] - y[i]) ** 2 for i in np.flatnonzero(where)]
    return np.mean(errors) if errors else 0.0


def call_regression(x, labels, where, **settings):
    return losses.cosine_regression(x, documents_of(x), graded(labels), where=where, **settings)


def ranks(x, labels, where, large):
    y, rows = graded(labels), np.flatnonzero(where)
    return ranked(cosines(x), y, rows, 0.05) + 2 * ranked(angles(x), y, rows, 0.5)


def call_ranks(x, labels, where, **settings):
    pairs = x, documents_of(x), graded(labels)
    settings = {"where": where, **settings}
    return losses.cosent(*pairs, **settings) + 2 * losses.angle(*pairs, temperature=0.5, **settings)


def statistics(x, labels, where, large):
    rows = np.flatnonzero(where)
    s, y, n = x[rows, 0], graded(labels)[rows], len(rows)
    if n == 0:
        return 0.0
    moments = np.std(s) * np.std(y)
    # Equal labels ask for nothing; equal scores (of a slope that does not exist) have correlation 0.
    covariance = np.mean((s - s.mean()) * (y - y.mean()))
    pearson = 1 - covariance / moments if np.ptp(s) > 1e-3 and moments > 0 else float(np.ptp(y) > 0)
    places = [sum(y > v) + (sum(y == v) - 1) / 2 for v in y]
    goals = np.array([(n - 1 - place) / max(n - 1, 1) for place in places])
    log_p, log_q = (a / 0.05 - np.logaddexp.reduce(a / 0.05) for a in (goals, s))
    return pearson + np.sum(np.exp(log_p) * (log_p - log_q)) / n


def call_statistics(x, labels, where, **settings):
    settings = {"where": where, **settings}
    # float64 where the mode is: int32 labels would be divided in float32.
    scores, labels = x[:, 0], graded(jnp.asarray(labels, jnp.result_type(float)))
    return losses.pearson(scores, labels, **settings) + losses.rank_kl(scores, labels, **settings)


def pro(x, labels, where, large):
    y, rows, values = graded(labels), np.flatnonzero(where), []
    for k in rows:
        gaps = {i: y[k] - y[i] for i in rows if y[k] - y[i] > 1e-8}
        if gaps:
            own = max(gaps.values()) * x[k, 0] / 0.05
            others = [gap * x[i, 0] / 0.05 for i, gap in gaps.items()]
            values.append(np.logaddexp.reduce([own, *others]) - own)
    return np.mean(values) if values else 0.0


def call_pro(x, labels, where, similarity=None, **settings):
    return losses.pro(x[:, 0], graded(labels), where=where, **settings)


LOSSES = {
    "cosine_regression": Entry(call_regression, regression, lifted=False),
    "cosent + angle": Entry(call_ranks, ranks, lifted=False),
    "pearson + rank_kl": Entry(call_statistics, statistics, lifted=False, unit=False),
    "pro": Entry(call_pro, pro, unit=False),
}
