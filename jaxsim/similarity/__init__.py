"""Kernels between embeddings: (x [n, dim], y [m, dim]) -> scores [n, m], larger is closer."""

from jaxsim.similarity.angle import angle_score
from jaxsim.similarity.binary import negative_hamming, pack, unpack
from jaxsim.similarity.dense import (
    cosine,
    dot,
    euclidean,
    negative_cosine_distance,
    negative_euclidean,
    negative_squared_euclidean,
    negative_unit_euclidean,
    squared_euclidean,
)
from jaxsim.similarity.gated import gated_cosine, gated_dot
from jaxsim.similarity.late_interaction import max_sim, mean_max_sim
from jaxsim.similarity.manhattan import negative_manhattan
from jaxsim.similarity.noise import negative_noise_to_signal
from jaxsim.similarity.rowwise import paired

__all__ = [
    "angle_score",
    "cosine",
    "dot",
    "euclidean",
    "gated_cosine",
    "gated_dot",
    "max_sim",
    "mean_max_sim",
    "negative_cosine_distance",
    "negative_euclidean",
    "negative_hamming",
    "negative_manhattan",
    "negative_noise_to_signal",
    "negative_squared_euclidean",
    "negative_unit_euclidean",
    "pack",
    "paired",
    "squared_euclidean",
    "unpack",
]
