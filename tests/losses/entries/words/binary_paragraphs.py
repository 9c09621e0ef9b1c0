"""Binary paragraph vectors: losses/words/_binary_paragraphs.py. Tables are other readings of the rows.

The reference's bits move along the sigmoid: [at > 0] + sigmoid(x) - sigmoid(at), whose slope at x = at is what
passes straight through.
"""

import jax.numpy as jnp
import numpy as np
from entry import Entry

from jaxsim import losses

COUNTS = np.log(np.arange(1, 17) / 5.0)
PROJECTION = np.random.default_rng(3).normal(size=(4, 4))
SHIFT = np.array([0.1, -0.2, 0.3, 0.05])


def bits(x, at):
    return (at > 0) + 1 / (1 + np.exp(-x)) - 1 / (1 + np.exp(-at))


def softmaxes(hidden, x, labels, where):
    """The mean of sampled softmaxes of hidden rows over the other readings of x."""
    values = []
    for i in np.flatnonzero(where):
        right = hidden(i) @ x[i, ::-1] - COUNTS[labels[i] % 16]
        drawn = [
            hidden(i) @ (x[i] * (k - 1)) + 0.1 * k - COUNTS[k] for k in range(3) if labels[i] != k
        ]
        values.append(np.logaddexp.reduce([right, *drawn]) - right)
    return np.mean(values) if values else 0.0


def tables(x, labels):
    """Right rows and drawn ones with what belongs to them, in the type of x."""
    kind = jnp.promote_types(x.dtype, jnp.float32)
    negatives = x[:, None] * jnp.arange(-1.0, 2.0).astype(x.dtype)[:, None]
    settings = {
        "target_log_counts": jnp.asarray(COUNTS, kind)[jnp.asarray(labels) % 16],
        "negative_log_counts": jnp.asarray(COUNTS[:3], kind),
        "negative_bias": jnp.asarray(0.1 * np.arange(3), kind),
        "negative_where": losses.parts.not_hits(labels, jnp.arange(3)),
    }
    return (x[:, ::-1], negatives), settings


def binary_pv_dbow(x, labels, where, large, at):
    return softmaxes(lambda i: bits(x[i], at[i]), x, labels, where)


def call_dbow(x, labels, where, **settings):
    rows, counts = tables(x, labels)
    return losses.binary_pv_dbow(x, *rows, **counts, where=where, **settings)


PLACES = [[2, 3], [3, 1], [0, 2]]  # of a row's numbers in its three contexts
THERE = np.array([[True, True, False], [True, False, True], [False, False, False]])


def binary_pv_dm(x, labels, where, large, at):
    def hidden(i):
        near = [x[i, PLACES[j]] for j in np.flatnonzero(THERE[labels[i] % 3])]
        mean = np.mean(near, axis=0) if near else np.zeros(2)
        return np.concatenate([bits(x[i, :2], at[i, :2]), mean])

    return softmaxes(hidden, x, labels, where)


def call_dm(x, labels, where, **settings):
    rows, counts = tables(x, labels)
    near = jnp.stack([x[:, places] for places in PLACES], axis=1)
    there = jnp.asarray(THERE)[jnp.asarray(labels) % 3]
    return losses.binary_pv_dm(
        x[:, :2], near, *rows, context_where=there, **counts, where=where, **settings
    )


def binary_pv_dm_sum(x, labels, where, large, at):
    def hidden(i):
        return bits(x[i], at[i]) + (x[i, [1, 2, 3, 0]] + x[i, [3, 2, 1, 0]]) / 2

    return softmaxes(hidden, x, labels, where)


def call_dm_sum(x, labels, where, **settings):
    rows, counts = tables(x, labels)
    near = jnp.stack([x[:, [1, 2, 3, 0]], x[:, [3, 2, 1, 0]]], axis=1)
    return losses.binary_pv_dm_sum(x, near, *rows, **counts, where=where, **settings)


def real_binary_pv_dbow(x, labels, where, large, at):
    def hidden(i):
        return bits(x[i] @ PROJECTION + SHIFT, at[i] @ PROJECTION + SHIFT)

    return softmaxes(hidden, x, labels, where)


def call_real_binary(x, labels, where, **settings):
    rows, counts = tables(x, labels)
    kind = jnp.promote_types(x.dtype, jnp.float32)
    projection, shift = jnp.asarray(PROJECTION, kind), jnp.asarray(SHIFT, kind)
    return losses.real_binary_pv_dbow(
        x, projection, *rows, projection_bias=shift, **counts, where=where, **settings
    )


def entry(call, reference):
    return Entry(call, reference, lifted=False, unit=False, held=True)


LOSSES = {
    "binary_pv_dbow": entry(call_dbow, binary_pv_dbow),
    "binary_pv_dm": entry(call_dm, binary_pv_dm),
    "binary_pv_dm_sum": entry(call_dm_sum, binary_pv_dm_sum),
    "real_binary_pv_dbow": entry(call_real_binary, real_binary_pv_dbow),
}
