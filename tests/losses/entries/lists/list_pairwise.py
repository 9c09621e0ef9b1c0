"""Pairs in lists: losses/lists/_list_pairwise.py. A row's numbers are the scores of its candidates."""

import numpy as np
from entries.lists.list_net import grades, lists, there
from entry import Entry

from jaxsim import losses


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def apart(x, labels, where, large):
    hinges, steps, errors = [], [], []
    for s, y, kept in lists(x, labels, where):
        ahead, wanted = (a[kept][:, None] - a[kept] for a in (s, y))
        hinges += list(np.maximum(0.5 - ahead[wanted > 0], 0))
        steps += list(sigmoid(-ahead[wanted > 0] / 2))
        errors += list(np.ravel(ahead - wanted) ** 2)
    return sum(np.mean(terms) for terms in (hinges, steps, errors) if terms)


def call_apart(x, labels, where, **settings):
    lists = x, grades(labels)
    settings = {"candidate_where": there(labels), "where": where, **settings}
    return (
        losses.pairwise_hinge(*lists, margin=0.5, **settings)
        + losses.pairwise_soft_zero_one(*lists, temperature=2.0, **settings)
        + losses.pairwise_mse(*lists, **settings)
    )


def weighed(x, labels, where, large, at, k=2):
    """Ranks, and so the weights, are those of the scores `at`."""
    costs, softmaxes = [], []
    held = lists(at, labels, where)
    for (s, y, kept), (then, _, _) in zip(lists(x, labels, where), held, strict=True):
        s, y, gains = s[kept], y[kept], 2 ** y[kept] - 1
        rank = 1 + np.argsort(np.argsort(-then[kept], kind="stable"))
        most = np.sum(np.sort(gains)[::-1][:k] / np.log2(2 + np.arange(min(k, len(kept)))))
        softmaxes += [
            sum(
                g * (np.logaddexp.reduce([a, *s[y < b]]) - a)
                for a, b, g in zip(s, y, gains, strict=True)
            )
        ] * (len(kept) > 0)
        for j in range(len(kept)):
            for m in range(len(kept)):
                if j != m and min(rank[j], rank[m]) <= k:
                    worth = gains[j] / (most if most > 0 else 1) / np.log2(1 + rank[j])
                    costs.append(worth * np.logaddexp(0, (s[m] - s[j]) / 2) / np.log(2))
    return sum(np.mean(terms) for terms in (costs, softmaxes) if terms)


def call_weighed(x, labels, where, **settings):
    lists = x, grades(labels)
    settings = {"candidate_where": there(labels), "where": where, **settings}
    return losses.ndcg_loss_1(*lists, k=2, temperature=2.0, **settings) + losses.unique_softmax(
        *lists, **settings
    )


LOSSES = {
    "pairwise_hinge + pairwise_soft_zero_one + pairwise_mse": Entry(
        call_apart, apart, lifted=False, unit=False
    ),
    "ndcg_loss_1 + unique_softmax": Entry(
        call_weighed, weighed, lifted=False, unit=False, held=True
    ),
}
