"""Preferences: which of two items a person preferred.

rewards of the first [batch], rewards of the second [batch] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.numerics.types import Array, Numeric


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


@over_examples(limits={"labels": (0, 1)})
def expected_preference(
    first: Array, second: Array, labels: Array | None = None, *, penalty: Numeric = 0.0
):
    """Expected preference: minus the probability, not its logarithm, of preferences whose odds are exp(reward).

        value_i = -(1 - y_i) sigmoid(a_i - b_i) - y_i sigmoid(b_i - a_i) + penalty (a_i^2 + b_i^2)

    From -1 to 0 without the penalty. A pair that is confidently wrong has no slope, so that noisy
    answers pull less, and a bad start may stay bad; `bradley_terry` has a slope there.

    Args:
      first, second: rewards a, b [batch].
      labels: y [batch]: 0 where the first was liked better, 1 the second, 0.5 neither. None: the first.
        Others are refused; on a device they give NaN.
      penalty: of the rewards' squares, >= 0.

    Source: the reward learner released with SIRL (Bobu et al. 2023, 2301.00810), whose clamp of rewards
    to 50 the sigmoid does not need; its weight of the penalty is the user's to set.
    Data: preferences.
    Kind: per example; memory batch.
    """
    ahead = first - second
    share = 0 if labels is None else labels
    expected = (1 - share) * jax.nn.sigmoid(ahead) + share * jax.nn.sigmoid(-ahead)
    return penalty * (jnp.square(first) + jnp.square(second)) - expected
