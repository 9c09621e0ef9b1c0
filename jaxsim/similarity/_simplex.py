"""The regular simplex as a fixed classifier: class vectors that are as far from each other as possible."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


def simplex_vertices(classes: int, *, dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Regular d-simplex: the fixed class vectors of stationary representations, all cosines -1 / (classes - 1).

        W_i = s (e_i - c), i < K;   W_K = s (v - c);   v = (1 - sqrt(K)) / (K - 1),
        c = (1 + v) / K,   s = sqrt(K / (K - 1)),   n = K - 1

    Logits are `similarity.dot(features, vertices)`, without norm, scale or bias. Models can be compared
    where they agree on the number of classes, on this construction and on which class has which row.

    Args:
      classes: K, at least 2; those that have no examples yet are room for later ones.
      dtype: of the result; computed in float64.

    Returns: [classes, classes - 1], rows of norm 1 whose sum is 0.
    Raises: ValueError for less than two classes.
    Source: Pernici et al. 2021 and Biondi et al. 2024 (2405.02581).
    """
    checks.whole("classes", classes, 2)
    size = classes - 1
    corner = (1 - np.sqrt(classes)) / size
    center = (1 + corner) / classes
    rows = np.concatenate([np.eye(size), np.full((1, size), corner)]) - center
    return jnp.asarray(np.sqrt(classes / size) * rows, dtype)


def reverse_slots(labels: Array, classes: int) -> jax.Array:
    """Reversed class slots: labels counted from the last row of a fixed classifier, classes - 1 - label.

    What is pre-trained elsewhere takes the first rows, what is fine-tuned here the last.

    Args:
      labels: int [n], from 0 to classes - 1.
      classes: rows of the classifier.

    Returns: int [n].
    Raises: ValueError for labels that are not integers, or not of these classes.
    Source: Biondi et al. 2024 (2405.02581), released code.
    """
    checks.whole("classes", classes)
    labels = checks.numbers_of("labels", labels)
    checks.integers("labels", labels)
    checks.below("labels", labels, classes, "the number of classes")
    return classes - 1 - labels
