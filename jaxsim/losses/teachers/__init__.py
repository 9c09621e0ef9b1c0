"""Distillation: a student's scores or embeddings are trained to match a teacher's."""

from jaxsim.losses.teachers._compatibility import (
    backward_compatible as backward_compatible,
    higher_order_compatibility as higher_order_compatibility,
    higher_order_compatibility_released as higher_order_compatibility_released,
    stationary as stationary,
)
from jaxsim.losses.teachers._distillation import (
    embedding_distillation as embedding_distillation,
    embedding_distillation_cosine as embedding_distillation_cosine,
    embedding_distillation_l2 as embedding_distillation_l2,
    embedding_distillation_mse as embedding_distillation_mse,
    score_distillation as score_distillation,
    similarity_distillation as similarity_distillation,
)
from jaxsim.losses.teachers._relational_distillation import (
    relational_angles as relational_angles,
    relational_distances as relational_distances,
)
from jaxsim.losses.teachers._score_regression import (
    dse_binary as dse_binary,
    dse_multiclass as dse_multiclass,
    dse_regression as dse_regression,
    margin_mse as margin_mse,
    score_mse as score_mse,
)
from jaxsim.losses.teachers._soft_targets import (
    jensen_shannon as jensen_shannon,
    symmetric_kl as symmetric_kl,
    symmetric_kl_released as symmetric_kl_released,
)
