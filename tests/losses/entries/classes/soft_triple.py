"""Classes of several centers: losses/classes/_soft_triple.py, with the arc cosines that it avoids."""

import numpy as np
from entries.classes.arcface import arcface
from entry import Entry
from loops import log_sum_exp, mean, units

from jaxsim import losses

CENTERS = np.random.default_rng(5).normal(size=(12, 3, 4))


def to_centers(x):
    """Cosines [rows, classes, centers]."""
    return np.einsum("id,ckd->ick", units(x), units(CENTERS.reshape(-1, 4)).reshape(12, 3, 4))


def cross_entropy(logits, labels, where, eased, scale):
    values = []
    for i in np.flatnonzero(where):
        if labels[i] < 12:
            row = logits[i].copy()
            row[labels[i]] = eased(row[labels[i]])
            values.append(log_sum_exp(scale * row) - scale * row[labels[i]])
    return mean(values)


def sub_center_arcface(x, labels, where, large):
    nearest = to_centers(x).max(axis=2)
    return cross_entropy(nearest, labels, where, lambda c: arcface(np.arccos(c)), 64)


def soft_triple(x, labels, where, large):
    s = to_centers(x)
    q = np.exp(s / 0.1)
    near = (q * s).sum(axis=2) / q.sum(axis=2)
    return cross_entropy(near, labels, where, lambda c: c - 0.01, 20)


def call(loss):
    def called(x, labels, where, similarity=None, **settings):  # always the cosine
        there = where & (labels < 12)  # a label that is no class would be refused
        return loss(
            x, labels, CENTERS.copy(), where=there, **settings
        )  # see entries.classes.proxy_nca

    return called


LOSSES = {
    "sub_center_arcface": Entry(call(losses.sub_center_arcface), sub_center_arcface),
    "soft_triple": Entry(call(losses.soft_triple), soft_triple),
}
