"""One loss of the table, brought to one form, so that one set of tests serves all.

The references are loops over the equation in NumPy; they share no code with jaxsim.
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class Entry:
    call: Callable  # (x [rows, 4], labels, where, **settings) -> loss
    reference: (
        Callable  # (x, labels, where, large) -> the same in float64 NumPy; large: of dot products
    )
    lifted: bool = True  # takes block= and similarity=
    unit: bool = True  # scores are cosines unless `large`: no slope at a zero row
    held: bool = (
        False  # the reference takes `at`, the x that what carries no gradient is computed from
    )


def documents_of(x):
    """Another vector for each row; a zero row keeps a zero document."""
    return x[:, ::-1] * 1.5


def groups_of(x):
    """Three documents for each row, [rows, 3, 4]: its positive and two negatives."""
    turned = x[:, [1, 2, 3, 0]], x[:, [2, 0, 1, 3]]
    return (np if isinstance(x, np.ndarray) else jnp).stack([documents_of(x), *turned], axis=1)


def cosine_or_dot(a, b, large):
    if large:
        return a @ b
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / norms if norms > 0 else 0.0
