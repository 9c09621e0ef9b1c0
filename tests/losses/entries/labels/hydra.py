"""Hydra: losses/labels/_hydra.py."""

import functools

import numpy as np
from entries.pairs.decoupled import per_anchor, per_pair
from entry import Entry, documents_of
from loops import log_sum_exp, units

from jaxsim import losses
from jaxsim.similarity import gated_cosine, gated_dot


def partners_of(labels):
    """Neighboring classes with each other, every third class with itself."""
    return labels + (1 - 2 * (labels % 2)) * (labels % 3 != 0)


def gates_of(x):
    return x[:, ::-1] ** 2 + 0.1


def gated(dot, x, gate, keys, large):
    if large:
        return x @ keys.T
    s = np.zeros((len(x), len(keys)))
    for i, (row, g) in enumerate(zip(x, gate, strict=True)):
        for j, key in enumerate(keys):
            a = g**2
            if dot:
                s[i, j] = a @ (units(x)[i] * units(keys)[j])
            else:
                size = np.sqrt(a @ row**2) * np.sqrt(a @ key**2)
                s[i, j] = a @ (row * key) / size if size > 0 else 0
    return s


def hydra(dot, two_views, average, x, labels, where, large):
    keys = documents_of(x) if two_views else x
    s, values = gated(dot, x, gates_of(x), keys, large) / 0.1, []
    partners, rows = partners_of(labels), np.flatnonzero(where)
    for i in rows:
        others = [j for j in rows if two_views or j != i]
        own = [j for j in others if labels[j] == partners[i]]
        negatives = [j for j in others if labels[j] not in (labels[i], partners[i])]
        values.append([log_sum_exp(s[i, [p, *negatives]]) - s[i, p] for p in own])
    return average(values)


def call_hydra(gated_similarity, two_views, rule):
    def called(x, labels, where, similarity=None, **settings):
        return losses.hydra(
            x,
            labels,
            partners_of(labels),
            gates_of(x),
            keys=documents_of(x) if two_views else None,
            similarity=(lambda x, y: similarity(x[0], y)) if similarity else gated_similarity,
            rule=rule,
            where=where,
            **settings,
        )

    return called


LOSSES = {
    "hydra": Entry(
        call_hydra(gated_cosine, False, losses.pair_info_nce.rule),
        functools.partial(hydra, False, False, per_pair),
    ),
    "hydra of two views": Entry(
        call_hydra(gated_dot, True, losses.anchor_info_nce.rule),
        functools.partial(hydra, True, True, per_anchor),
    ),
}
