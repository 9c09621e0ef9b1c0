"""Supervised contrastive loss: losses/labels/_supervised_contrastive.py."""

import numpy as np
from entries.labels.multi_similarity import call
from entry import Entry
from loops import cosines, log_sum_exp, mean_of_positive, sides

from jaxsim import losses


def supervised_contrastive(x, labels, where, large):
    s, values = cosines(x, large) / 0.1, []
    for i, positives, negatives in sides(labels, where):
        if positives:
            every = log_sum_exp(s[i, positives + negatives])
            values.append(np.mean([every - s[i, j] for j in positives]))
    return mean_of_positive(values)


LOSSES = {
    "supervised_contrastive": Entry(call(losses.supervised_contrastive), supervised_contrastive),
}
