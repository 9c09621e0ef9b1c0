"""Two views without negatives: losses/views/_vicreg.py."""

import numpy as np
from entry import Entry, documents_of

from jaxsim import losses


def vicreg(x, labels, where, large):
    views = x[where], documents_of(x)[where]
    n, d = views[0].shape
    if n == 0:
        return 0.0
    value = 25 * np.mean((views[0] - views[1]) ** 2)
    for z in views if n > 1 else ():
        covariance = np.cov(z.T)
        value += 25 * sum(max(0, 1 - np.sqrt(v + 1e-4)) for v in np.diag(covariance)) / d
        value += sum(covariance[k, m] ** 2 for k in range(d) for m in range(d) if k != m) / d
    return value


def call_vicreg(x, labels, where, **settings):
    return losses.vicreg(x, documents_of(x), where=where, **settings)


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
    "vicreg": Entry(call_vicreg, vicreg, lifted=False, unit=False),
    "barlow_twins": Entry(call_barlow_twins, barlow_twins, lifted=False, unit=False),
}
