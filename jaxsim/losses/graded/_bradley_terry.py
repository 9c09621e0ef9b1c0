"""Preferences: which of two things somebody liked better.

rewards of the first [batch], rewards of the second [batch] -> loss
"""

import jax

from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.numerics.types import Array


@over_examples(limits={"labels": (0, 1)})
def bradley_terry(first: Array, second: Array, labels: Array | None = None):
    """Bradley-Terry: minus the log-probability of preferences whose odds are exp(reward), in nats.

        value_i = -(1 - y_i) log sigmoid(a_i - b_i) - y_i log sigmoid(b_i - a_i)

    Args:
      first, second: rewards a, b [batch].
      labels: y [batch]: 0 where the first was liked better, 1 the second, 0.5 neither. None: the first.
        Others are refused; on a device they give NaN.

    Source: Bradley and Terry 1952; as a loss on rewards Christiano et al. 2017 (1706.03741), equation 1.
    Data: preferences.
    """
    ahead = first - second
    share = 0 if labels is None else labels
    return (1 - share) * jax.nn.softplus(-ahead) + share * jax.nn.softplus(ahead)
