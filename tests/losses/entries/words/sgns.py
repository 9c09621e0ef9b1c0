"""Words: losses/words/_sgns.py. Contexts and negatives are other readings of the rows."""

import jax.numpy as jnp
import numpy as np
from entry import Entry

from jaxsim import losses


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


def sgns(x, labels, where, large):
    values = []
    for i in np.flatnonzero(where):
        value = -log_sigmoid(x[i] @ x[i, ::-1])
        for k in range(3):
            if labels[i] != k:  # a hit is no negative
                value -= log_sigmoid(-x[i] @ (x[i] * (k - 1)))
        values.append(value)
    return np.mean(values) if values else 0.0


def call_sgns(x, labels, where, **settings):
    negatives = x[:, None] * jnp.arange(-1.0, 2.0).astype(x.dtype)[:, None]
    kept = losses.parts.not_hits(labels, jnp.arange(3))
    return losses.sgns(x, x[:, ::-1], negatives, negative_where=kept, where=where, **settings)


LOSSES = {
    "sgns": Entry(call_sgns, sgns, lifted=False, unit=False),
}
