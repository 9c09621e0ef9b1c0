"""N-pair loss: losses/labels/_n_pairs.py."""

import numpy as np
from entries.labels.multi_similarity import call
from entry import Entry
from loops import log_sum_exp, mean

from jaxsim import losses


def n_pairs(x, labels, where, large):
    rows, values = np.flatnonzero(where), []
    classes = [[i for i in rows if labels[i] == c] for c in sorted(set(labels[rows]))]
    pairs = [members[:2] for members in classes if len(members) > 1]
    for a, b in pairs:
        values.append(log_sum_exp([x[a] @ x[other] for _, other in pairs]) - x[a] @ x[b])
    return mean(values)


LOSSES = {
    "n_pairs": Entry(call(losses.n_pairs), n_pairs, unit=False),
}
