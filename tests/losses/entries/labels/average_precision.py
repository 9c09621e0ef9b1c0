"""Histograms and average precision: losses/labels/_average_precision.py."""

import numpy as np
from entry import Entry
from loops import cosines, mean, sides

from jaxsim import losses


def kernel(value, node, step):
    return np.maximum(0, 1 - np.abs(value - node) / step)


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


def sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))


def rank(s, j, some):
    """The smooth rank of j among some references of an anchor whose scores are s."""
    return 1 + sum(sigmoid(s[[k for k in some if k != j]] - s[j]))


def smooth_ap(include_self, x, labels, where, large):
    s, values = cosines(x, large) / 0.05, []
    for i, positives, negatives in sides(labels, where):
        own = positives + [i] * include_self
        every = own + negatives
        if own:
            values.append(1 - np.mean([rank(s[i], j, own) / rank(s[i], j, every) for j in own]))
    return mean(values)


def call(loss, **own):
    return lambda x, labels, where, **settings: loss(x, labels, where=where, **own, **settings)


LOSSES = {
    "histogram": Entry(call(losses.histogram, bins=20), histogram),
    "fast_ap": Entry(call(losses.fast_ap), fast_ap),
    "smooth_ap": Entry(
        call(losses.smooth_ap, temperature=0.05), lambda *a, **k: smooth_ap(False, *a, **k)
    ),
    "smooth_ap_with_self": Entry(
        call(losses.smooth_ap_with_self, temperature=0.05),
        lambda *a, **k: smooth_ap(True, *a, **k),
    ),
}
