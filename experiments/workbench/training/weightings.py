"""Losses that weight pairs, which comparisons of weightings need in addition to the library's."""

import jax
import jax.numpy as jnp

from jaxsim import analysis, losses, similarity
from jaxsim.numerics import masked
from jaxsim.numerics.types import Loss, Rule

ON_DISTANCES = ("triplet", "lifted")  # losses whose own scores are negated distances


@losses.over_labels
def even(scores, positives, where):
    """Pulls every positive and pushes every negative, all equally."""
    values = masked.sum(scores, where & ~positives) - masked.sum(scores, positives)
    return values, jnp.ones_like(values)


mined_evenly = losses.mined(even, losses.miners.multi_similarity_pairs)


def n_pairs(
    embeddings: jax.Array,
    labels: jax.Array,
    *,
    temperature: float,
    where: jax.Array | None,
    axis_name: str | None,
) -> jax.Array:
    """N-pairs on cosines, whose scale has to be given."""

    def scaled(x, y):
        return similarity.cosine(x, y) / temperature

    return losses.n_pairs(embeddings, labels, similarity=scaled, where=where, axis_name=axis_name)


def on_cosines(name: str, loss: Loss) -> Rule:
    """A loss as a rule on cosines, whatever scores it takes itself."""
    return analysis.on_cosines(loss) if name in ON_DISTANCES else loss
