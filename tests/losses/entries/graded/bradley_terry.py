"""Preferences: losses/graded/_bradley_terry.py. Two numbers of a row are the rewards of what is compared."""

import numpy as np
from entry import Entry

from jaxsim import losses


def bradley_terry(x, labels, where, large):
    values = []
    for i in np.flatnonzero(where):
        a, b, y = x[i, 0], x[i, 1], labels[i] % 3 / 2
        values.append((1 - y) * np.logaddexp(0, b - a) + y * np.logaddexp(0, a - b))
    return np.mean(values) if values else 0.0


def call_bradley_terry(x, labels, where, **settings):
    return losses.bradley_terry(x[:, 0], x[:, 1], labels % 3 / 2, where=where, **settings)


def expected_preference(x, labels, where, large):
    values = []
    for i in np.flatnonzero(where):
        a, b, y = x[i, 0], x[i, 1], labels[i] % 3 / 2
        liked = 1 / (1 + np.exp(b - a))
        values.append(0.3 * (a * a + b * b) - (1 - y) * liked - y * (1 - liked))
    return np.mean(values) if values else 0.0


def call_expected_preference(x, labels, where, **settings):
    return losses.expected_preference(
        x[:, 0], x[:, 1], labels % 3 / 2, **{"penalty": 0.3, "where": where} | settings
    )


LOSSES = {
    "bradley_terry": Entry(call_bradley_terry, bradley_terry, lifted=False, unit=False),
    "expected_preference": Entry(
        call_expected_preference, expected_preference, lifted=False, unit=False
    ),
}
