"""Contrastive sparse representation: the reconstruction of dense vectors from sparse codes.

embeddings and what sparse codes make of them -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import of_rows
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import masked
from jaxsim.numerics._devices import gathered
from jaxsim.numerics.types import Array, Numeric


@checked
def csr_reconstruction(
    embeddings: Array,
    decoded: Array,
    decoded_4k: Array,
    decoded_auxiliary: Array | None = None,
    decoded_before_bias: Array | None = None,
    *,
    auxiliary_weight: Numeric = 1.0,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Reconstruction error of a dense vector from its top-k and top-4k sparse codes, and from dead units.

        mse(x, d) + mse(x, d_4k) / 8 + auxiliary_weight mse(r, d_aux) / mse(r, mean of r over rows),
        r = x - d before its bias, which is held fixed

    mse is the mean over rows and coordinates. Where all r are equal the last divisor is 1. A ranking
    loss of the sparse vectors, added to it, makes contrastive sparse representation.

    Args:
      embeddings: x [batch, dim], the dense vectors.
      decoded, decoded_4k: d, d_4k [batch, dim], the decoder's from the k and the 4 k largest.
      decoded_auxiliary: d_aux [batch, dim], from units that have not fired for long; None leaves it out.
      decoded_before_bias: [batch, dim], d without the decoder's bias; needed with decoded_auxiliary.
      auxiliary_weight: >= 0; may be traced.
      where: bool [batch], False for padding. What is there has no influence, NaN included.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input), the same on every device; 0 of no rows.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Wen et al. 2025 (CSR, 2503.01776), after the sparse autoencoders of Gao et al. 2024
    (2406.04093).
    Data: teacher embeddings, unlabeled.
    Kind: batch statistics; memory batch x dim.
    """
    extra = {}
    if decoded_auxiliary is not None:
        if decoded_before_bias is None:
            raise ValueError("decoded_auxiliary needs decoded_before_bias, got None")
        extra = {
            "decoded_auxiliary": decoded_auxiliary,
            "decoded_before_bias": decoded_before_bias,
        }
    *arrays, where = of_rows(
        where,
        axis_name,
        "batch, dim",
        embeddings=embeddings,
        decoded=decoded,
        decoded_4k=decoded_4k,
        **extra,
    )
    return gathered(_reconstruction)(
        where, *arrays, axis_name=axis_name, auxiliary_weight=auxiliary_weight
    )


def _reconstruction(where, x, decoded, decoded_4k, *auxiliary, auxiliary_weight):
    value = _mse(x, decoded, where) + _mse(x, decoded_4k, where) / 8
    if not auxiliary:
        return value
    of_dead_units, before_bias = auxiliary
    residual = x - jax.lax.stop_gradient(before_bias)
    # From one row on, so that equal rows have spread 0 exactly: a rounded mean would leave noise.
    shift = jax.lax.stop_gradient(masked.max(residual, where[:, None], axis=0))
    middle = masked.mean(residual - shift, where[:, None], axis=0)
    spread = _mse(residual - shift, middle, where)
    return value + auxiliary_weight * _mse(residual, of_dead_units, where) / jnp.where(
        spread > 0, spread, 1
    )


def _mse(x, y, where):
    return masked.mean(jnp.mean(jnp.square(x - y), axis=1), where)
