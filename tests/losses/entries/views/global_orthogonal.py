"""Vectors spread as random ones are: losses/views/_global_orthogonal.py."""

import numpy as np
from entry import Entry
from loops import cosines

from jaxsim import losses


def spread(s, apart):
    if not apart.any():
        return 0.0
    return 2 * s[apart].mean() ** 2 + 3 * max(np.mean(s[apart] ** 2) - 1 / 4, 0)


def reference(x, labels, where, large):
    s, here = cosines(x, large), where[:, None] & where
    return spread(s, here & (labels[:, None] != labels)) + spread(
        s, here & ~np.eye(len(x), dtype=bool)
    )


def call(x, labels, where, **settings):
    settings = {"mean_weight": 2.0, "second_moment_weight": 3.0, "where": where, **settings}
    return losses.global_orthogonal(x, labels, **settings) + losses.global_orthogonal(x, **settings)


LOSSES = {"global_orthogonal": Entry(call, reference)}
