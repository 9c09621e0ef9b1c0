"""Looking inside: pair weights of any loss, behaviour of contrastive losses, geometry of embeddings."""

from jaxsim.analysis.behaviour import (
    Separation,
    gradient_ratio,
    local_separation,
    ratio_entropy,
    temperature_gradient,
)
from jaxsim.analysis.geometry import (
    alignment,
    covariance_spectrum,
    effective_rank,
    tolerance,
    tolerance_of_classes,
    tolerance_over_all_pairs,
    uniformity,
    uniformity_ceiling,
)
from jaxsim.analysis.pictures import pair_weight_curves
from jaxsim.analysis.weights import gpw_surrogate, on_cosines, pair_weights, wrong_way

__all__ = [
    "Separation",
    "alignment",
    "covariance_spectrum",
    "effective_rank",
    "gpw_surrogate",
    "gradient_ratio",
    "local_separation",
    "on_cosines",
    "pair_weight_curves",
    "pair_weights",
    "ratio_entropy",
    "temperature_gradient",
    "tolerance",
    "tolerance_of_classes",
    "tolerance_over_all_pairs",
    "uniformity",
    "uniformity_ceiling",
    "wrong_way",
]
