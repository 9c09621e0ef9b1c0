"""Multi-similarity: losses/labels/_multi_similarity.py."""

import functools

import numpy as np
from entry import Entry
from loops import cosines, log_sum_exp, mean, sides

from jaxsim import losses


def multi_similarity(mined, x, labels, where, large):
    s, values = cosines(x, large), []
    for i, positives, negatives in sides(labels, where):
        if mined:
            least = min((s[i, j] for j in positives), default=np.inf)
            most = max((s[i, j] for j in negatives), default=-np.inf)
            positives = [j for j in positives if s[i, j] - 0.1 < most]
            negatives = [j for j in negatives if s[i, j] + 0.1 > least]
        pulls = log_sum_exp([0] + [-2 * (s[i, j] - 0.5) for j in positives]) / 2
        pushes = log_sum_exp([0] + [50 * (s[i, j] - 0.5) for j in negatives]) / 50
        values.append(pulls + pushes)
    return mean(values)


def call(loss, **own):
    return lambda x, labels, where, **settings: loss(x, labels, where=where, **own, **settings)


LOSSES = {
    "multi_similarity": Entry(
        call(losses.multi_similarity), functools.partial(multi_similarity, True)
    ),
    "multi_similarity_unmined": Entry(
        call(losses.multi_similarity_unmined), functools.partial(multi_similarity, False)
    ),
}
