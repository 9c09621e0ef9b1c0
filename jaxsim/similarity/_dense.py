"""Similarities of vectors: dot, cosine, and the Euclidean distances with their negatives.

    x [n, dim], y [m, dim] -> [n, m], float32 at least

All are one matrix product at `precision="highest"`: accelerators otherwise round the factors, and close
neighbors are swapped. Lower it where speed matters more.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32, unit
from jaxsim.numerics.types import Array, Numeric


def dot(x: Array, y: Array, *, precision: jax.lax.PrecisionLike = "highest") -> jax.Array:
    """Dot product: the inner products of all pairs of rows.

    Args:
      x: [n, dim].
      y: [m, dim].
      precision: of the matrix product, as in jax.numpy.matmul.

    Returns: [n, m], summed in float32 at least.
    """
    x, y = of_one_dim(x, y)
    wide = jnp.promote_types(jnp.result_type(x, y), jnp.float32)
    return jnp.matmul(x, y.T, precision=precision, preferred_element_type=wide)


def cosine(x: Array, y: Array, *, precision: jax.lax.PrecisionLike = "highest") -> jax.Array:
    """Cosine similarity, in [-1, 1]; with a zero vector it is 0, with gradient 0.

    Args and result as in `dot`.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import similarity
      >>> x, y = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[2.0, 0.0]])
      >>> print(np.round(similarity.cosine(x, y), 4))
      [[1.    ]
       [0.7071]]
    """
    x, y = of_one_dim(x, y)
    return dot(unit(x), unit(y), precision=precision)


def negative_cosine_distance(
    x: Array, y: Array, *, precision: jax.lax.PrecisionLike = "highest"
) -> jax.Array:
    """Negative cosine distance: cosine - 1, in [-2, 0]; with a zero vector it is -1.

    Args and result as in `dot`.
    """
    return cosine(x, y, precision=precision) - 1


def squared_euclidean(
    x: Array,
    y: Array,
    *,
    center: Numeric | None = None,
    precision: jax.lax.PrecisionLike = "highest",
) -> jax.Array:
    """Squared Euclidean distances, never below 0. A distance: smaller is closer.

    From |x|^2 - 2xy + |y|^2 after both are shifted by the mean of y, which leaves distances as they
    are and takes away the part of the rounding error that comes from a common offset. Rows of y that
    are not finite, or 10^4 times as long as the others, take no part in that mean: one of them would
    take the digits of all distances. With NaN the distance is NaN; beyond the range of float32 (rows of
    1e20) it is infinite, or NaN between two such rows.

    Args and result as in `dot`.
      center: [dim] or 0, to shift by instead: a distance then doesn't depend, in its last digits, on
        the other rows of y.
    """
    return squares_of_shifted(*shifted(x, y, center), precision)


def euclidean(
    x: Array,
    y: Array,
    *,
    center: Numeric | None = None,
    precision: jax.lax.PrecisionLike = "highest",
) -> jax.Array:
    """Euclidean distances; where two vectors are equal the gradient is 0. A distance: smaller is closer.

    Vectors closer than the rounding of the product (in float32 about 1e-3 of their norms)
    count as equal: the root would make a distance, and a direction, of that rounding.

    Args and result as in `squared_euclidean`.
    """
    return distances_of_shifted(*shifted(x, y, center), precision)


def negative_squared_euclidean(
    x: Array,
    y: Array,
    *,
    center: Numeric | None = None,
    precision: jax.lax.PrecisionLike = "highest",
) -> jax.Array:
    """Negative squared Euclidean distance, a similarity.

    Args and result as in `squared_euclidean`.
    """
    return -squared_euclidean(x, y, center=center, precision=precision)


def negative_euclidean(
    x: Array,
    y: Array,
    *,
    center: Numeric | None = None,
    precision: jax.lax.PrecisionLike = "highest",
) -> jax.Array:
    """Negative Euclidean distance, a similarity.

    Args and result as in `squared_euclidean`.
    """
    return -euclidean(x, y, center=center, precision=precision)


def negative_unit_euclidean(
    x: Array, y: Array, *, precision: jax.lax.PrecisionLike = "highest"
) -> jax.Array:
    """Negative Euclidean distance of L2-normalized rows: -sqrt(2 - 2 cosine), in [-2, 0].

    Not computed from the cosine, whose rounding near 1 is that of 1: rows in a narrow cone would lose
    the digits in which they differ. A zero vector stays zero, at distance 1 from all others.

    Args and result as in `dot`.
    """
    x, y = of_one_dim(x, y)
    return -euclidean(unit(x), unit(y), precision=precision)


def shifted(x: Array, y: Array, center: Numeric | None = None) -> tuple[Any, Any]:
    """Both sides shifted by a center, as the distances of their pairs are computed from.

    Returns: (x [n, dim], |x|^2 [n]), and (y [m, dim], |y|^2 [m], the rounding of the shift [m]).
    """
    x, y = (at_least_float32(a) for a in of_one_dim(x, y))
    if center is None:
        center = usual_center(jax.lax.stop_gradient(y))
    x, y = x - center, y - center
    # Copies may be shifted by centers that differ in their last digit: a compiler may fuse either side.
    shift = 2 * jnp.finfo(y.dtype).eps ** 2 * jnp.sum(jnp.square(center))
    return (x, jnp.sum(x * x, -1)), (y, jnp.sum(y * y, -1), jnp.broadcast_to(shift, len(y)))


def squares_of_shifted(x: Any, y: Any, precision: jax.lax.PrecisionLike = "highest") -> jax.Array:
    """Squared distances of both sides of `shifted`: [n, m]."""
    square, _ = _squares(x, y, precision)
    return jnp.where(square <= 0, 0, square)  # NaN stays: 0 would be the best score of all


def distances_of_shifted(x: Any, y: Any, precision: jax.lax.PrecisionLike = "highest") -> jax.Array:
    """Distances of both sides of `shifted`: [n, m]."""
    square, rounding = _squares(x, y, precision)
    equal = (square <= rounding) & (rounding < jnp.inf)  # NaN is not equal to anything
    return jnp.where(equal, 0, jnp.sqrt(jnp.where(equal, 1, square)))


def _squares(x, y, precision):
    """Squared distances, a little below 0 by rounding at times, and how large that rounding may be."""
    (x, of_x), (y, of_y, shift) = x, y
    norms = of_x[:, None] + of_y
    square = norms - 2 * dot(x, y, precision=precision)
    # Between copies |square| reached (1, 2, 5, 12) eps * norms at dim (4, 32, 128, 1024).
    share = (2 + math.sqrt(x.shape[1]) / 2) * jnp.finfo(square.dtype).eps
    return square, share * jax.lax.stop_gradient(norms) + shift


def usual_center(y: Array) -> jax.Array:
    """Mean of the rows, with outliers that would cost the others their digits counted as 0: [dim]."""
    sizes = jnp.max(jnp.abs(y), axis=1, initial=0)
    measured = (sizes > 0) & jnp.isfinite(sizes)
    # Their geometric mean: a few rows of 1e20 do not lift it to where they are.
    logs = jnp.where(measured, jnp.log(jnp.where(measured, sizes, 1)), 0)
    usual = jnp.exp(jnp.sum(logs) / jnp.maximum(jnp.sum(measured), 1))
    usable = sizes <= 1e4 * usual
    return jnp.sum(jnp.where(usable[:, None], y, 0), axis=0) / max(y.shape[0], 1)


def of_one_dim(x: Array, y: Array) -> tuple[jax.Array, jax.Array]:
    """Checks two sides, [n, dim] and [m, dim], and returns them as JAX arrays."""
    x, y = checks.reals("x", x), checks.reals("y", y)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must be [n, dim] and [m, dim], got shapes {x.shape}, {y.shape}")
    return x, y


# Of plain vectors, both sides of one dim: callers name their own arguments where that differs.
OF_VECTORS = frozenset(
    (
        dot,
        cosine,
        negative_cosine_distance,
        negative_squared_euclidean,
        negative_euclidean,
        negative_unit_euclidean,
    )
)
