"""Losses that weigh pairs, as comparisons of weighings need them beside those of the library."""

import jax.numpy as jnp

from jaxsim import analysis, losses, similarity
from jaxsim.numerics import masked

ON_DISTANCES = ("triplet", "lifted")  # losses whose own scores are negated distances


@losses.over_labels
def even(scores, positives, where):
    """Pulls every positive and pushes every negative, all alike."""
    values = masked.sum(scores, where & ~positives) - masked.sum(scores, positives)
    return values, jnp.ones_like(values)


mined_evenly = losses.mined(even, losses.miners.multi_similarity_pairs)


def n_pairs(embeddings, labels, *, temperature, where, axis_name):
    """N-pairs on cosines, whose scale has to be given."""

    def scaled(x, y):
        return similarity.cosine(x, y) / temperature

    return losses.n_pairs(embeddings, labels, similarity=scaled, where=where, axis_name=axis_name)


def on_cosines(name, loss):
    """A loss as a rule on cosines, whatever scores its own are."""
    return analysis.on_cosines(loss) if name in ON_DISTANCES else loss
