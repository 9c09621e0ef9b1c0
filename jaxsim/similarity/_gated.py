"""Gated similarities: two vectors compared in the dimensions that a gate of the first one opens.

    x (vectors [n, dim], gate [n, dim]), y [m, dim] -> [n, m], float32 at least; not symmetric

y may be such a pair too, as when a batch is compared with itself: its gate is not looked at. Both are
matrix products; an array [n, m, dim] is never built.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics._norms import unit
from jaxsim.numerics.types import Array
from jaxsim.similarity._dense import dot


def gated_cosine(
    x: tuple[Array, Array],
    y: Array | tuple[Array, Any],
    *,
    precision: jax.lax.PrecisionLike = "highest",
) -> jax.Array:
    """Gated cosine similarity: the cosine inside the subspace that the gate opens, in [-1, 1].

        s_ij = sum_d a_id x_id y_jd / sqrt(sum_d a_id x_id^2  sum_d a_id y_jd^2),   a = gate^2

    The size of the gate does not matter, nor that of the vectors. Where a gate is shut altogether, or
    leaves nothing of a vector, it is 0, with gradient 0.

    Args:
      x: (vectors [n, dim], gate [n, dim]).
      y: [m, dim], or (vectors [m, dim], anything).
      precision: of the matrix products, as in jax.numpy.matmul.

    Returns: [n, m], summed in float32 at least.
    Source: Hydra (2410.18200), the similarity of its first version.
    """
    return cosine_of_opened(*opened(x, y), precision)


def gated_dot(
    x: tuple[Array, Array],
    y: Array | tuple[Array, Any],
    *,
    precision: jax.lax.PrecisionLike = "highest",
) -> jax.Array:
    """Gated dot product: the terms of the cosine, weighted by the gate; at most the largest gate^2.

        s_ij = sum_d a_id (x_i / |x_i|)_d (y_j / |y_j|)_d,   a = gate^2

    The size of the gate acts as an inverse temperature. A zero vector has 0 with all others.

    Args and result as in `gated_cosine`.
    Source: SimLAP, the later version of Hydra (2410.18200), from its released code.
    """
    return dot(*weighted_by_gate(x, y), precision=precision)


def opened(x: Any, y: Any) -> tuple[Any, Any]:
    """What `gated_cosine` needs of single rows.

    Returns: of x the vectors weighted by their gates, the gates' squares [n, dim] and the squared norms
    under them [n]; of y the vectors and their squares [m, dim].
    """
    vectors, gate, others = _parts(x, y)
    # Sizes drop out: taking them away first keeps the squares from under- and overflow.
    vectors, others = unit(vectors), unit(others)
    weights = jnp.square(unit(gate))
    norms = jnp.sum(weights * jnp.square(vectors), axis=1)
    return (weights * vectors, weights, norms), (others, jnp.square(others))


def cosine_of_opened(x: Any, y: Any, precision: jax.lax.PrecisionLike = "highest") -> jax.Array:
    """The gated cosine of both sides of `opened`: [n, m]."""
    (vectors, weights, norms), (others, squares) = x, y
    product = dot(vectors, others, precision=precision)
    square = norms[:, None] * dot(weights, squares, precision=precision)
    none = square <= 0  # NaN is not: it stays
    return jnp.where(none, 0, product * jax.lax.rsqrt(jnp.where(none, 1, square)))


def weighted_by_gate(x: Any, y: Any) -> tuple[jax.Array, jax.Array]:
    """Both sides of `gated_dot`, whose dot product it is: [n, dim] and [m, dim]."""
    vectors, gate, others = _parts(x, y)
    return jnp.square(gate) * unit(vectors), unit(others)


def _parts(x, y):
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(f"x must be (vectors, gate), got {type(x).__name__}")
    vectors, gate = checks.reals("vectors", x[0]), checks.reals("gate", x[1])
    if vectors.ndim != 2 or gate.shape != vectors.shape:
        raise ValueError(
            f"vectors and gate must be [n, dim] both, got shapes {vectors.shape}, {gate.shape}"
        )
    others = y[0] if isinstance(y, (tuple, list)) else y
    return vectors, gate, checks.reals("y", others)
