"""Two encoders and one classifier: losses/classes/_instance.py."""

import numpy as np
from entries.classes.arcface import CLASSES
from entry import Entry, documents_of
from loops import log_sum_exp, mean

from jaxsim import losses


def instance(x, labels, where, large):
    sides, values = [side @ CLASSES.T for side in (x, documents_of(x))], []
    for i in np.flatnonzero(where):
        if labels[i] < 12:
            values.append(sum(log_sum_exp(s[i]) - s[i, labels[i]] for s in sides))
    return mean(values)


def call_instance(x, labels, where, **settings):
    settings = {"where": where & (labels < 12), **settings}
    return losses.instance(x, documents_of(x), labels, CLASSES.copy(), **settings)


LOSSES = {"instance": Entry(call_instance, instance, unit=False)}
