"""Focal reductions: losses/reducers.py, of InfoNCE."""

import functools

import numpy as np
from entry import Entry, documents_of
from loops import log_sum_exp, mean, scores

from jaxsim import losses

GAMMA = 1.5


def rows_of(x, labels, where, large):
    s, rows = scores(x, documents_of(x), large) / 0.05, np.flatnonzero(where)
    own = {i: [j for j in rows if labels[j] == labels[i]] for i in rows}
    return [log_sum_exp(s[i, rows]) - log_sum_exp(s[i, own[i]]) for i in rows]


def focal(x, labels, where, large, at):
    held = rows_of(at, labels, where, large)
    weights = [(-np.expm1(-value)) ** GAMMA for value in held]
    return mean([w * v for w, v in zip(weights, rows_of(x, labels, where, large), strict=True)])


def full_focal(x, labels, where, large):
    return mean([(-np.expm1(-v)) ** GAMMA * v for v in np.abs(rows_of(x, labels, where, large))])


def call(reduction):
    return lambda x, labels, where, **settings: losses.info_nce(
        x,
        documents_of(x),
        document_ids=labels,
        where=where,
        reduce_fn=functools.partial(reduction, gamma=GAMMA),
        **settings,
    )


LOSSES = {
    "focal_mean": Entry(call(losses.reducers.focal_mean), focal, held=True),
    "full_focal_mean": Entry(call(losses.reducers.full_focal_mean), full_focal),
}
