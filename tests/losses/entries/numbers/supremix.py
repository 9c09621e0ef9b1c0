"""Mixtures for labels with an order: losses/numbers/_supremix.py."""

import numpy as np
from entry import Entry
from loops import cosines, log_sum_exp, mean, scores, sides

from jaxsim import losses

TEMPERATURE, SHARE, WINDOW = 0.5, 0.25, 3


def supremix(x, labels, where, large, at):
    s = cosines(x, large) / TEMPERATURE
    g = scores(x, at, large) / TEMPERATURE  # with what is mixed held: only the anchor moves
    labels, values = np.asarray(labels, float), []
    for i, positives, negatives in sides(labels, where):
        gap = labels - labels[i]
        pulled = [s[i, j] for j in positives]
        every = [s[i, j] + np.log(1 + abs(gap[j])) for j in positives + negatives]
        every += [
            SHARE * g[i, i] + (1 - SHARE) * g[i, k] + np.log(1 + (1 - SHARE) * abs(gap[k]))
            for k in negatives
        ]
        for j in negatives:
            for k in negatives:
                if -WINDOW < gap[j] < 0 < gap[k] < WINDOW:
                    c = gap[k] / (gap[k] - gap[j])
                    pulled.append(c * g[i, j] + (1 - c) * g[i, k])
                    every.append(pulled[-1])
        if pulled:
            values.append(log_sum_exp(every) - np.mean(pulled))
    return mean(values)


def call(x, labels, where, **settings):
    return losses.supremix(x, labels, shares=SHARE, window=WINDOW, where=where, **settings)


LOSSES = {"supremix": Entry(call, supremix, held=True)}
