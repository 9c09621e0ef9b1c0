"""Losses of routers: losses/routing/_routing.py."""

import jax.numpy as jnp
import numpy as np
from entry import Entry, documents_of
from loops import mean

from jaxsim import losses


def softmax(z):
    powers = np.exp(z - z.max())
    return powers / powers.sum()


def layers_of(x):
    """Two layers of logits, [rows, 2, 4]."""
    stack = np.stack if isinstance(x, np.ndarray) else jnp.stack
    return stack([x, documents_of(x)], axis=1)


def load_balance(x, labels, where, large, at):
    rows, held = (layers_of(a)[where].reshape(-1, 4) for a in (x, at))
    if not len(rows):
        return 0.0
    p = np.mean([softmax(z) for z in rows], axis=0)
    f = np.bincount([np.argmax(z) for z in held], minlength=4) / len(held)
    return 4 * sum(p * f)


def call_load_balance(x, labels, where, **settings):
    return losses.load_balance(layers_of(x), where=where, **settings)


def router_z(x, labels, where, large):
    rows = layers_of(x)[where].reshape(-1, 4)
    return mean([np.logaddexp.reduce(z) ** 2 for z in rows])


def call_router_z(x, labels, where, **settings):
    return losses.router_z(layers_of(x), where=where, **settings)


def enforced(x, labels, where, large):
    means = [(z[0] + z[1]) / 2 for z in layers_of(x)[where]]
    pairs = zip(means, labels[where] % 4, strict=True)
    return mean([np.logaddexp.reduce(z) - z[domain] for z, domain in pairs])


def call_enforced(x, labels, where, **settings):
    return losses.enforced_routing(layers_of(x), labels % 4, where=where, **settings)


EARLIER = np.arange(12.0).reshape(3, 4)


def table_of(x, labels, where):
    table = EARLIER.copy()
    for i in np.flatnonzero(where):
        table[labels[i] % 3] += softmax(x[i])
    return table


def information(x, labels, where, large):
    table = table_of(x, labels, where)
    table = table / table.sum()
    value = 0.0
    for t, row in enumerate(table):
        for e, p in enumerate(row):
            if p > 0:
                value -= p * np.log(p / (table[t].sum() * table[:, e].sum()))
    return value


def call_information(x, labels, where, **settings):
    options = {"tasks": 3, "earlier": EARLIER, "where": where}
    return losses.routing_information(x, labels % 3, **options, **settings)


def released(x, labels, where, large):
    table = table_of(x, labels, where)
    table = table / (table.sum() / 3 + 1e-4)
    value = 0.0
    for t, row in enumerate(table):
        for e, p in enumerate(row):
            value -= p * np.log(p / (table[t].sum() * table[:, e].sum()) + 1e-4)
    return value


def call_released(x, labels, where, **settings):
    options = {"tasks": 3, "k": 3, "earlier": EARLIER, "where": where}
    return losses.routing_information_released(x, labels % 3, **options, **settings)


LOSSES = {
    "load_balance": Entry(call_load_balance, load_balance, lifted=False, unit=False, held=True),
    "router_z": Entry(call_router_z, router_z, lifted=False, unit=False),
    "enforced_routing": Entry(call_enforced, enforced, lifted=False, unit=False),
    "routing_information": Entry(call_information, information, lifted=False, unit=False),
    "routing_information_released": Entry(call_released, released, lifted=False, unit=False),
}
