"""Ranked list loss: losses/labels/_ranked_list.py."""

import numpy as np
from entries.labels.multi_similarity import call
from entry import Entry
from loops import distances, mean, sides

from jaxsim import losses


def ranked_list(x, labels, where, large):
    d, values, count = distances(x, large), [], np.sum(where)
    for i, positives, negatives in sides(labels, where):
        far = np.array([d[i, j] - 0.8 for j in positives if d[i, j] > 0.8])
        near = np.array([1.2 - d[i, j] for j in negatives if d[i, j] < 1.2])
        values.append(0)
        for terms, sharpness in ((far, 0.5), (near, 3)):
            if len(terms):
                top = sharpness * terms.max()
                weights = np.exp(sharpness * terms - top)
                total = weights.sum() + count * 1e-5 * np.exp(-top)
                values[-1] += 0.5 * (weights * terms).sum() / total
    return mean(values)


LOSSES = {
    "ranked_list": Entry(
        call(losses.ranked_list, margin=0.4, negative_sharpness=3.0, positive_sharpness=0.5),
        ranked_list,
    ),
}
