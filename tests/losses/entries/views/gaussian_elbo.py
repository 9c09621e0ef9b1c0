"""The bound of variational autoencoders: losses/views/_gaussian_elbo.py. Four numbers of a row serve as all arrays."""

import math

import numpy as np
from entry import Entry, documents_of

from jaxsim import losses


def gaussian_elbo(x, labels, where, large):
    """Minus the log-density of the inputs, and the divergence, of each number by itself."""
    values = []
    for i in np.flatnonzero(where):
        decoded, mean, log_variance = documents_of(x)[i], x[i, :2], x[i, 2:] / 4
        value = 0.0
        for a, b in zip(x[i], decoded, strict=True):
            value -= math.log(math.exp(-((a - b) ** 2) / 1e3) / math.sqrt(math.pi * 1e3))
        for m, s in zip(mean, log_variance, strict=True):
            value += 0.7 * 0.5 * (m * m + math.exp(s) - s - 1)
        values.append(value)
    return np.mean(values) if values else 0.0


def call_gaussian_elbo(x, labels, where, **settings):
    settings = {"variance": 500.0, "divergence_weight": 0.7, "where": where, **settings}
    return losses.gaussian_elbo(x, documents_of(x), x[:, :2], x[:, 2:] / 4, **settings)


LOSSES = {
    "gaussian_elbo": Entry(call_gaussian_elbo, gaussian_elbo, lifted=False, unit=False),
}
