"""Several positives, together or each for itself: losses/labels/_supervised_contrastive.py."""

import functools

import numpy as np
from entry import Entry, documents_of
from loops import cosines, log_sum_exp, mean, mean_of_positive, scores, sides, units

from jaxsim import losses
from jaxsim.similarity import gated_cosine, gated_dot


def supervised_contrastive(x, labels, where, large):
    s, values = cosines(x, large) / 0.1, []
    for i, positives, negatives in sides(labels, where):
        if positives:
            every = log_sum_exp(s[i, positives + negatives])
            values.append(np.mean([every - s[i, j] for j in positives]))
    return mean_of_positive(values)


def nt_xent(x, labels, where, large):
    s, values = cosines(x, large) / 0.07, []
    for i, positives, negatives in sides(labels, where):
        values += [log_sum_exp(s[i, [p, *negatives]]) - s[i, p] for p in positives]
    return mean(values)


def pairs(average, x, labels, where, large):
    s, values, rows = scores(x, documents_of(x), large) / 0.1, [], np.flatnonzero(where)
    for i in rows:
        own = [j for j in rows if labels[j] == labels[i]]
        others = [j for j in rows if labels[j] != labels[i]]
        values.append([log_sum_exp(s[i, [p, *others]]) - s[i, p] for p in own])
    return average(values)


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


def per_pair(values):
    return mean([v for row in values for v in row])


def per_anchor(values):
    return mean([np.mean(row) for row in values if row])


def call_pairs(loss):
    return lambda x, labels, where, **settings: loss(
        x, documents_of(x), document_ids=labels, where=where, **settings
    )


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
    "supervised_contrastive": Entry(losses.supervised_contrastive, supervised_contrastive),
    "nt_xent": Entry(losses.nt_xent, nt_xent),
    "pair_info_nce": Entry(call_pairs(losses.pair_info_nce), functools.partial(pairs, per_pair)),
    "anchor_info_nce": Entry(
        call_pairs(losses.anchor_info_nce), functools.partial(pairs, per_anchor)
    ),
    "hydra": Entry(
        call_hydra(gated_cosine, False, losses.pair_info_nce.rule),
        functools.partial(hydra, False, False, per_pair),
    ),
    "hydra of two views": Entry(
        call_hydra(gated_dot, True, losses.anchor_info_nce.rule),
        functools.partial(hydra, True, True, per_anchor),
    ),
}
for name in ("supervised_contrastive", "nt_xent"):
    loss = getattr(losses, name)
    LOSSES[name] = Entry(
        lambda x, labels, where, loss=loss, **settings: loss(x, labels, where=where, **settings),
        LOSSES[name].reference,
    )
