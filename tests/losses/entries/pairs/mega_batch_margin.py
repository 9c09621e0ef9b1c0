"""The hardest negative of the batch: losses/pairs/_mega_batch_margin.py. Rows of equal labels share their document."""

import numpy as np
from entry import Entry, documents_of
from loops import mean, scores

from jaxsim import losses


def reference(x, labels, where, large):
    rows, values = np.flatnonzero(where), []
    s = scores(x, documents_of(x), large)
    for i in rows:
        same = labels[rows] == labels[i]
        values.append(mean(np.maximum(0.8 - s[i, rows[same]], 0)))
        if not same.all():
            values[-1] += max(s[i, rows[~same]].max() - 0.3, 0)
    return mean(values)


def call(x, labels, where, **settings):
    return losses.mega_batch_margin(
        x, documents_of(x), document_ids=labels, where=where, **settings
    )


LOSSES = {"mega_batch_margin": Entry(call, reference)}
