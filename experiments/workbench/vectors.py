"""Vectors as arms compare them."""

import numpy as np


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Vectors of norm 1 along the last axis, float32; a zero vector stays."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.float32(vectors / np.where(norms > 0, norms, 1))
