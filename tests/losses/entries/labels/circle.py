"""Circle loss: losses/labels/_circle.py."""

import numpy as np
from entries.labels.multi_similarity import call
from entry import Entry
from loops import cosines, log_sum_exp, mean, sides

from jaxsim import losses


def circle(x, labels, where, large, at):
    s, held, values = cosines(x, large), cosines(at, large), []
    for i, positives, negatives in sides(labels, where):
        if positives and negatives:
            pulls = [-80 * max(1.4 - held[i, j], 0) * (s[i, j] - 0.6) for j in positives]
            pushes = [80 * max(held[i, j] + 0.4, 0) * (s[i, j] - 0.4) for j in negatives]
            values.append(np.logaddexp(0, log_sum_exp(pulls) + log_sum_exp(pushes)))
    return mean(values)


LOSSES = {
    "circle": Entry(call(losses.circle), circle, held=True),
}
