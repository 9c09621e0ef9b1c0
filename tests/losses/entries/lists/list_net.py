"""Lists of candidates: losses/lists/_list_net.py. A row's numbers are the scores of its candidates."""

import jax.numpy as jnp
import numpy as np
from entry import Entry

from jaxsim import losses

PLACES = np.arange(4)


def grades(labels):
    """[rows, 4], with ties; all 0 for the label 0."""
    return (labels[:, None] * (PLACES + 1)) % 4


def there(labels):
    """Whose label is 1 has two candidates, whose label is 2 has none."""
    return ((labels[:, None] != 1) | (PLACES < 2)) & (labels[:, None] != 2)


def lists(x, labels, where):
    """(scores, labels, which candidates) of every row."""
    for i in np.flatnonzero(where):
        yield x[i], grades(labels)[i].astype(float), np.flatnonzero(there(labels)[i])


def whole(x, labels, where, large):
    values = []
    for s, y, kept in lists(x, labels, where):
        if len(kept):
            s, y = s[kept], y[kept]
            p = np.exp(y) / np.exp(y).sum()
            values.append(-np.sum(p * (s - np.logaddexp.reduce(s))))
            s = s[np.argsort(-y, kind="stable")]
            values[-1] += sum(np.logaddexp.reduce(s[k:]) - s[k] for k in range(len(s)))
    return np.mean(values) if values else 0.0


def call_whole(x, labels, where, **settings):
    lists = x, grades(labels)
    settings = {"candidate_where": there(labels), "where": where, **settings}
    return losses.list_net(*lists, **settings) + losses.list_mle(*lists, **settings)


def discount(rank):
    return np.log2(1 + rank)


def pairs(x, labels, where, large, at, k=2, mu=10.0):
    """Ranks, and so the weights, are those of the scores `at`."""
    costs, weighed = [], []
    for (s, y, kept), (held, _, _) in zip(
        lists(x, labels, where), lists(at, labels, where), strict=True
    ):
        order = [j for j in np.argsort(-held, kind="stable") if j in kept]
        rank = {j: 1 + place for place, j in enumerate(order)}
        best = sorted((2 ** y[j] - 1 for j in kept), reverse=True)[:k]
        most = sum(gain / discount(1 + place) for place, gain in enumerate(best))
        for i in kept:
            for j in kept:
                if y[i] <= y[j]:
                    continue
                costs.append(np.logaddexp(0, -(s[i] - s[j]) / 2))
                if min(rank[i], rank[j]) > k:
                    continue
                apart = abs(rank[i] - rank[j])
                rho = abs(1 / discount(rank[i]) - 1 / discount(rank[j]))
                delta = abs(1 / discount(apart) - 1 / discount(apart + 1))
                gain = abs(2 ** y[i] - 2 ** y[j]) / most
                weighed.append((rho + mu * delta) * gain * np.logaddexp(0, s[j] - s[i]) / np.log(2))
    return sum(np.mean(terms) for terms in (costs, weighed) if terms)


def call_pairs(x, labels, where, **settings):
    lists = x, grades(labels)
    settings = {"candidate_where": there(labels), "where": where, **settings}
    return losses.rank_net(*lists, temperature=2.0, **settings) + losses.lambda_loss(
        *lists, k=2, **settings
    )


def rerank(x, labels, where, large):
    values = []
    for i in np.flatnonzero(where):
        kept = np.flatnonzero(there(labels)[i])
        place = labels[i] % 3
        if place in kept:
            pair = np.logaddexp(0, -x[i, 0]) + np.logaddexp(0, x[i, 1])
            values.append(pair / 2 + np.logaddexp.reduce(x[i, kept]) - x[i, place])
    return np.mean(values) if values else 0.0


def call_rerank(x, labels, where, **settings):
    return losses.unime_v2_rerank(
        x[:, :2],
        x,
        jnp.asarray(labels) % 3,
        candidate_where=there(labels),
        where=where,
        **settings,
    )


LOSSES = {
    "list_net + list_mle": Entry(call_whole, whole, lifted=False, unit=False),
    "rank_net + lambda_loss": Entry(call_pairs, pairs, lifted=False, unit=False, held=True),
    "unime_v2_rerank": Entry(call_rerank, rerank, lifted=False, unit=False),
}
