"""Margins on angles to class weights: classes/_normalized_softmax.py, _arcface.py, with the arc cosines that these avoid."""

import functools

import numpy as np
from entry import Entry
from loops import log_sum_exp, mean, scores

from jaxsim import losses

CLASSES = np.random.default_rng(4).normal(size=(12, 4))


def over_classes(eased, sizes, scale, x, labels, where, large):
    c, values = scores(x, CLASSES, False), []
    for i in np.flatnonzero(where):
        if labels[i] < 12:
            logits = c[i].copy()
            logits[labels[i]] = eased(np.arccos(c[i, labels[i]]))
            logits *= scale * (np.linalg.norm(x[i]) if sizes else 1)
            values.append(log_sum_exp(logits) - logits[labels[i]])
    return mean(values)


def arcface(angle):
    return np.cos(angle + 0.5) if angle < np.pi - 0.5 else np.cos(angle) - 0.5 * np.sin(0.5)


def sphereface(angle):
    k = min(np.floor(angle * 4 / np.pi), 3)
    return (-1) ** k * np.cos(4 * angle) - 2 * k


def call(loss):
    def called(x, labels, where, similarity=None, **settings):  # always the cosine
        there = where & (labels < 12)  # a label that is no class would be refused
        return loss(
            x, labels, CLASSES.copy(), where=there, **settings
        )  # see entries.classes.proxy_nca

    return called


LOSSES = {
    "normalized_softmax": Entry(
        call(losses.normalized_softmax), functools.partial(over_classes, np.cos, False, 20)
    ),
    "cosface": Entry(
        call(losses.cosface),
        functools.partial(over_classes, lambda angle: np.cos(angle) - 0.35, False, 64),
    ),
    "arcface": Entry(call(losses.arcface), functools.partial(over_classes, arcface, False, 64)),
    "sphereface": Entry(
        call(losses.sphereface), functools.partial(over_classes, sphereface, True, 1)
    ),
}
