"""A margin read off a histogram: losses/pairs/_dynamic_soft_margin.py."""

import jax.numpy as jnp
import numpy as np
from entry import Entry
from loops import mean, units

from jaxsim import losses

PRIOR = np.random.default_rng(8).uniform(size=11)
PRIOR /= PRIOR.sum()


def turned(x):
    """Documents whose distances are not those the other way round, as entry.py's would be."""
    return x[:, [1, 2, 3, 0]]


def gaps(x, where, large):
    rows, y = np.flatnonzero(where), turned(x)
    if large:
        d = -x @ y.T
    else:
        d = np.linalg.norm(units(x)[:, None] - units(y)[None], axis=2)
    found = []
    for i in rows if len(rows) > 1 else []:
        others = rows[rows != i]
        found.append(d[i, i] - min(d[i, others].min(), d[others, i].min()))
    return np.array(found)


def weights(d, histogram):
    return np.cumsum(histogram)[np.floor(np.clip((d + 2) * 2.5, 0, 10)).astype(int)]


def moved(d):
    if not len(d):
        return PRIOR
    places = np.clip((d + 2) * 2.5, 0, 10)[:, None]
    shares = np.maximum(0, 1 - np.abs(places - np.arange(11))).sum(axis=0)
    return 0.7 * PRIOR + 0.3 * shares / len(d)


def dynamic_soft_margin(x, labels, where, large, at):
    held, d = gaps(at, where, large), gaps(x, where, large)
    return mean(weights(held, moved(held)) * d)


def call(x, labels, where, **settings):
    prior = jnp.asarray(PRIOR.copy(), jnp.promote_types(x.dtype, jnp.float32))
    rows, settings = (x, turned(x)), {"where": where, **settings}
    histogram = losses.parts.margin_histogram(prior, *rows, momentum=0.3, **settings)
    return losses.dynamic_soft_margin(*rows, histogram, **settings)


LOSSES = {"dynamic_soft_margin": Entry(call, dynamic_soft_margin, held=True)}
