"""Regularizers of class vectors: of their norms and of the distances between them.

    class_weights [classes, dim] or centers [classes, centers, dim] -> loss

They look at parameters, which are the same on every device, and so is their value: they are added to a
loss as they are, without an axis.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import sharing
from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import masked
from jaxsim.numerics._norms import at_least_float32, unit
from jaxsim.numerics.types import Array
from jaxsim.similarity import euclidean


def center_invariant(class_weights: Array) -> jax.Array:
    """Center-invariant regularizer: one norm for all class vectors, also of rare classes.

        mean over c of  (|w_c|^2 - mean over c' of |w_c'|^2)^2 / 4

    Args:
      class_weights: [classes, dim].

    Returns: a float32 scalar (float64 for float64 input).
    Raises: ValueError for another shape.
    Source: Wu et al. 2017, "Deep Face Recognition with Center Invariant Loss"; over all classes, where
    the paper takes those of the batch's examples.
    Data: labels.
    Kind: regularizer; memory classes x dim.
    """
    class_weights = at_least_float32(matrix("class_weights", class_weights, "one row per class"))
    squares = jnp.sum(jnp.square(class_weights), axis=1)
    count = max(len(squares), 1)
    return jnp.sum(jnp.square(squares - jnp.sum(squares) / count)) / (4 * count)


@over_labels
def _to_nearest(scores, positives, where):
    return masked.max(scores, where), where.any(axis=1)


@sharing(_to_nearest, only=("similarity", "block"))
def regular_face(class_weights: Array, **shared: Any) -> jax.Array:
    """RegularFace: pushes every class vector away from the one that is nearest to it.

        mean over c of  max_{c' != c} cos(w_c, w_c')

    Neighbors that tie share the slope. Of one class it is 0.

    Args:
      class_weights: [classes, dim], each an anchor of its block.

    Returns: a float32 scalar (float64 for float64 input).
    Raises: ValueError for another shape.
    Source: Zhao et al. 2019, "RegularFace", its inter-class term.
    Data: labels.
    Kind: regularizer; memory block x classes.
    """
    class_weights = matrix("class_weights", class_weights, "one row per class")
    return _to_nearest(class_weights, jnp.arange(len(class_weights)), **shared)


def sparse_centers(centers: Array) -> jax.Array:
    """SoftTriple's regularizer: pulls the centers of a class together, so that unneeded ones merge.

        mean over classes and pairs of their centers of  |u_k - u_l| / 2,   u scaled to norm 1

    Centers that coincide stay together: their slope is 0. With one center per class it is 0.

    Args:
      centers: [classes, centers, dim], as `soft_triple` has them.

    Returns: a float32 scalar (float64 for float64 input).
    Raises: ValueError for another shape.
    Source: Qian et al. 2019 (1909.05235), the regularizer of its objective, over C K (K - 1).
    Data: labels.
    Kind: regularizer; memory classes x centers x centers.
    """
    centers = unit(matrix("centers", centers, "some per class", axes=3))
    classes, each, _ = centers.shape
    between = jax.vmap(euclidean)(centers, centers)  # each pair twice
    return jnp.sum(between) / max(2 * classes * each * (each - 1), 1)
