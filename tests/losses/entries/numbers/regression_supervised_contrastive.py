"""Regression labels: losses/numbers/_regression_supervised_contrastive.py."""

import numpy as np
from entries.labels.multi_similarity import call
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


LOSSES = {
    "regression_supervised_contrastive": Entry(
        call(
            losses.regression_supervised_contrastive,
            distance_weight=losses.parts.linear_weight,
            label_scale=2.0,
        ),
        regression,
    ),
}
