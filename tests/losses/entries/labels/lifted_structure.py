"""Lifted structure: losses/labels/_lifted_structure.py."""

import numpy as np
from entry import Entry
from loops import cosines, distances, log_sum_exp, mean, sides

from jaxsim import losses


def lifted_structure(x, labels, where, large):
    d, values = distances(x, large), []
    negatives_of = {i: negatives for i, _, negatives in sides(labels, where)}
    for i, positives, _ in sides(labels, where):
        for j in positives:
            both = [0.9 - d[i, k] for k in negatives_of[i]] + [
                0.9 - d[j, k] for k in negatives_of[j]
            ]
            values.append(max(d[i, j] - 0.1 + log_sum_exp(both), 0) ** 2 / 2)
    return mean(values)


def generalized(x, labels, where, large):
    d, values = distances(x, large), []
    for i, positives, negatives in sides(labels, where):
        pulls = log_sum_exp([d[i, j] for j in positives]) if positives else 0
        pushes = log_sum_exp([1 - d[i, j] for j in negatives]) if negatives else 0
        values.append(max(pulls + pushes, 0))
    return mean(values)


def on_cosines(x, labels, where, large):
    s, values = cosines(x, large), []
    for i, positives, negatives in sides(labels, where):
        values.append(log_sum_exp([-2 * s[i, j] for j in positives]) if positives else 0.0)
        values[-1] += log_sum_exp([40 * s[i, j] for j in negatives]) / 20 if negatives else 0
    return np.mean(values) if values else 0.0


def call(loss, **own):
    return lambda x, labels, where, **settings: loss(x, labels, where=where, **own, **settings)


LOSSES = {
    "lifted_structure": Entry(
        call(losses.lifted_structure, positive_margin=0.1, negative_margin=0.9), lifted_structure
    ),
    "generalized_lifted_structure": Entry(call(losses.generalized_lifted_structure), generalized),
    "cosine_lifted_structure": Entry(call(losses.cosine_lifted_structure), on_cosines),
}
