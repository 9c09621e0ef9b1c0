"""FastAP: losses/labels/_fast_ap.py."""

import numpy as np
from entries.labels.multi_similarity import call
from entry import Entry
from loops import cosines, mean, sides

from jaxsim import losses


def kernel(value, node, step):
    return np.maximum(0, 1 - np.abs(value - node) / step)


def fast_ap(x, labels, where, large):
    d, step, nodes, values = np.clip(2 - 2 * cosines(x, large), 0, 4), 0.4, np.arange(11) * 0.4, []
    for i, positives, negatives in sides(labels, where):
        if positives:
            own = sum(kernel(d[i, j], nodes, step) for j in positives)
            every = sum(kernel(d[i, j], nodes, step) for j in positives + negatives)
            so_far, own_so_far = np.cumsum(every), np.cumsum(own)
            terms = [own[r] * own_so_far[r] / so_far[r] for r in range(11) if so_far[r] > 0]
            values.append(1 - sum(terms) / len(positives))
    return mean(values)


LOSSES = {
    "fast_ap": Entry(call(losses.fast_ap), fast_ap),
}
