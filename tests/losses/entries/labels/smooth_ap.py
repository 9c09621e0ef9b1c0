"""SmoothAP: losses/labels/_smooth_ap.py."""

import numpy as np
from entries.labels.multi_similarity import call
from entry import Entry
from loops import cosines, mean, sides

from jaxsim import losses


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


LOSSES = {
    "smooth_ap": Entry(
        call(losses.smooth_ap, temperature=0.05), lambda *a, **k: smooth_ap(False, *a, **k)
    ),
    "smooth_ap_with_self": Entry(
        call(losses.smooth_ap_with_self, temperature=0.05),
        lambda *a, **k: smooth_ap(True, *a, **k),
    ),
}
