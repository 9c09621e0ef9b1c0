"""Binomial deviance: losses/labels/_binomial_deviance.py."""

import numpy as np
from entries.labels.multi_similarity import call
from entry import Entry
from loops import cosines, mean, sides

from jaxsim import losses


def binomial_deviance(x, labels, where, large):
    s, values = cosines(x, large), []
    for i, positives, negatives in sides(labels, where):
        values.append(mean([np.logaddexp(0, 2 * (0.5 - s[i, j])) for j in positives]))
        values[-1] += mean([np.logaddexp(0, 40 * (s[i, j] - 0.5)) for j in negatives])
    return mean(values)


LOSSES = {
    "binomial_deviance": Entry(call(losses.binomial_deviance), binomial_deviance),
}
