"""Neighborhoods: losses/neighbors.py."""

import numpy as np
from entry import Entry

from jaxsim import losses


def nca(x, labels, where, large):
    values = []
    for i in np.flatnonzero(where):
        others = [j for j in np.flatnonzero(where) if j != i]
        s = {j: -np.sum((x[i] - x[j]) ** 2) for j in others}
        if large:
            s = {j: x[i] @ x[j] for j in others}
        own = [s[j] for j in s if labels[j] == labels[i]]
        if own:
            values.append(np.logaddexp.reduce(list(s.values())) - np.logaddexp.reduce(own))
    return np.mean(values) if values else 0.0


LOSSES = {
    "nca": Entry(
        lambda x, labels, where, **settings: losses.nca(x, labels, where=where, **settings),
        nca,
        unit=False,
    ),
}
