"""Ranking hinges: losses/pairs/_ranking_hinge.py. Inner products unless told otherwise."""

import functools

import numpy as np
from entry import Entry, documents_of

from jaxsim import losses


def one_way(worst, margin, s, labels, where):
    """`worst`: from an anchor's excesses over its negatives to what is summed."""
    rows, total = np.flatnonzero(where), 0.0
    for i in rows:
        others = [j for j in rows if labels[j] != labels[i]]
        for p in [j for j in rows if labels[j] == labels[i]]:
            total += worst([max(0, margin + s[i, n] - s[i, p]) for n in others])
    return total


def both_ways(worst, margin, x, labels, where, large):
    s = x @ documents_of(x).T
    there, back = (one_way(worst, margin, a, labels, where) for a in (s, s.T))
    return 2 * there + 0.5 * back


def hardest(excesses):
    return max(excesses, default=0)


def symmetric_triplet(x, labels, where, large):
    costs = []
    for f, s, o in zip(x[where], x[where][:, ::-1], x[where] * 1.2 + 0.3, strict=True):
        near = np.sum((f - s) ** 2) + 1
        costs.append(max(near - np.sum((f - o) ** 2), 0) + max(near - np.sum((s - o) ** 2), 0))
    return np.mean(costs) if costs else 0.0


def call(loss, **own):
    return lambda x, labels, where, **settings: loss(
        x, documents_of(x), document_ids=labels, where=where, **own, **settings
    )


def call_both(loss):
    def called(x, labels, where, **settings):
        return loss(
            x,
            documents_of(x),
            query_ids=labels,
            document_ids=labels,
            query_weight=2.0,
            document_weight=0.5,
            where=where,
            **settings,
        )

    return called


def call_symmetric(x, labels, where, **settings):
    return losses.symmetric_triplet(x, x[:, ::-1], x * 1.2 + 0.3, where=where, **settings)


LOSSES = {
    "ranking_hinge": Entry(
        call_both(losses.ranking_hinge), functools.partial(both_ways, sum, 1.0), unit=False
    ),
    "hardest_ranking_hinge": Entry(
        call_both(losses.hardest_ranking_hinge),
        functools.partial(both_ways, hardest, 0.2),
        unit=False,
    ),
    "one_way_ranking_hinge": Entry(
        call(losses.one_way_ranking_hinge),
        lambda x, labels, where, large: one_way(sum, 1.0, x @ documents_of(x).T, labels, where),
        unit=False,
    ),
    "symmetric_triplet": Entry(call_symmetric, symmetric_triplet, lifted=False, unit=False),
}
