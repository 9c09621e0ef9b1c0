"""Signal-to-noise distance: the variance of the difference over that of the anchor.

x [n, dim] anchors, y [m, dim] -> [n, m], float32 at least; not symmetric
"""

import jax
import jax.numpy as jnp

from jaxsim.numerics._norms import unit
from jaxsim.numerics.types import Array
from jaxsim.similarity._dense import euclidean, of_one_dim


def negative_noise_to_signal(
    x: Array, y: Array, *, precision: jax.lax.PrecisionLike = "highest"
) -> jax.Array:
    """Negative signal-to-noise distance: minus the variance of the difference over the anchor's variance.

        s_ij = -var(u_i - u_j) / var(u_i),   u = x / |x|, var over the coordinates

    Args:
      x: [n, dim], the anchors (the signal).
      y: [m, dim], the others (signal and noise).
      precision: of the matrix product, as in jax.numpy.matmul.

    Returns: [n, m], in [-inf, 0]. An anchor whose coordinates are all equal has no signal to compare
    with: 0 to all others, with gradient 0.
    Source: Yuan et al. 2019 (1904.02616), the distance that their losses share; on unit rows, as
    pytorch-metric-learning has it, where the paper takes the rows as they are.
    """
    x, y = (_centered(unit(a)) for a in of_one_dim(x, y))
    signal = jnp.sum(x * x, axis=1, keepdims=True)
    # From the root, which is exactly 0 between copies: noise of 1e-7 would count as a distance.
    noise = jnp.square(euclidean(x, y, precision=precision))
    # Below that it is the mean's rounding; NaN is not below, and stays.
    none = signal <= 16 * jnp.finfo(signal.dtype).eps ** 2
    return jnp.where(none, 0 * noise, -noise / jnp.where(none, 1, signal))


def _centered(x):
    return x - jnp.mean(x, axis=1, keepdims=True)
