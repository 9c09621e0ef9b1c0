"""Negatives weighed by their own scores: losses/pairs/_hardness_info_nce.py."""

import functools

import numpy as np
from entry import Entry, groups_of
from loops import log_sum_exp, mean, scores

from jaxsim import losses

TEMPERATURE = 0.05


def hardness(weighed, strength, x, labels, where, large, at):
    """`weighed(i, j, c)`: whether document c of row j weighs more for query i."""
    rows, values = np.flatnonzero(where), []
    s, held = (
        scores(a, groups_of(a)[:, :2].reshape(-1, a.shape[1]), large).reshape(len(a), -1, 2)
        for a in (x, at)
    )
    for i in rows:
        logits, own = [], []
        for j in rows:
            for c in range(2):
                is_own = c == 0 and bool(labels[j] == labels[i])
                own += [s[i, j, c] / TEMPERATURE] * is_own
                more = strength * held[i, j, c] * (not is_own and weighed(i, j, c))
                logits.append(s[i, j, c] / TEMPERATURE + more)
        values.append(log_sum_exp(logits) - log_sum_exp(own))
    return mean(values)


def call(loss, strength):
    def called(x, labels, where, **settings):
        return loss(
            x,
            groups_of(x)[:, :2],
            document_ids=labels,
            where=where,
            hardness=strength,
            **settings,
        )

    return called


LOSSES = {
    name: Entry(call(loss, strength), functools.partial(hardness, weighed, strength), held=True)
    for name, loss, strength, weighed in (
        ("hardness_info_nce", losses.hardness_info_nce, 3.0, lambda i, j, c: True),
        ("in_batch_hardness", losses.in_batch_hardness_info_nce, 9.0, lambda i, j, c: j != i),
        (
            "hard_negative_hardness",
            losses.hard_negative_hardness_info_nce,
            5.0,
            lambda i, j, c: j == i,
        ),
    )
}
