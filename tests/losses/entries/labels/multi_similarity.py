"""Multi-similarity and its kin: losses/labels/_multi_similarity.py."""

import functools

import numpy as np
from entry import Entry
from loops import cosines, distances, log_sum_exp, mean, sides

from jaxsim import losses


def multi_similarity(mined, x, labels, where, large):
    s, values = cosines(x, large), []
    for i, positives, negatives in sides(labels, where):
        if mined:
            least = min((s[i, j] for j in positives), default=np.inf)
            most = max((s[i, j] for j in negatives), default=-np.inf)
            positives = [j for j in positives if s[i, j] - 0.1 < most]
            negatives = [j for j in negatives if s[i, j] + 0.1 > least]
        pulls = log_sum_exp([0] + [-2 * (s[i, j] - 0.5) for j in positives]) / 2
        pushes = log_sum_exp([0] + [50 * (s[i, j] - 0.5) for j in negatives]) / 50
        values.append(pulls + pushes)
    return mean(values)


def circle(x, labels, where, large, at):
    s, held, values = cosines(x, large), cosines(at, large), []
    for i, positives, negatives in sides(labels, where):
        if positives and negatives:
            pulls = [-80 * max(1.4 - held[i, j], 0) * (s[i, j] - 0.6) for j in positives]
            pushes = [80 * max(held[i, j] + 0.4, 0) * (s[i, j] - 0.4) for j in negatives]
            values.append(np.logaddexp(0, log_sum_exp(pulls) + log_sum_exp(pushes)))
    return mean(values)


def ranked_list(x, labels, where, large):
    d, values, count = distances(x, large), [], np.sum(where)
    for i, positives, negatives in sides(labels, where):
        far = np.array([d[i, j] - 0.8 for j in positives if d[i, j] > 0.8])
        near = np.array([1.2 - d[i, j] for j in negatives if d[i, j] < 1.2])
        values.append(0)
        for terms, sharpness in ((far, 0.5), (near, 3)):
            if len(terms):
                top = sharpness * terms.max()
                weights = np.exp(sharpness * terms - top)
                total = weights.sum() + count * 1e-5 * np.exp(-top)
                values[-1] += 0.5 * (weights * terms).sum() / total
    return mean(values)


def tuplet_margin(x, labels, where, large):
    s, values, margin = cosines(x, large), [], np.deg2rad(5.73)
    for i, positives, negatives in sides(labels, where):
        for p in positives:
            sine = np.sqrt(max(1 - s[i, p] ** 2, 0))
            eased = s[i, p] * np.cos(margin) + sine * np.sin(margin)
            values.append(log_sum_exp([0] + [64 * (s[i, n] - eased) for n in negatives]))
    return mean(values)


def n_pairs(x, labels, where, large):
    rows, values = np.flatnonzero(where), []
    classes = [[i for i in rows if labels[i] == c] for c in sorted(set(labels[rows]))]
    pairs = [members[:2] for members in classes if len(members) > 1]
    for a, b in pairs:
        values.append(log_sum_exp([x[a] @ x[other] for _, other in pairs]) - x[a] @ x[b])
    return mean(values)


def call(loss, **own):
    return lambda x, labels, where, **settings: loss(x, labels, where=where, **own, **settings)


LOSSES = {
    "multi_similarity": Entry(
        call(losses.multi_similarity), functools.partial(multi_similarity, True)
    ),
    "multi_similarity_unmined": Entry(
        call(losses.multi_similarity_unmined), functools.partial(multi_similarity, False)
    ),
    "circle": Entry(call(losses.circle), circle, held=True),
    "ranked_list": Entry(
        call(losses.ranked_list, margin=0.4, negative_sharpness=3.0, positive_sharpness=0.5),
        ranked_list,
    ),
    "tuplet_margin": Entry(call(losses.tuplet_margin), tuplet_margin),
    "n_pairs": Entry(call(losses.n_pairs), n_pairs, unit=False),
}
