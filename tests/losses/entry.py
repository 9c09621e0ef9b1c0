"""One loss of the table, brought to one form, so that one set of tests serves all.

The references are loops over the equation in NumPy; they share no code with jaxsim.
"""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Entry:
    call: Callable  # (x [rows, 4], labels, where, **settings) -> loss
    reference: (
        Callable  # (x, labels, where, large) -> the same in float64 NumPy; large: of dot products
    )
    lifted: bool = True  # takes block= and similarity=
    unit: bool = True  # scores are cosines unless `large`: no slope at a zero row


def documents_of(x):
    """Another vector for each row; a zero row keeps a zero document."""
    return x[:, ::-1] * 1.5


def cosine_or_dot(a, b, large):
    if large:
        return a @ b
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / norms if norms > 0 else 0.0
