"""The sigmoid loss: losses/pairs/_siglip.py."""

import numpy as np
from entry import Entry, documents_of
from loops import mean, scores

from jaxsim import losses


def siglip(x, labels, where, large):
    logits = scores(x, documents_of(x), large) / 0.1 - 10
    rows, values = np.flatnonzero(where), []
    for i in rows:
        signs = {j: -1 if labels[j] == labels[i] else 1 for j in rows}
        values.append(sum(np.logaddexp(0, signs[j] * logits[i, j]) for j in rows))
    return mean(values)


def call(x, labels, where, **settings):
    return losses.siglip(x, documents_of(x), document_ids=labels, where=where, **settings)


LOSSES = {"siglip": Entry(call, siglip)}
