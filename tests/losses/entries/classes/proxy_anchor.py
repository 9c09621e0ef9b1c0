"""Proxy-Anchor: losses/classes/_proxy_anchor.py."""

import numpy as np
from entries.classes.proxy_nca import PROXIES, call
from entry import Entry
from loops import log_sum_exp, mean, scores

from jaxsim import losses


def proxy_anchor(x, labels, where, large):
    s, rows = scores(x, PROXIES, large), np.flatnonzero(where & (labels < 12))
    pulls, pushes = [], []
    for c in range(12):
        own = [i for i in rows if labels[i] == c]
        others = [i for i in rows if labels[i] != c]
        if own:
            pulls.append(log_sum_exp([0, *(-32 * (s[i, c] - 0.1) for i in own)]))
        pushes.append(log_sum_exp([0, *(32 * (s[i, c] + 0.1) for i in others)]))
    return mean(pulls) + mean(pushes)


LOSSES = {"proxy_anchor": Entry(call(losses.proxy_anchor), proxy_anchor)}
