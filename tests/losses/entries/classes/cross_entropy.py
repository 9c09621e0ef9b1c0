"""Cross-entropies: losses/classes/_cross_entropy.py, and the Poly-1 reduction of one, losses/reducers.py."""

import functools

import numpy as np
from entry import Entry, documents_of
from loops import mean

from jaxsim import losses

RANDOM = np.random.default_rng(5)
KERNEL, BIAS = (np.float32(RANDOM.normal(size=shape)) for shape in ((12, 3), 3))
KERNEL[8:] = np.abs(KERNEL[8:])


def told(logits, labels):
    """-log p of each label."""
    every = np.logaddexp.reduce(logits, axis=-1)
    return every - np.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]


def texts(labels):
    """Three tokens of a vocabulary of two for each row, and where they are."""
    tokens = (labels[:, None] * np.arange(1, 4)) % 2
    return tokens, (labels[:, None] % 3 != 1) | (np.arange(3) < 2)


def reference(x, labels, where, large):
    y, d = labels % 2, documents_of(x)
    answers = 2 * y * np.logaddexp(0, -x[:, 0]) + (1 - y) * np.logaddexp(0, x[:, 0])
    classes = told(x, labels % 4)
    poly = classes + 0.5 * (1 - np.exp(-classes))
    pairs = told(np.concatenate([x, d, np.abs(x - d)], axis=1) @ KERNEL + BIAS, labels % 3)
    tokens, there = texts(labels)
    words = told(x.reshape(-1, 2, 2), tokens[:, 1:])[there[:, 1:] & where[:, None]]
    return sum(mean(v[where]) for v in (answers, poly, pairs / 2)) + 3 * mean(words)


def call(x, labels, where, **settings):
    tokens, there = texts(labels)
    settings = {"where": where, **settings}
    poly = functools.partial(losses.reducers.poly1_mean, epsilon=0.5)
    return (
        losses.binary_cross_entropy(x[:, 0], labels % 2, positive_weight=2.0, **settings)
        + losses.cross_entropy(x, labels % 4, reduce_fn=poly, **settings)
        + losses.pair_classification(x, documents_of(x), labels % 3, KERNEL, BIAS, **settings) / 2
        + 3 * losses.denoising(x.reshape(-1, 2, 2), tokens, token_where=there, **settings)
    )


LOSSES = {
    "cross-entropies": Entry(call, reference, lifted=False, unit=False),
}
