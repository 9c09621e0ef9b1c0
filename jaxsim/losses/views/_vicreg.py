"""Negative-free losses on two views: VICReg.

    view [batch, dim], other view [batch, dim] -> loss

Means, variances and correlations are of the whole batch, on all devices: sums are added up before any
ratio, and no device sees another's rows.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import of_rows
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Numeric


@checked
def vicreg(
    view: Array,
    other: Array,
    *,
    invariance_weight: Numeric = 25.0,
    variance_weight: Numeric = 25.0,
    covariance_weight: Numeric = 1.0,
    std: Numeric = 1.0,
    eps: Numeric = 1e-4,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """VICReg: views agree (invariance), coordinates vary (variance) and are decorrelated (covariance).

        invariance_weight (1/nd) sum_i |z_i - z'_i|^2
        + variance_weight (v(z) + v(z')) + covariance_weight (c(z) + c(z')),
        v(z) = (1/d) sum_k max(0, std - sqrt(var(z_k) + eps)),
        c(z) = (1/d) sum_{k != l} cov(z_k, z_l)^2

    Variances and covariances divide by n - 1; with one row both terms are 0. The squared distance is
    divided by d, as in the paper's pseudocode, for which its weights were found; its equation is not.
    Also known as VICRegLoss.

    Args:
      view, other: z, z' [batch, dim], not normalized.
      invariance_weight, variance_weight, covariance_weight: of the terms.
      std: the standard deviation that a coordinate should have.
      eps: added to variances, > 0: the root's slope at 0.
      where: bool [batch], False for padding. What is there has no influence, NaN included.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input), the same on every device; no rows: 0.
    Raises: ValueError for shapes that do not fit, an eps that is not > 0, an axis that is not bound.
    Source: Bardes et al. 2022 (2105.04906), equations 1 to 6 and algorithm 1.
    Data: unlabeled, pairs.
    Kind: batch statistics; memory batch x dim and dim x dim.
    """
    checks.positive("eps", eps)
    view, other, where = of_rows(where, axis_name, "batch, dim", view=view, other=other)
    count, dim = total(where.astype(view.dtype).sum(), axis_name), view.shape[1]
    distance = total(jnp.sum(jnp.square(view - other)), axis_name)
    loss = invariance_weight * distance / (jnp.maximum(count, 1) * dim)
    for z in (view, other):
        z = deviations(z, where, count, axis_name)
        covariance = products(z, z, axis_name) / jnp.maximum(count - 1, 1)
        spread = jnp.sqrt(jnp.diagonal(covariance) + eps)
        flat = jnp.where(count > 1, jnp.maximum(std - spread, 0).mean(), 0)
        correlated = off_diagonal(covariance) / dim
        loss = loss + variance_weight * flat + covariance_weight * correlated
    return loss


def total(x, axis_name):
    """The sum over all devices of what each of them has."""
    return x if axis_name is None else jax.lax.psum(x, axis_name)


def deviations(z, where, count, axis_name):
    """Rows minus their mean over all devices; exactly 0 where a coordinate is constant, and in padding.

    Shifted by the largest first: a rounded mean of equal numbers would leave noise, and a direction.
    """
    largest = jnp.max(jax.lax.stop_gradient(z), axis=0, where=where[:, None], initial=-jnp.inf)
    largest = largest if axis_name is None else jax.lax.pmax(largest, axis_name)
    z = jnp.where(where[:, None], z - jnp.where(count > 0, largest, 0), 0)
    return jnp.where(where[:, None], z - total(z.sum(axis=0), axis_name) / jnp.maximum(count, 1), 0)


def off_diagonal(square):
    """The sum of the squares off the diagonal."""
    return jnp.sum(jnp.square(square), where=~jnp.eye(len(square), dtype=bool))


def products(x, y, axis_name):
    """x^T y over all devices: [dim, dim]."""
    return total(jnp.matmul(x.T, y, precision="highest"), axis_name)
