"""Several times the angle, with norms on both sides: losses/classes/_sphereface.py."""

import numpy as np
from entries.classes.arcface import CLASSES, call, sphereface
from entry import Entry
from loops import log_sum_exp, mean, scores

from jaxsim import losses


def large_margin_softmax(x, labels, where, large):
    c, values = scores(x, CLASSES, False), []
    for i in np.flatnonzero(where):
        if labels[i] < 12:
            logits = c[i].copy()
            logits[labels[i]] = sphereface(np.arccos(c[i, labels[i]]))
            logits *= np.linalg.norm(x[i]) * np.linalg.norm(CLASSES, axis=1)
            values.append(log_sum_exp(logits) - logits[labels[i]])
    return mean(values)


LOSSES = {
    "large_margin_softmax": Entry(call(losses.large_margin_softmax), large_margin_softmax),
}
