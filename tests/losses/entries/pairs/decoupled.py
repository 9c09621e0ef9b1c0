"""Each positive against the negatives alone: losses/pairs/_decoupled.py."""

import functools

import numpy as np
from entry import Entry, documents_of
from loops import log_sum_exp, mean, scores

from jaxsim import losses


def pairs(average, x, labels, where, large):
    s, values, rows = scores(x, documents_of(x), large) / 0.1, [], np.flatnonzero(where)
    for i in rows:
        own = [j for j in rows if labels[j] == labels[i]]
        others = [j for j in rows if labels[j] != labels[i]]
        values.append([log_sum_exp(s[i, [p, *others]]) - s[i, p] for p in own])
    return average(values)


def per_pair(values):
    return mean([v for row in values for v in row])


def per_anchor(values):
    return mean([np.mean(row) for row in values if row])


def call_pairs(loss):
    return lambda x, labels, where, **settings: loss(
        x, documents_of(x), document_ids=labels, where=where, **settings
    )


LOSSES = {
    "pair_info_nce": Entry(call_pairs(losses.pair_info_nce), functools.partial(pairs, per_pair)),
    "anchor_info_nce": Entry(
        call_pairs(losses.anchor_info_nce), functools.partial(pairs, per_anchor)
    ),
}
