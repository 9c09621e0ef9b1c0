"""Layers of transformers in float64, as the references of several tests have them."""

import numpy as np


def normed(x, weights):
    """Layer norm."""
    center = x - x.mean(axis=-1, keepdims=True)
    return center / np.sqrt((center**2).mean(axis=-1, keepdims=True) + 1e-6) * np.float64(
        weights["scale"]
    ) + np.float64(weights["bias"])


def dense(x, weights):
    """A dense layer."""
    return x @ np.float64(weights["kernel"]) + np.float64(weights["bias"])
