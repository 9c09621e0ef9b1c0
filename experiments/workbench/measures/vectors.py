"""Vectors as arms compare them."""

from typing import Any

import numpy as np

from jaxsim.numerics import unit


def unit_rows(vectors: Any) -> np.ndarray:
    """Vectors of norm 1 along the last axis, float32 on the host; a zero vector stays."""
    return np.asarray(unit(np.asarray(vectors, np.float32)))
