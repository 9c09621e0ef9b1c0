"""AnglE similarity: the angle between vectors read as complex numbers, for where the cosine saturates.

x [n, dim], y [m, dim] -> [n, m], float32 at least; dim is even
"""

import jax
import jax.numpy as jnp

from jaxsim.numerics._norms import unit
from jaxsim.numerics.types import Array
from jaxsim.similarity._dense import dot, of_one_dim


def angle_score(x: Array, y: Array, *, precision: jax.lax.PrecisionLike = "highest") -> jax.Array:
    """AnglE score: how far two complex vectors agree in angle, larger is closer, in [0, sqrt 2].

        x = a + ib, y = c + id, the halves of each row:
        s = |sum_k (a_k c_k + b_k d_k + b_k c_k - a_k d_k)| / (|x| |y|)

    The sum of real and imaginary part of their Hermitian product. x and -x score as x and x: 1. Not a
    score to truncate: which coordinates form a complex number depends on the dimension.

    Args:
      x: [n, dim].
      y: [m, dim].
      precision: of the matrix product, as in jax.numpy.matmul.

    Returns: [n, m]; with a zero vector 0, with gradient 0.
    Raises: ValueError for an odd dimension, or two that differ.
    Source: AnglE (Li and Li 2023, 2309.12871), as its released code has it.
    """
    x, y = of_one_dim(x, y)
    if y.shape[-1] % 2:
        raise ValueError(f"x and y must have an even dimension, got shapes {x.shape}, {y.shape}")
    real, imaginary = jnp.split(unit(y), 2, axis=-1)
    turned = jnp.concatenate([real - imaginary, real + imaginary], axis=-1)
    return jnp.abs(dot(unit(x), turned, precision=precision))
