"""Losses of several sizes and layers: losses/compose/_matryoshka.py and losses/compose/_layers.py."""

import jax.numpy as jnp
import numpy as np
from entries.pairs.info_nce import info_nce
from entries.teachers.distillation import divergence
from entry import Entry, documents_of

from jaxsim import losses


def sizes(x, labels, where, large):
    d = documents_of(x)
    cut = info_nce(x[:, :2], d[:, :2], labels, where, large)
    return info_nce(x, d, labels, where, large) + 0.5 * cut


def call_sizes(x, labels, where, **settings):
    settings = {"document_ids": labels, "where": where, **settings}
    base = lambda z: losses.info_nce(z["q"], z["d"], **settings)  # noqa: E731
    loss = losses.matryoshka(base, dims=(4, 2), weights=(1.0, 0.5))
    return loss({"q": x, "d": documents_of(x)})


def places(x):
    """What three layers give."""
    return x / 2, x[:, [2, 0, 3, 1]], x


def squares(x, labels, where, size=4):
    errors = [np.sum((x[i, :size] - labels[i] / 8) ** 2) for i in np.flatnonzero(where)]
    return np.mean(errors) if errors else 0.0


def pull(shallow, last, where, temperature):
    """The mean divergence between the coordinates of two layers."""
    rows = np.flatnonzero(where)
    values = [divergence(last[i] / temperature, shallow[i] / temperature) for i in rows]
    return np.mean(values) if values else 0.0


def layers(x, labels, where, large, at):
    first, second, last = places(x)
    both = sum(squares(z, labels, where, size) for z in (last, second) for size in (4, 2))
    both += pull(second, at, where, 1.0)
    adaptive = squares(last, labels, where)
    adaptive += (squares(first, labels, where) + squares(second, labels, where)) / 2
    return both + adaptive + 0.3 * sum(pull(z, at, where, 0.3) for z in (first, second))


def call_layers(x, labels, where, **settings):
    settings, states = {"where": where, **settings}, jnp.stack(places(x))
    goals = jnp.broadcast_to(labels[:, None] / 8, x.shape)

    def base(z):
        return losses.embedding_distillation(z, goals[:, : z.shape[1]], **settings)

    both = losses.matryoshka_2d(base, **settings)(states, 1, 2)
    return both + losses.adaptive_layers(base, **settings)(states, jnp.array([0, 1]))


LOSSES = {
    "matryoshka": Entry(call_sizes, sizes),
    "matryoshka_2d + adaptive_layers": Entry(
        call_layers, layers, lifted=False, unit=False, held=True
    ),
}
