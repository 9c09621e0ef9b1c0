"""Margin loss: losses/labels/_margin.py."""

from entries.labels.multi_similarity import call
from entry import Entry
from loops import distances, mean_of_positive, sides

from jaxsim import losses


def margin(x, labels, where, large, beta=1.15, width=0.2):
    d, terms = distances(x, large), []
    for i, positives, negatives in sides(labels, where):
        for p in positives:
            for n in negatives:
                terms.append(max(d[i, p] - beta + width, 0))
                terms.append(max(beta - d[i, n] + width, 0))
    return mean_of_positive(terms)


LOSSES = {
    "margin": Entry(call(losses.margin, beta=1.15), margin),
}
