"""One negative per query, the hardest that a very large batch has.

queries [batch, dim], documents [batch, dim] or [batch, 1 + negatives, dim] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.numerics import masked
from jaxsim.numerics.types import Array, Numeric


@over_pairs
def mega_batch_margin(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    positive_margin: Numeric = 0.8,
    negative_margin: Numeric = 0.3,
) -> jax.Array:
    """Positives above one cosine, the hardest negative of the batch below another.

        value_i = mean_{positives_i} [positive_margin - s_ij]+ + [max_{negatives_i} s_ij - negative_margin]+

    A query without a negative has the first part alone. Counts the queries that have a positive.

    Args:
      positive_margin: the cosine above which a positive costs nothing.
      negative_margin: the cosine below which a negative costs nothing.

    Source: Wieting and Gimpel 2018 (1711.05732), their mega-batches, in the form of
    MegaBatchMarginLoss of sentence-transformers: the paper has one hinge on the difference.
    Data: pairs, pairs with negatives.
    """
    negatives = where & ~positives
    pulls = masked.mean(jnp.maximum(positive_margin - scores, 0), positives)
    pushes = jnp.maximum(masked.max(scores, negatives) - negative_margin, 0)
    return pulls + jnp.where(negatives.any(axis=1), pushes, 0), positives.any(axis=1)
