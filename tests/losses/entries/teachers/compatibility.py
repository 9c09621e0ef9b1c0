"""Compatible representations: losses/teachers/_compatibility.py. The old model is another reading of the rows."""

import functools

import numpy as np
from entry import Entry, documents_of
from loops import log_sum_exp, mean, scores

from jaxsim import losses, similarity

CLASSES = np.float32([[1, 0, 0, 0], [0, 2, 1, 0], [0, 0, -1, 1], [1, 1, 1, 1], [0, 1, 0, -1]])


def of_old(released, x, labels, where, large, at):
    old, rows, values = documents_of(at), np.flatnonzero(where), []
    s = scores(old, x, False) / 0.1
    for i in rows:
        others = [j for j in rows if labels[j] != labels[i]]
        mates = sum(labels[j] == labels[i] for j in rows)
        first = [0.0] * int(mates) if released else [s[i, i]]
        values.append(log_sum_exp([*first, *s[i, others]]) - s[i, i])
    return mean(values)


def call(loss):
    def called(x, labels, where, **settings):
        return loss(x, documents_of(x), labels, where=where, **settings)

    return called


def backward(x, labels, where, large):
    s, values = x @ np.float64(CLASSES).T, []
    for i in np.flatnonzero(where):
        values.append(log_sum_exp(s[i]) - s[i, labels[i] % len(CLASSES)])
    return mean(values)


def call_backward(x, labels, where, **settings):
    settings = {"similarity": similarity.dot, **settings}
    return losses.backward_compatible(x, labels % len(CLASSES), CLASSES, where=where, **settings)


def stationary(x, labels, where, large, at):
    compatible = of_old(False, x, labels % len(CLASSES), where, False, at)
    return 0.3 * backward(x, labels, where, True) + 0.7 * compatible


def call_stationary(x, labels, where, similarity=None, **settings):
    return losses.stationary(
        x, documents_of(x), labels % len(CLASSES), CLASSES, weight=0.3, where=where, **settings
    )


LOSSES = {
    "higher_order_compatibility": Entry(
        call(losses.higher_order_compatibility),
        functools.partial(of_old, False),
        lifted=False,
        held=True,
    ),
    "higher_order_compatibility_released": Entry(
        call(losses.higher_order_compatibility_released),
        functools.partial(of_old, True),
        lifted=False,
        held=True,
    ),
    "backward_compatible": Entry(call_backward, backward, unit=False),
    "stationary": Entry(call_stationary, stationary, lifted=False, unit=False, held=True),
}
