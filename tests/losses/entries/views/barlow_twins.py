"""Barlow Twins: losses/views/_barlow_twins.py."""

import numpy as np
from entry import Entry, documents_of

from jaxsim import losses


def barlow_twins(x, labels, where, large):
    a, b = x[where], documents_of(x)[where]
    if len(a) == 0:
        return 0.0
    value = 0.0
    for k in range(a.shape[1]):
        for m in range(b.shape[1]):
            u, v = a[:, k] - a[:, k].mean(), b[:, m] - b[:, m].mean()
            # A constant coordinate has no correlation, and no slope.
            flat = min(np.ptp(a[:, k]), np.ptp(b[:, m])) < 1e-3
            c = 0.0 if flat else u @ v / np.sqrt(u @ u * (v @ v))
            value += (1 - c) ** 2 if k == m else 0.005 * c**2
    return value


def call_barlow_twins(x, labels, where, **settings):
    return losses.barlow_twins(x, documents_of(x), where=where, **settings)


LOSSES = {
    "barlow_twins": Entry(call_barlow_twins, barlow_twins, lifted=False, unit=False),
}
