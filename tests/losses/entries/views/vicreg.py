"""VICReg: losses/views/_vicreg.py."""

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


LOSSES = {
    "vicreg": Entry(call_vicreg, vicreg, lifted=False, unit=False),
}
