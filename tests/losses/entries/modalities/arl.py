"""ARL and OGM-GE: losses/modalities/_arl.py, _ogm_ge.py and _shares.py."""

import jax.numpy as jnp
import numpy as np
from entry import Entry, documents_of
from loops import mean

from jaxsim import losses
from jaxsim.numerics import at_least_float32, mean as total_mean


def classes_of(labels):
    return labels % 4


def probabilities(s):
    powers = np.exp(s - s.max())
    return powers / powers.sum()


def surprise(s, label):
    return np.logaddexp.reduce(s) - s[label]


def entropy(s):
    log_p = s - np.logaddexp.reduce(s)
    return -sum(np.exp(value) * value for value in log_p)


def arl(x, labels, where, large):
    values = []
    for s, t, y in zip(x[where], documents_of(x)[where], classes_of(labels)[where], strict=True):
        values.append(surprise(s + t, y) + 3 * (surprise(s, y) + surprise(t, y)))
    return mean(values)


def call_arl(x, labels, where, **settings):
    other = documents_of(x)
    unimodal = jnp.stack([x, other], axis=1)
    return losses.arl(x + other, unimodal, classes_of(labels), gamma=3.0, where=where, **settings)


def statistics(x, labels, where, large):
    entropies = [entropy(s) for s in x[where]]
    depends = [abs(s).sum() for s in documents_of(x)[where]]
    return mean(entropies) + mean(depends) / 2


def call_statistics(x, labels, where, **settings):
    settings["where"] = where
    depends = losses.dependence(documents_of(x), **settings)
    return losses.unimodal_entropy(x, **settings) + depends / 2


def share(values):
    total = sum(values)
    return [v / total if total > 0 else 1 / len(values) for v in values]


def coefficients(x, labels, where):
    """Of ARL with T = 4, then of OGM-GE with alpha .3."""
    if not where.any():
        return 0.5, 0.5, 1.0, 1.0
    sides = x[where], documents_of(x)[where]
    least = [max(h, 0.3) for h in share([mean([entropy(s) for s in side]) for side in sides])]
    u = share([1 / h for h in least])
    d = share([mean([abs(s).sum() for s in side]) for side in sides])
    k = probabilities(np.array([4 * d[1] * u[0], 4 * d[0] * u[1]]))
    sums = [
        sum(probabilities(s)[y] for s, y in zip(side, classes_of(labels)[where], strict=True))
        for side in sides
    ]
    factors = [1.0, 1.0]
    for m in range(2):
        ratio = sums[m] / max(sums[1 - m], 1e-300)
        if ratio > 1 + 1e-9:
            factors[m] = 1 - np.tanh(0.3 * ratio)
    return *k, *factors


def scaled(x, labels, where, large, at):
    """Means of both sides with the coefficients as constants."""
    k = coefficients(at, labels, where)
    sides = x[where], documents_of(x)[where]
    return sum((k[m] + 2 * k[2 + m]) * mean(np.tanh(side[:, 0])) for m, side in enumerate(sides))


def call_scaled(x, labels, where, axis_name=None):
    options = {"where": where, "axis_name": axis_name}
    unimodal = jnp.stack([x, documents_of(x)], axis=1)
    k = losses.arl_coefficients(unimodal, sharpness=4.0, **options)
    factors = losses.ogm_ge_coefficients(unimodal, classes_of(labels), alpha=0.3, **options)
    sides = jnp.tanh(at_least_float32(jnp.where(where[:, None], unimodal[..., 0], 0)))
    weights = jnp.asarray(where, sides.dtype)
    means = [total_mean(sides[:, m], weights, axis_name) for m in range(2)]
    return jnp.dot(k + 2 * factors, jnp.stack(means))


LOSSES = {
    "arl": Entry(call_arl, arl, lifted=False, unit=False),
    "statistics of modalities": Entry(call_statistics, statistics, lifted=False, unit=False),
    "coefficients of modalities": Entry(call_scaled, scaled, lifted=False, unit=False, held=True),
}
