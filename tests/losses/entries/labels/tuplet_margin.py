"""Tuplet margin loss: losses/labels/_tuplet_margin.py."""

import numpy as np
from entries.labels.multi_similarity import call
from entry import Entry
from loops import cosines, log_sum_exp, mean, sides

from jaxsim import losses


def tuplet_margin(x, labels, where, large):
    s, values, margin = cosines(x, large), [], np.deg2rad(5.73)
    for i, positives, negatives in sides(labels, where):
        for p in positives:
            sine = np.sqrt(max(1 - s[i, p] ** 2, 0))
            eased = s[i, p] * np.cos(margin) + sine * np.sin(margin)
            values.append(log_sum_exp([0] + [64 * (s[i, n] - eased) for n in negatives]))
    return mean(values)


LOSSES = {
    "tuplet_margin": Entry(call(losses.tuplet_margin), tuplet_margin),
}
