"""Kernels between embeddings: (x [n, dim], y [m, dim]) -> scores [n, m], larger is closer."""

from jaxsim.similarity._angle import angle_score as angle_score
from jaxsim.similarity._asymmetric import (
    asymmetric_cosine as asymmetric_cosine,
    log_norm_ratio as log_norm_ratio,
    norm_ratio as norm_ratio,
    soft_asymmetric_cosine as soft_asymmetric_cosine,
)
from jaxsim.similarity._binary import (
    negative_hamming as negative_hamming,
    pack as pack,
    unpack as unpack,
)
from jaxsim.similarity._dense import (
    cosine as cosine,
    dot as dot,
    euclidean as euclidean,
    negative_cosine_distance as negative_cosine_distance,
    negative_euclidean as negative_euclidean,
    negative_squared_euclidean as negative_squared_euclidean,
    negative_unit_euclidean as negative_unit_euclidean,
    squared_euclidean as squared_euclidean,
)
from jaxsim.similarity._gated import gated_cosine as gated_cosine, gated_dot as gated_dot
from jaxsim.similarity._late_interaction import max_sim as max_sim, mean_max_sim as mean_max_sim
from jaxsim.similarity._manhattan import negative_manhattan as negative_manhattan
from jaxsim.similarity._noise import negative_noise_to_signal as negative_noise_to_signal
from jaxsim.similarity._rowwise import list_scores as list_scores, paired as paired
from jaxsim.similarity._simplex import (
    reverse_slots as reverse_slots,
    simplex_vertices as simplex_vertices,
)
