"""Proxy-NCA: losses/classes/_proxy_nca.py. Rows whose labels are beyond the proxies are padding."""

import numpy as np
from entry import Entry
from loops import log_sum_exp, mean, units

from jaxsim import losses

PROXIES = np.random.default_rng(3).normal(size=(12, 4))


def proxy_nca(x, labels, where, large):
    s = x @ PROXIES.T
    if not large:
        s = -np.sum((units(x)[:, None] - units(PROXIES)[None]) ** 2, axis=2)
    rows = [i for i in np.flatnonzero(where) if labels[i] < 12]
    return mean([log_sum_exp(s[i]) - s[i, labels[i]] for i in rows])


def call(loss):
    # A copy: jax keeps a NumPy constant in the precision that it first met it in.
    return lambda x, labels, where, **settings: loss(
        x, labels, PROXIES.copy(), where=where & (labels < 12), **settings
    )


LOSSES = {"proxy_nca": Entry(call(losses.proxy_nca), proxy_nca)}
