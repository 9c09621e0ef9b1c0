"""Penalties for negatives ahead of positives: losses/labels/_pnp.py."""

import functools

import numpy as np
from entries.labels.smooth_ap import sigmoid
from entry import Entry
from loops import cosines, mean, sides

from jaxsim import losses


def over_positives(cost, x, labels, where, large):
    s, values = cosines(x, large) / 0.05, []
    for i, positives, negatives in sides(labels, where):
        if positives:
            ahead = [np.sum(sigmoid(s[i, negatives] - s[i, j])) for j in positives]
            values.append(np.mean([cost(r) for r in ahead]))
    return mean(values)


# All variants in one, so that they share compilations; no two of their costs are proportional.
VARIANTS = {
    losses.pnp_iu: lambda r: (1 + r) * np.log(1 + r),
    losses.pnp_ib: lambda r: (2 * r - np.log(1 + 2 * r)) / 4,
    losses.pnp_ds: lambda r: np.log(1 + r),
    losses.pnp_dq: lambda r: 1 - 1 / (1 + r),
}


def variants(r):
    return sum((k + 1) * cost(r) for k, cost in enumerate(VARIANTS.values()))


def call_variants(x, labels, where, **settings):
    settings = {"temperature": 0.05, "where": where, **settings}
    return sum((k + 1) * loss(x, labels, **settings) for k, loss in enumerate(VARIANTS))


LOSSES = {
    "pnp": Entry(
        lambda x, labels, where, **settings: losses.pnp(
            x, labels, temperature=0.05, where=where, **settings
        ),
        functools.partial(over_positives, lambda r: r),
    ),
    "pnp_variants": Entry(call_variants, functools.partial(over_positives, variants)),
}
