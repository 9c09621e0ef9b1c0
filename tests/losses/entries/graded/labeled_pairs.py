"""Pairs and triplets as they are given: losses/graded/_labeled_pairs.py. A row's pair is alike where its label is odd."""

import numpy as np
from entry import Entry, documents_of
from loops import mean, units

from jaxsim import losses


def others_of(x):
    """A third vector for each row; a zero row keeps a zero one."""
    return x[:, [1, 2, 3, 0]] * 0.5


def cosine_distances(x):
    return 1 - np.sum(units(x) * units(documents_of(x)), axis=1)


def paired(x, labels, where, large):
    alike, d = labels % 2 == 1, cosine_distances(x)
    contrasted = np.where(alike, d, np.maximum(0.5 - d, 0)) ** 2 / 2
    far, near = (np.linalg.norm(x - y, axis=1) for y in (documents_of(x), others_of(x)))
    logits = np.sum(x * documents_of(x), axis=1)
    told = np.logaddexp(0, np.where(alike, -logits, logits))[where].sum()
    return mean(contrasted[where]) + mean(np.maximum(far - near + 1, 0)[where]) + told / 10


def call_paired(x, labels, where, **settings):
    pair, settings = (x, documents_of(x)), {"where": where, **settings}
    return (
        losses.paired_contrastive(*pair, labels % 2, **settings)
        + losses.given_triplet(*pair, others_of(x), **settings)
        + losses.contrastive_tension(*pair, labels % 2, **settings) / 10
    )


def online(x, labels, where, large, at):
    """Which pairs count is decided at `at`."""
    d, held, alike = cosine_distances(x), cosine_distances(at), labels % 2 == 1
    yes, no = held[where & alike], held[where & ~alike]
    value = 0.0
    if len(yes):
        kept = where & alike & (held > (no.min() if len(no) else yes.mean()))
        value += np.sum(d[kept] ** 2)
    if len(no):
        kept = where & ~alike & (held < (yes.max() if len(yes) else no.mean()))
        value += np.sum(np.maximum(0.5 - d[kept], 0) ** 2)
    return value


def call_online(x, labels, where, **settings):
    return losses.online_contrastive(x, documents_of(x), labels % 2, where=where, **settings)


LOSSES = {
    "paired_contrastive + given_triplet + contrastive_tension": Entry(
        call_paired, paired, lifted=False
    ),
    "online_contrastive": Entry(call_online, online, lifted=False, held=True),
}
