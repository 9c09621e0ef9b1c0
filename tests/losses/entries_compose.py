"""Losses of several sizes and layers: losses/compose.py and losses/layers.py, over InfoNCE."""

import jax.numpy as jnp
import numpy as np
from entries_distillation import divergence
from entries_softmax import info_nce
from entry import Entry, documents_of

from jaxsim import losses


def base(labels, where, settings):
    return lambda z: losses.info_nce(z["q"], z["d"], document_ids=labels, where=where, **settings)


def at_size(x, size, labels, where, large):
    return info_nce(x[:, :size], documents_of(x)[:, :size], labels, where, large)


def sizes(x, labels, where, large):
    return at_size(x, 4, labels, where, large) + 0.5 * at_size(x, 2, labels, where, large)


def call_sizes(x, labels, where, **settings):
    loss = losses.matryoshka(base(labels, where, settings), dims=(4, 2), weights=(1.0, 0.5))
    return loss({"q": x, "d": documents_of(x)})


def places(x):
    """What three layers give; a zero row is zero in all."""
    return x / 2, x[:, [2, 0, 3, 1]], x


def pull(shallow, last, where, temperature):
    """Mean divergence between the coordinates of queries, and of documents, of two layers."""
    rows = np.flatnonzero(where)
    values = [
        divergence(t[i] / temperature, s[i] / temperature)
        for s, t in ((shallow, last), (documents_of(shallow), documents_of(last)))
        for i in rows
    ]
    return np.mean(values) if values else 0.0


def layers(x, labels, where, large, at):
    first, second, last = places(x)

    def value(z, size=4):
        return at_size(z, size, labels, where, large)

    both = value(last) + value(second) + value(last, 2) + value(second, 2)
    both += pull(second, at, where, 1.0)
    adaptive = value(last) + (value(first) + value(second)) / 2
    return both + adaptive + 0.3 * sum(pull(z, at, where, 0.3) for z in (first, second))


def call_layers(x, labels, where, **settings):
    states = jnp.stack(places(x))
    states = {"q": states, "d": states[..., ::-1] * 1.5}
    loss = base(labels, where, settings)
    shared = {"where": where, "axis_name": settings.get("axis_name")}
    both = losses.matryoshka_2d(loss, **shared)(states, 1, 2)
    return both + losses.adaptive_layers(loss, **shared)(states, jnp.array([0, 1]))


LOSSES = {
    "matryoshka": Entry(call_sizes, sizes),
    "matryoshka_2d + adaptive_layers": Entry(call_layers, layers, held=True),
}
