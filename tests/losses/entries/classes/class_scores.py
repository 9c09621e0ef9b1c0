"""Classes told by squares, and by two encoders: losses/classes/_p2s_grad.py, losses/classes/_instance.py."""

import numpy as np
from entries.classes.arcface import CLASSES, call
from entry import Entry, documents_of
from loops import log_sum_exp, mean, scores

from jaxsim import losses


def p2s_grad(x, labels, where, large):
    c = scores(x, CLASSES, False)
    rows = [i for i in np.flatnonzero(where) if labels[i] < 12]
    return mean([sum((c[i, k] - (k == labels[i])) ** 2 for k in range(12)) / 2 for i in rows])


def instance(x, labels, where, large):
    sides, values = [side @ CLASSES.T for side in (x, documents_of(x))], []
    for i in np.flatnonzero(where):
        if labels[i] < 12:
            values.append(sum(log_sum_exp(s[i]) - s[i, labels[i]] for s in sides))
    return mean(values)


def call_instance(x, labels, where, **settings):
    settings = {"where": where & (labels < 12), **settings}
    return losses.instance(x, documents_of(x), labels, CLASSES.copy(), **settings)


LOSSES = {
    "p2s_grad": Entry(call(losses.p2s_grad), p2s_grad),
    "instance": Entry(call_instance, instance, unit=False),
}
