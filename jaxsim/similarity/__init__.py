"""Kernels between embeddings: (x [n, dim], y [m, dim]) -> scores [n, m], larger is closer."""

from jaxsim.similarity.dense import (
    cosine,
    dot,
    euclidean,
    negative_euclidean,
    negative_squared_euclidean,
    squared_euclidean,
)

__all__ = [
    "cosine",
    "dot",
    "euclidean",
    "negative_euclidean",
    "negative_squared_euclidean",
    "squared_euclidean",
]
