"""Two views without negatives: alike, and no coordinate constant or a copy of another.

    view [batch, dim], other view [batch, dim] -> loss

What is compared are means, variances and correlations over the whole batch, on all devices: sums are
added up before any ratio, and no device sees another's rows.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import of_rows
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks


@checked
def vicreg(
    view,
    other,
    *,
    invariance_weight=25.0,
    variance_weight=25.0,
    covariance_weight=1.0,
    std=1.0,
    eps=1e-4,
    where=None,
    axis_name=None,
):
    """Views alike (invariance), coordinates spread (variance) and unlike each other (covariance).

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
      std: how far a coordinate is to spread.
      eps: added to variances, > 0: the root's slope at 0.
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input), the same on every device; no rows: 0.
    Raises: ValueError for shapes that do not fit, an eps that is not > 0, an axis that is not bound.
    Source: Bardes et al. 2022 (2105.04906), equations 1 to 6 and algorithm 1.
    Data: unlabeled, pairs.
    Kind: batch statistics; memory batch x dim and dim x dim.
    """
    checks.positive("eps", eps)
    view, other, where = of_rows(where, axis_name, "batch, dim", view=view, other=other)
    count, dim = _total(where.astype(view.dtype).sum(), axis_name), view.shape[1]
    apart = _total(jnp.sum(jnp.square(view - other)), axis_name)
    loss = invariance_weight * apart / (jnp.maximum(count, 1) * dim)
    for z in (view, other):
        z = _deviations(z, where, count, axis_name)
        covariance = _products(z, z, axis_name) / jnp.maximum(count - 1, 1)
        spread = jnp.sqrt(jnp.diagonal(covariance) + eps)
        flat = jnp.where(count > 1, jnp.maximum(std - spread, 0).mean(), 0)
        alike = _off_diagonal(covariance) / dim
        loss = loss + variance_weight * flat + covariance_weight * alike
    return loss


@checked
def barlow_twins(view, other, *, redundancy_weight=0.005, where=None, axis_name=None):
    """The correlations between the coordinates of two views against the identity matrix.

        sum_k (1 - C_kk)^2 + redundancy_weight sum_{k != l} C_kl^2,
        C_kl = sum_i z_ik z'_il / ( sqrt(sum_i z_ik^2) sqrt(sum_i z'_il^2) ),

    z and z' less their means over the batch.
    A coordinate that is constant over the batch correlates 0 with all, with gradient 0.

    Args:
      view, other: z, z' [batch, dim].
      redundancy_weight: of what is not on the diagonal, >= 0; 0.005 is the paper.
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input), the same on every device; no rows: 0.
    Raises: ValueError for shapes that do not fit, a weight below 0, an axis that is not bound.
    Source: Zbontar et al. 2021 (2103.03230), equations 1 and 2.
    Data: unlabeled, pairs.
    Kind: batch statistics; memory batch x dim and dim x dim.
    """
    checks.not_negative("redundancy_weight", redundancy_weight)
    view, other, where = of_rows(where, axis_name, "batch, dim", view=view, other=other)
    count = _total(where.astype(view.dtype).sum(), axis_name)
    view, other = (
        _spread_to_one(_deviations(z, where, count, axis_name), axis_name) for z in (view, other)
    )
    correlation = _products(view, other, axis_name)
    same = jnp.sum(jnp.square(1 - jnp.diagonal(correlation)))
    loss = same + redundancy_weight * _off_diagonal(correlation)
    return jnp.where(count > 0, loss, 0)


def _total(x, axis_name):
    return x if axis_name is None else jax.lax.psum(x, axis_name)


def _deviations(z, where, count, axis_name):
    """Rows minus their mean over all devices; exactly 0 where a coordinate is constant, and in padding.

    Shifted by the largest first: a rounded mean of equal numbers would leave noise, and a direction.
    """
    largest = jnp.max(jax.lax.stop_gradient(z), axis=0, where=where[:, None], initial=-jnp.inf)
    largest = largest if axis_name is None else jax.lax.pmax(largest, axis_name)
    z = jnp.where(where[:, None], z - jnp.where(count > 0, largest, 0), 0)
    return jnp.where(
        where[:, None], z - _total(z.sum(axis=0), axis_name) / jnp.maximum(count, 1), 0
    )


def _spread_to_one(z, axis_name):
    """Columns over their norm over all devices; a column of zeros stays, with gradient 0."""
    square = _total(jnp.sum(jnp.square(z), axis=0), axis_name)
    none = square <= 0  # NaN is not: it stays
    return jnp.where(none, 0, z * jax.lax.rsqrt(jnp.where(none, 1, square)))


def _off_diagonal(square):
    """The sum of the squares off the diagonal."""
    return jnp.sum(jnp.square(square), where=~jnp.eye(len(square), dtype=bool))


def _products(x, y, axis_name):
    """x^T y over all devices: [dim, dim]."""
    return _total(jnp.matmul(x.T, y, precision="highest"), axis_name)
