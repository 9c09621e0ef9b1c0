"""Triplets: losses/labels/_triplet.py. The references build them all."""

import functools

import numpy as np
from entry import Entry
from loops import distances, mean, mean_of_positive, sides

from jaxsim import losses
from jaxsim.similarity import negative_euclidean


def over_triplets(cost, average, margin, x, labels, where, large, distances=distances):
    """The average over all (i, p, n) of a cost of (D_ip, D_in, D_pn, margin); None leaves one out."""
    d, costs = distances(x, large), []
    for i, positives, negatives in sides(labels, where):
        costs += [cost(d[i, p], d[i, n], d[p, n], margin) for p in positives for n in negatives]
    return average([c for c in costs if c is not None])


def hinge(near, far, other, margin):
    return max(near - far + margin, 0)


def softplus(near, far, other, margin):
    return np.logaddexp(0, near - far + margin)


def semi_hard(near, far, other, margin):
    return near - far + margin if 0 < far - near < margin else None


def hard(near, far, other, margin):
    return near - far + margin if far <= near else None


def swapped(near, far, other, margin):
    return max(near - min(far, other) + margin, 0)


def batch_semi_hard(x, labels, where, large):
    d, values = distances(x, large), []
    for i, positives, negatives in sides(labels, where):
        for p in positives if negatives else []:
            beyond = [d[i, n] for n in negatives if d[i, n] > d[i, p]]
            chosen = min(beyond) if beyond else max(d[i, n] for n in negatives)
            values.append(max(d[i, p] - chosen + 0.2, 0))
    return mean(values)


def batch_hard(cost, x, labels, where, large):
    d, values = distances(x, large), []
    for i, positives, negatives in sides(labels, where):
        if positives and negatives:
            values.append(cost(max(d[i, j] for j in positives) - min(d[i, j] for j in negatives)))
    return mean(values)


def raw_distances(x, large):
    return -x @ x.T if large else np.linalg.norm(x[:, None] - x[None], axis=2)


def call(loss, **own):
    return lambda x, labels, where, **settings: loss(x, labels, where=where, **(own | settings))


# These select by the order of distances, and a zero row is equally far from all rows of norm 1.
SELECTING = {
    "semi_hard_triplet": (losses.semi_hard_triplet, semi_hard),
    "hard_triplet": (losses.hard_triplet, hard),
}

LOSSES = {
    "triplet": Entry(
        call(losses.triplet), functools.partial(over_triplets, hinge, mean_of_positive, 0.05)
    ),
    "triplet_mean": Entry(
        call(losses.triplet_mean), functools.partial(over_triplets, hinge, mean, 0.05)
    ),
    "smooth_triplet": Entry(
        call(losses.smooth_triplet), functools.partial(over_triplets, softplus, mean, 0.0)
    ),
    **{
        name: Entry(
            call(loss, similarity=negative_euclidean),
            functools.partial(over_triplets, cost, mean, 0.2, distances=raw_distances),
            unit=False,
        )
        for name, (loss, cost) in SELECTING.items()
    },
    "swapped_triplet": Entry(
        call(losses.swapped_triplet),
        functools.partial(over_triplets, swapped, mean_of_positive, 0.05),
    ),
    "batch_semi_hard_triplet": Entry(call(losses.batch_semi_hard_triplet), batch_semi_hard),
    "batch_hard_triplet": Entry(
        call(losses.batch_hard_triplet),
        functools.partial(batch_hard, lambda gap: max(gap + 0.2, 0)),
    ),
    "batch_hard_soft_margin_triplet": Entry(
        call(losses.batch_hard_soft_margin_triplet),
        functools.partial(batch_hard, lambda gap: np.logaddexp(0, gap)),
    ),
}
