"""Focal and Poly-1 reductions: `reduce_fn`s that weight examples by how well they are solved.

They work on the values of a loss that are minus log-probabilities:

    losses.info_nce(queries, documents, reduce_fn=losses.reducers.focal_mean)
    losses.list_softmax(scores, reduce_fn=functools.partial(losses.reducers.focal_mean, gamma=2.0))
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, Numeric


@checked
def focal_weights(values: Array, *, gamma: Numeric = 0.5) -> jax.Array:
    """Focal weights: (1 - p)^gamma, where values = -log p.

    Args:
      values: minus log-probabilities, >= 0.
      gamma: >= 0; 0 gives weights of 1.

    Returns: of the shape of values, in [0, 1]. With gamma below 1 the slope grows without bound as p
    goes to 1; below 1 - p = 1e-30 the weight stays at that value's, with slope 0.
    Raises: ValueError for a gamma below 0.
    Source: Lin et al. 2017 (1708.02002), equation 4.
    Data: pairs, labels, lists.
    Kind: part; memory that of its argument.
    """
    checks.not_negative("gamma", gamma)
    missed = -jnp.expm1(-values)  # 1 - exp(-values) would lose its digits where p is near 1
    least = missed <= 1e-30
    return jnp.where(least, 1e-30**gamma, jnp.where(least, 1e-30, missed) ** gamma)


@checked
def focal_mean(
    values: Array, weights: Array, axis_name: str | None = None, *, gamma: Numeric = 0.5
) -> jax.Array:
    """Focal reweighting, a `reduce_fn`: the mean of (1 - p)^gamma * value, no gradient through the weight.

    Divided by the number that counts, not by the sum of the focal weights: it shrinks the loss, so
    that part of what it does is a lower learning rate. To divide by their sum instead:
    `lambda v, w, axis: mean(v, w * jax.lax.stop_gradient(focal_weights(v)), axis)`.

    Args:
      values: minus log-probabilities, [rows].
      weights: [rows].
      axis_name: the named axis over which the rows are split, or None.
      gamma: >= 0; 0 is the plain mean, 0.5 KaLM-Embedding-V2.

    Returns: a scalar, the same on every device.
    Source: Zhao et al. 2025 (2506.20923), the focal-style reweighting.
    Data: pairs, labels, lists.
    Kind: part; memory that of its argument.
    """
    return mean(
        jax.lax.stop_gradient(focal_weights(values, gamma=gamma)) * values, weights, axis_name
    )


@checked
def full_focal_mean(
    values: Array, weights: Array, axis_name: str | None = None, *, gamma: Numeric = 0.5
) -> jax.Array:
    """Focal loss as first published, a `reduce_fn`: `focal_mean` with the gradient of the weight too.

    The slope is larger by 1 + gamma * value / (exp(value) - 1): by 1 on hard rows, by 1 + gamma on
    easy ones.

    Args and result as in `focal_mean`.
    Source: Lin et al. 2017 (1708.02002), equation 4.
    Data: pairs, labels, lists.
    Kind: part; memory that of its argument.
    """
    return mean(focal_weights(values, gamma=gamma) * values, weights, axis_name)


@checked
def poly1_mean(
    values: Array, weights: Array, axis_name: str | None = None, *, epsilon: Numeric = 1.0
) -> jax.Array:
    """Poly-1 loss, a `reduce_fn`: the mean of value + epsilon (1 - p), where value = -log p.

    The first term of cross-entropy's series in 1 - p, reweighted: with epsilon > 0 examples that are
    nearly solved pull harder.

    Args:
      values: minus log-probabilities, [rows].
      weights: [rows].
      axis_name: the named axis over which the rows are split, or None.
      epsilon: > -1; 0 is the plain mean.

    Returns: a scalar, the same on every device.
    Source: PolyLoss (Leng et al. 2022, 2204.12511), Poly-1.
    Data: pairs, lists, labels.
    Kind: part; memory batch.
    """
    return mean(values - epsilon * jnp.expm1(-values), weights, axis_name)
