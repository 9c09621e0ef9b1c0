"""Contrastive losses: losses/labels/_contrastive.py."""

import functools

import numpy as np
from entries.labels.multi_similarity import call
from entry import Entry
from loops import cosines, distances, mean, mean_of_positive, sides, units

from jaxsim import losses


def contrastive(distance, average, x, labels, where, large, near=0.9):
    d, pulls, pushes = distance(x, large), [], []
    for i, positives, negatives in sides(labels, where):
        pulls += [max(d[i, j], 0) for j in positives]
        pushes += [max(near - d[i, j], 0) for j in negatives]
    return average(pulls) + average(pushes)


def contrastive_squared(x, labels, where, large):
    d, terms = distances(x, large), []
    for i, positives, negatives in sides(labels, where):
        terms += [d[i, j] ** 2 / 2 for j in positives]
        terms += [max(1 - d[i, j], 0) ** 2 / 2 for j in negatives]
    return mean(terms)


def cosine_contrastive(x, labels, where, large):
    s, values = cosines(x, large), []
    for i, positives, negatives in sides(labels, where):
        values.append(sum(1 - s[i, j] for j in positives))
        values[-1] += sum(s[i, j] for j in negatives if s[i, j] > 0.5)
    return mean(values)


def noise_to_signal(x, large):
    if large:
        return -x @ x.T
    u = units(x)
    signal, noise = u.var(axis=1), (u[:, None] - u[None]).var(axis=2)
    return np.array([noise[i] / v if v > 1e-30 else 0 * noise[i] for i, v in enumerate(signal)])


# A zero row is at distance 1 from all others: not on the edge of a hinge, whose term would count or not
# by its rounding.
LOSSES = {
    "contrastive": Entry(
        call(losses.contrastive, negative_margin=0.9),
        functools.partial(contrastive, distances, mean_of_positive),
    ),
    "contrastive_mean": Entry(
        call(losses.contrastive_mean, negative_margin=0.9),
        functools.partial(contrastive, distances, mean),
    ),
    "contrastive_squared": Entry(call(losses.contrastive_squared), contrastive_squared),
    "cosine_contrastive": Entry(call(losses.cosine_contrastive), cosine_contrastive),
    "snr_contrastive": Entry(
        call(losses.snr_contrastive, negative_margin=0.9),
        functools.partial(contrastive, noise_to_signal, mean_of_positive),
    ),
}
