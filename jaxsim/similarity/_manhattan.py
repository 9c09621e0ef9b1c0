"""The Manhattan similarity: minus the sum of the absolute differences of the coordinates.

x [n, dim], y [m, dim] -> [n, m], float32 at least
"""

import jax
import jax.numpy as jnp

from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array
from jaxsim.similarity._dense import of_one_dim


def negative_manhattan(x: Array, y: Array) -> jax.Array:
    """Negative Manhattan (L1) distance, a similarity in [-inf, 0].

        s_ij = -sum_d |x_id - y_jd|

    One coordinate at a time, so that an array [n, m, dim] is never built. It is not a matrix product, and
    slower than the other similarities.

    Args:
      x: [n, dim].
      y: [m, dim].

    Returns: [n, m].
    """
    return _negative_manhattan(*of_one_dim(x, y))


@jax.jit
def _negative_manhattan(x, y):
    x, y = at_least_float32(x), at_least_float32(y)

    @jax.checkpoint  # the gradient makes the differences of a coordinate again
    def added(total, coordinate):
        one, other = coordinate
        return total - jnp.abs(one[:, None] - other[None, :]), None

    if not x.shape[1]:
        return jnp.zeros((x.shape[0], y.shape[0]), jnp.result_type(x, y))
    # The first coordinate begins the sum, so that a checked shard_map knows that it varies as they do.
    first = -jnp.abs(x[:, :1] - y[:, 0])
    return jax.lax.scan(added, first, (x.T[1:], y.T[1:]))[0]
