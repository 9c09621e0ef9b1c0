"""Thresholds of similarities, robust to rounding.

The cosine of a vector with itself is 1 up to the last digits, which depend on the dimension, the block and
the device. A score within the rounding of a threshold counts as equal to it.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics.types import Array, Numeric, Similarity
from jaxsim.similarity import (
    cosine,
    dot,
    euclidean,
    mean_max_sim,
    negative_cosine_distance,
    negative_squared_euclidean,
    negative_unit_euclidean,
)

ROUNDING = 16 * float(np.finfo(np.float32).eps)  # of a score, relative to its size


def cosine_of_units(x: Array, y: Array) -> jax.Array:
    """Cosine similarity of vectors of length 1: their dot products."""
    return dot(x, y)


UNIT = {
    cosine,
    cosine_of_units,
    negative_cosine_distance,
    negative_unit_euclidean,
    mean_max_sim,
}


def at_most(scores: Array, limits: Array | float, sizes: Array | None = None) -> np.ndarray:
    """Returns which scores are at most their limits, or equal to them up to rounding.

    Args:
      scores: float [...].
      limits: float, broadcastable.
      sizes: of the numbers that the limits are differences of; None is the limits' own.
    """
    limits = np.asarray(limits, np.float64)
    sizes = np.abs(limits if sizes is None else sizes)
    with np.errstate(invalid="ignore"):  # infinite limits
        return ~(scores > limits + np.where(np.isfinite(sizes), ROUNDING * sizes, 0))


def at_least(scores: Array, lowest: float) -> np.ndarray:
    """Returns which scores are at least a number, or equal to it up to rounding."""
    return scores >= lowest - (ROUNDING * abs(lowest) if np.isfinite(lowest) else 0)


def reaches(similarity: Similarity, x: Any, y: Any, threshold: Numeric) -> jax.Array:
    """Compares a similarity with a threshold: which pairs reach it, up to its rounding, bool [n, m]."""
    if similarity is negative_squared_euclidean:
        scores = -jnp.square(euclidean(x, y))  # exactly 0 between copies, as its square is not
    else:
        scores = similarity(x, y)
    dim = max((leaf.shape[-1] for leaf in jax.tree.leaves(x) if leaf.ndim > 1), default=1)
    size = 1.0 if similarity in UNIT else jnp.abs(threshold)
    slack = (4 + dim**0.5) * float(jnp.finfo(scores.dtype).eps) * size
    return scores >= threshold - jnp.where(jnp.isfinite(slack), slack, 0)
