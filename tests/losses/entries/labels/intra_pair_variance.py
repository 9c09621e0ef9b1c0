"""Intra-pair variance: losses/labels/_intra_pair_variance.py."""

from entries.labels.multi_similarity import call
from entry import Entry
from loops import cosines, mean, sides

from jaxsim import losses


def intra_pair_variance(x, labels, where, large):
    s, own, other = cosines(x, large), [], []
    for i, positives, negatives in sides(labels, where):
        own += [s[i, j] for j in positives]
        other += [s[i, j] for j in negatives]
    pulls = [max(0.99 * mean(own) - v, 0) ** 2 for v in own]
    pushes = [max(v - 1.01 * mean(other), 0) ** 2 for v in other]
    return mean(pulls) + mean(pushes)


LOSSES = {
    "intra_pair_variance": Entry(call(losses.intra_pair_variance), intra_pair_variance),
}
