"""Binary cross-entropy of logits.

logits [batch], labels [batch] -> loss
"""

import jax

from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.numerics.types import Array, Numeric


@over_examples(limits={"labels": (0, 1)})
def binary_cross_entropy(
    logits: Array, labels: Array, *, positive_weight: Numeric = 1.0
) -> jax.Array:
    """Binary cross-entropy: minus the log-probability of a yes or a no, in nats.

        value_i = -positive_weight y_i log sigmoid(s_i) - (1 - y_i) log sigmoid(-s_i)

    Args:
      logits: s [batch]; of lists flatten both, with the mask as `where`.
      labels: y [batch], 0 or 1, or between.
      positive_weight: how much a yes counts against a no; negatives over positives evens them out.

    Source: logistic regression; as a reranker's loss Nogueira and Cho 2019 (1901.04085).
    Data: graded pairs, labels.
    """
    yes, no = positive_weight * labels, 1 - labels
    return yes * jax.nn.softplus(-logits) + no * jax.nn.softplus(logits)
