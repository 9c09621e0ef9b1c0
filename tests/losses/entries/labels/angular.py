"""The angular loss: losses/labels/_angular.py. The reference builds all triplets."""

import numpy as np
from entry import Entry
from loops import cosines, log_sum_exp, mean, sides

from jaxsim import losses


def angular(x, labels, where, large):
    s, t, values = cosines(x, large), np.tan(np.radians(40)) ** 2, []
    for i, positives, negatives in sides(labels, where):
        for p in positives:
            f = [4 * t * (s[i, n] + s[p, n]) - 2 * (1 + t) * s[i, p] for n in negatives]
            values.append(log_sum_exp([0, *f]))
    return mean(values)


def call(x, labels, where, **settings):
    return losses.angular(x, labels, where=where, **settings)


LOSSES = {"angular": Entry(call, angular)}
