"""Contrast over labels with an order: losses/numbers/_rank_n_contrast.py."""

import numpy as np
from entry import Entry
from loops import cosines, log_sum_exp, mean, sides

from jaxsim import losses


def regression(x, labels, where, large):
    s, values = cosines(x, large) / 0.5, []
    for i, positives, negatives in sides(labels, where):
        if positives:
            every = [
                s[i, j] + np.log(1 + abs(int(labels[j]) - int(labels[i])) / 2)
                for j in positives + negatives
            ]
            values.append(log_sum_exp(every) - np.mean(s[i, positives]))
    return mean(values)


def rank_n_contrast(x, labels, where, large):
    s = x @ x.T if large else -np.linalg.norm(x[:, None] - x[None], axis=2)
    s, values = s / 2, []
    for i, positives, negatives in sides(labels, where):
        others = np.array(positives + negatives, int)
        far = np.abs(labels[others] - labels[i])
        for j, distance in zip(others, far, strict=True):
            values.append(log_sum_exp(s[i, others[far >= distance]]) - s[i, j])
    return mean(values)


def call(loss, **own):
    return lambda x, labels, where, **settings: loss(x, labels, where=where, **own, **settings)


LOSSES = {
    "regression_supervised_contrastive": Entry(
        call(
            losses.regression_supervised_contrastive,
            distance_weight=losses.parts.linear_weight,
            label_scale=2.0,
        ),
        regression,
    ),
    "rank_n_contrast": Entry(call(losses.rank_n_contrast), rank_n_contrast, unit=False),
}
