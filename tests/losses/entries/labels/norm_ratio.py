"""Norm ratios: losses/labels/_norm_ratio.py. Two labels are an image, whole and cut."""

import numpy as np
from entries.labels.supervised_contrastive import LOSSES as OF_ANGLES
from entry import Entry, documents_of
from loops import mean

from jaxsim import losses


def group_of(labels):
    return labels // 2


def content_of(labels):
    """Odd labels have more content; rows of one label tie."""
    return labels % 2 / np.float32(2)


def norms_of(x):
    return np.maximum(np.linalg.norm(x, axis=1), np.finfo(np.float32).tiny)


def norm_ratio(x, labels, where, large):
    whole, part = norms_of(x), norms_of(documents_of(x) + x)
    with np.errstate(over="ignore"):
        return mean([np.exp(1 - whole[i] / part[i]) for i in np.flatnonzero(where)])


def call_norm_ratio(x, labels, where, **settings):
    return losses.norm_ratio(x, documents_of(x) + x, where=where, **settings)


def grouped(x, labels, where, large):
    norms, content, rows = norms_of(x), content_of(labels), np.flatnonzero(where)
    groups, of_groups = group_of(np.asarray(labels)), []
    for group in np.unique(groups[rows]):
        members = [i for i in rows if groups[i] == group]
        pairs = [(a, b) for a in members for b in members if content[a] > content[b]]
        if pairs:
            with np.errstate(over="ignore"):
                of_groups.append(np.mean([np.exp(1 - norms[a] / norms[b]) for a, b in pairs]))
    return mean(of_groups)


def call_grouped(x, labels, where, similarity=None, **settings):
    return losses.grouped_norm_ratio(
        x, group_of(labels), content_of(labels), where=where, **settings
    )


def asl(x, labels, where, large):
    angles = OF_ANGLES["supervised_contrastive"].reference(x, group_of(labels), where, False)
    return angles + 0.5 * grouped(x, labels, where, large)


def call_asl(x, labels, where, similarity=None, **settings):
    return losses.asl(x, group_of(labels), content_of(labels), weight=0.5, where=where, **settings)


LOSSES = {
    "norm_ratio": Entry(call_norm_ratio, norm_ratio, lifted=False),
    "grouped_norm_ratio": Entry(call_grouped, grouped),
    "asl": Entry(call_asl, asl),
}
