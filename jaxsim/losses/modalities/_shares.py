"""How certain modalities are, how much a fusion depends on each, and how much it should.

logits of one modality [batch, classes] -> a mean over the batch; one number per modality -> shares
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import real_numbers
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array, Numeric

SMALLEST = (
    1e-16  # of an entropy whose inverse is taken: what the released code adds to probabilities
)


@over_examples(axes="batch, classes")
def unimodal_entropy(logits: Array) -> jax.Array:
    """Entropy of predictions, in nats: the mean over the batch of the entropy of the softmax.

        value_i = -sum_c p_ic log p_ic,   p_i = softmax(s_i)

    ARL's estimate of a modality's variance; right only where the predictions are calibrated.

    Args:
      logits: s [batch, classes], of one modality.

    Source: Shannon 1948; as a modality's variance ARL (Wei, Luo and Luo 2025, 2507.10203).
    Data: modalities, labels.
    """
    return _entropies(logits)


@over_examples(axes="batch, classes", constant=["logits"])
def inverse_entropy(logits: Array) -> jax.Array:
    """Inverse entropy of predictions: the mean over the batch of one over the softmax's entropy.

        value_i = 1 / max(-sum_c p_ic log p_ic, 1e-16)

    Examples whose prediction is certain dominate it.

    Args:
      logits: s [batch, classes], of one modality; no gradient flows to them.

    Source: ARL (2507.10203), equation 17 as third parties give it; the bound keeps it finite.
    Data: modalities.
    """
    return 1 / jnp.maximum(_entropies(logits), SMALLEST)


@over_examples(axes="batch, classes")
def dependence(logits: Array) -> jax.Array:
    """Dependence of a fusion on a modality: the mean over the batch of the sum of its absolute logits.

        value_i = sum_c |s_ic|

    Args:
      logits: s [batch, classes], of one modality: the fusion head's with the others at 0.

    Source: ARL (2507.10203).
    Data: modalities.
    """
    return jnp.sum(jnp.abs(logits), axis=1)


@checked
def inverse_variance_shares(entropies: Array, *, smallest_share: Numeric = 0.3) -> jax.Array:
    """Inverse variance shares of modalities: how much each should count, by its entropy.

        u_m = (1 / c_m) / sum_n (1 / c_n),   c_m = max(H_m / sum_n H_n, smallest_share)

    Args:
      entropies: H [modalities], of `unimodal_entropy`.
      smallest_share: of an entropy in their sum, >= 0: sure modalities get no more than it allows, .77
        of two at 0.3.

    Returns: float [modalities], sums to 1; where all entropies are 0 they are equal.
    Raises: ValueError for another shape, a smallest_share below 0.
    Source: ARL's released code (2507.10203).
    Data: modalities.
    Kind: part; memory that of its arguments.
    """
    checks.not_negative("smallest_share", smallest_share)
    entropies = at_least_float32(real_numbers("entropies", entropies))
    checks.shaped("entropies", entropies, (None,), "one per modality")
    return shares(1 / jnp.maximum(shares(entropies), smallest_share))


@checked
def inverse_variance_weights(covariance: Array) -> jax.Array:
    """Inverse variance weights: the combination of unbiased predictors with the smallest variance.

        w = C^-1 1 / (1^T C^-1 1)

    For uncorrelated errors in proportion to the inverse variances; with large covariances they may be
    below 0.

    Args:
      covariance: C [predictors, predictors], of the errors; symmetric and positive definite.

    Returns: float32 at least [predictors], sums to 1; the variance is w^T C w = 1 / (1^T C^-1 1).
    Raises: ValueError for a matrix that is not square.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> weights = losses.inverse_variance_weights(np.array([[1.0, 0.5], [0.5, 4.0]]))
      >>> [round(float(weight), 3) for weight in weights]
      [0.875, 0.125]

    Source: Markowitz 1952, minimum variance; Bates and Granger 1969, combination of forecasts.
    Data: modalities.
    Kind: part; memory predictors x predictors.
    """
    covariance = at_least_float32(real_numbers("covariance", covariance))
    checks.shaped("covariance", covariance, (None, covariance.shape[-1] if covariance.ndim else 0))
    solved = jnp.linalg.solve(covariance, jnp.ones(len(covariance), covariance.dtype))
    return solved / solved.sum()


def shares(values):
    """Each one's part of the sum, along the last axis; equal parts of a sum of 0."""
    total = values.sum(axis=-1, keepdims=True)
    nothing = total == 0  # NaN is not: it stays
    return jnp.where(nothing, 1 / values.shape[-1], values / jnp.where(nothing, 1, total))


def _entropies(logits):
    log_p = masked.log_softmax(logits, True)
    # A class that is excluded, by a logit of -inf, adds 0.
    finite = jnp.where(log_p == -jnp.inf, 0, log_p)
    return -jnp.sum(jnp.exp(log_p) * finite, axis=1)
