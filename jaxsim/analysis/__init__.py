"""Analysis: pair weights of any loss, behavior of contrastive losses, geometry of embeddings,
senses of words."""

from jaxsim.analysis._behavior import (
    Separation as Separation,
    gradient_ratio as gradient_ratio,
    local_separation as local_separation,
    ratio_entropy as ratio_entropy,
    temperature_gradient as temperature_gradient,
)
from jaxsim.analysis._geometry import (
    Isotropy as Isotropy,
    alignment as alignment,
    covariance_spectrum as covariance_spectrum,
    effective_rank as effective_rank,
    isotropy as isotropy,
    mean_cosine as mean_cosine,
    tolerance as tolerance,
    tolerance_of_classes as tolerance_of_classes,
    tolerance_over_all_pairs as tolerance_over_all_pairs,
    uniformity as uniformity,
    uniformity_ceiling as uniformity_ceiling,
)
from jaxsim.analysis._pictures import pair_weight_curves as pair_weight_curves
from jaxsim.analysis._senses import (
    assign_sense_cosine as assign_sense_cosine,
    prune_senses as prune_senses,
    sense_priors as sense_priors,
)
from jaxsim.analysis._weights import (
    PairWeights as PairWeights,
    gpw_surrogate as gpw_surrogate,
    loss_pair_weights as loss_pair_weights,
    on_cosines as on_cosines,
    pair_weights as pair_weights,
    wrong_way as wrong_way,
)
from jaxsim.analysis._whitening import (
    Whitening as Whitening,
    whiten_ica as whiten_ica,
    whiten_pca as whiten_pca,
    whiten_zca as whiten_zca,
)
