"""The sigmoid loss: every pair is classified separately, without a softmax over the batch.

queries [batch, dim], documents [batch, dim] or [batch, 1 + negatives, dim] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array, Numeric


@over_pairs
def siglip(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    temperature: Numeric = 0.1,
    bias: Numeric = -10.0,
) -> tuple[jax.Array, jax.Array]:
    """Whether each pair belongs together, yes or no, in nats.

        value_i = sum_{positives_i} log(1 + exp(-s_ij / temperature - bias))
                + sum_{negatives_i} log(1 + exp( s_ij / temperature + bias))

    Counts all queries: the sum over pairs is divided by the batch, not by the pairs. Both temperature
    and bias are meant to be learned; the values given are where the paper starts. It learns the log of
    1 / temperature.

    Args:
      temperature: divides the scores, > 0; may be traced.
      bias: added to the logits; may be traced. It starts low since almost all pairs are negatives.

    Source: Zhai et al. 2023 (2303.15343), algorithm 1.
    Data: pairs, pairs with negatives, images with texts.
    """
    checks.positive("temperature", temperature)
    logits = scores / temperature + bias
    values = masked.sum(jax.nn.softplus(jnp.where(positives, -logits, logits)), where)
    return values, jnp.ones_like(values)
