"""Sampled softmax: losses/words/_sampled_softmax.py. Negatives are other readings of the rows."""

import jax.numpy as jnp
import numpy as np
from entry import Entry

from jaxsim import losses

LOG_COUNTS = np.log(np.arange(1, 17) / 5.0)


def sampled_softmax(x, labels, where, large):
    values = []
    for i in np.flatnonzero(where):
        right = x[i] @ x[i, ::-1] - LOG_COUNTS[labels[i] % 16]
        drawn = [
            x[i] @ (x[i] * (k - 1)) + 0.1 * k - LOG_COUNTS[k] for k in range(3) if labels[i] != k
        ]
        values.append(np.logaddexp.reduce([right, *drawn]) - right)
    return np.mean(values) if values else 0.0


def call_sampled_softmax(x, labels, where, **settings):
    negatives = x[:, None] * jnp.arange(-1.0, 2.0).astype(x.dtype)[:, None]
    return losses.sampled_softmax(
        x,
        x[:, ::-1],
        negatives,
        target_log_counts=jnp.asarray(
            LOG_COUNTS, jnp.float32 if x.dtype != jnp.float64 else x.dtype
        )[jnp.asarray(labels) % 16],
        negative_log_counts=LOG_COUNTS[:3].astype(np.result_type(np.float32, x.dtype)),
        negative_bias=np.float32(0.1) * np.arange(3, dtype=np.float32)
        if x.dtype != jnp.float64
        else 0.1 * np.arange(3),
        negative_where=losses.parts.not_hits(labels, jnp.arange(3)),
        where=where,
        **settings,
    )


LOSSES = {
    "sampled_softmax": Entry(call_sampled_softmax, sampled_softmax, lifted=False, unit=False),
}
