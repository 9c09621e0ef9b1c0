"""Barlow Twins: two views whose cross-correlation is the identity matrix.

view [batch, dim], other view [batch, dim] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import of_rows
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.views._vicreg import deviations, off_diagonal, products, total
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Numeric


@checked
def barlow_twins(
    view: Array,
    other: Array,
    *,
    redundancy_weight: Numeric = 0.005,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Barlow Twins: pulls the cross-correlation matrix of two views towards the identity.

        sum_k (1 - C_kk)^2 + redundancy_weight sum_{k != l} C_kl^2,
        C_kl = sum_i z_ik z'_il / ( sqrt(sum_i z_ik^2) sqrt(sum_i z'_il^2) ),

    z and z' less their means over the batch.
    A coordinate that is constant over the batch correlates 0 with all, with gradient 0.

    Args:
      view, other: z, z' [batch, dim].
      redundancy_weight: of what is not on the diagonal, >= 0; 0.005 is the paper.
      where: bool [batch], False for padding. What is there has no influence, NaN included.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input), the same on every device; no rows: 0.
    Raises: ValueError for shapes that do not fit, a weight below 0, an axis that is not bound.
    Source: Zbontar et al. 2021 (2103.03230), equations 1 and 2.
    Data: unlabeled, pairs.
    Kind: batch statistics; memory batch x dim and dim x dim.
    """
    checks.not_negative("redundancy_weight", redundancy_weight)
    view, other, where = of_rows(where, axis_name, "batch, dim", view=view, other=other)
    count = total(where.astype(view.dtype).sum(), axis_name)
    view, other = (
        _spread_to_one(deviations(z, where, count, axis_name), axis_name) for z in (view, other)
    )
    correlation = products(view, other, axis_name)
    same = jnp.sum(jnp.square(1 - jnp.diagonal(correlation)))
    loss = same + redundancy_weight * off_diagonal(correlation)
    return jnp.where(count > 0, loss, 0)


def _spread_to_one(z, axis_name):
    """Columns over their norm over all devices; a column of zeros stays, with gradient 0."""
    square = total(jnp.sum(jnp.square(z), axis=0), axis_name)
    none = square <= 0  # NaN is not: it stays
    return jnp.where(none, 0, z * jax.lax.rsqrt(jnp.where(none, 1, square)))
