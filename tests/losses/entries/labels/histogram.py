"""Histogram loss: losses/labels/_histogram.py."""

import numpy as np
from entries.labels.fast_ap import kernel
from entries.labels.multi_similarity import call
from entry import Entry
from loops import cosines, sides

from jaxsim import losses


def histogram(x, labels, where, large):
    s, step, nodes = np.clip(cosines(x, large), -1, 1), 2 / 20, np.linspace(-1, 1, 21)
    own, other = [], []
    for i, positives, negatives in sides(labels, where):
        own += [s[i, j] for j in positives if j > i]
        other += [s[i, j] for j in negatives if j > i]
    if not own or not other:
        return 0.0
    h = [np.mean([kernel(v, nodes, step) for v in values], axis=0) for values in (own, other)]
    return sum(h[1][r] * h[0][: r + 1].sum() for r in range(21))


LOSSES = {
    "histogram": Entry(call(losses.histogram, bins=20), histogram),
}
