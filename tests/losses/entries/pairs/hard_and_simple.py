"""Simple and hard contrastive losses: losses/pairs/_hard_and_simple.py."""

import functools

import numpy as np
from entry import Entry, documents_of
from loops import log_sum_exp, mean, scores

from jaxsim import losses


def contrastive(count, value, x, labels, where, large, at):
    """`count(negatives)`: how many of them are hard; `value(positives, negatives)` of their scores."""
    s, held = scores(x, documents_of(x), large), scores(at, documents_of(at), large)
    rows, values = np.flatnonzero(where), []
    for i in rows:
        own = [j for j in rows if labels[j] == labels[i]]
        others = [j for j in rows if labels[j] != labels[i]]
        if others:
            ranked = sorted((held[i, j] for j in others), reverse=True)
            least = ranked[min(count(len(others)), len(others)) - 1]
            others = [j for j in others if held[i, j] >= least]
        values.append(value(s[i, own], s[i, others]))
    return mean(values)


def softmax(own, others):
    return log_sum_exp([*own / 0.3, *others / 0.3]) - log_sum_exp(own / 0.3)


def simple(own, others):
    return mean(others) - np.mean(own)


def call(loss, **own):
    return lambda x, labels, where, **settings: loss(
        x, documents_of(x), document_ids=labels, where=where, **own, **settings
    )


LOSSES = {
    "simple_contrastive": Entry(
        call(losses.simple_contrastive),
        functools.partial(contrastive, lambda n: n, simple),
        held=True,
    ),
    "hard_contrastive": Entry(
        call(losses.hard_contrastive, k=3),
        functools.partial(contrastive, lambda n: 3, softmax),
        held=True,
    ),
    "hard_simple_contrastive": Entry(
        call(losses.hard_simple_contrastive, fraction=0.3),
        functools.partial(contrastive, lambda n: max(round(0.3 * n), 1), simple),
        held=True,
    ),
}
