"""Rank-N-Contrast: losses/numbers/_rank_n_contrast.py."""

import numpy as np
from entries.labels.multi_similarity import call
from entry import Entry
from loops import log_sum_exp, mean, sides

from jaxsim import losses


def rank_n_contrast(x, labels, where, large):
    s = x @ x.T if large else -np.linalg.norm(x[:, None] - x[None], axis=2)
    s, values = s / 2, []
    for i, positives, negatives in sides(labels, where):
        others = np.array(positives + negatives, int)
        far = np.abs(labels[others] - labels[i])
        for j, distance in zip(others, far, strict=True):
            values.append(log_sum_exp(s[i, others[far >= distance]]) - s[i, j])
    return mean(values)


LOSSES = {
    "rank_n_contrast": Entry(call(losses.rank_n_contrast), rank_n_contrast, unit=False),
}
