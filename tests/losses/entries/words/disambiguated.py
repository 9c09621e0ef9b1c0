"""Disambiguated skip-gram: losses/words/_disambiguated.py. Senses and tables are other readings of the rows."""

import jax
import jax.numpy as jnp
import numpy as np
from entry import Entry

from jaxsim import losses

COUNTS = np.log(np.arange(1, 17) / 5.0)


def disambiguated_skip_gram(x, labels, where, large):
    values = []
    for i in np.flatnonzero(where):
        p = np.exp(x[i, :3] - x[i, :3].max())
        p /= p.sum()
        hidden = p[0] * x[i] - p[1] * x[i] / 2 + p[2] * x[i, ::-1]
        right = hidden @ x[i, ::-1] - COUNTS[labels[i] % 16]
        drawn = [hidden @ (x[i] * (k - 1)) - COUNTS[k] for k in range(3) if labels[i] != k]
        entropy = -np.sum(p * np.log(p + 1e-5))
        values.append(np.logaddexp.reduce([right, *drawn]) - right - 0.1 * entropy)
    return np.mean(values) if values else 0.0


def call(x, labels, where, **settings):
    kind = jnp.promote_types(x.dtype, jnp.float32)
    return losses.disambiguated_skip_gram(
        jnp.stack([x, -x / 2, x[:, ::-1]], axis=1),
        jax.nn.softmax(x[:, :3].astype(kind)),
        x[:, ::-1],
        x[:, None] * jnp.arange(-1.0, 2.0).astype(x.dtype)[:, None],
        entropy_weight=-0.1,
        target_log_counts=jnp.asarray(COUNTS, kind)[jnp.asarray(labels) % 16],
        negative_log_counts=jnp.asarray(COUNTS[:3], kind),
        negative_where=losses.parts.not_hits(labels, jnp.arange(3)),
        where=where,
        **settings,
    )


LOSSES = {
    "disambiguated_skip_gram": Entry(call, disambiguated_skip_gram, lifted=False, unit=False),
}
