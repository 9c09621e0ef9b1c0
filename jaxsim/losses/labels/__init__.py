"""Losses on embeddings with labels: equal labels are positives."""

from jaxsim.losses.labels._angular import angular as angular
from jaxsim.losses.labels._binomial_deviance import binomial_deviance as binomial_deviance
from jaxsim.losses.labels._circle import circle as circle
from jaxsim.losses.labels._contrastive import (
    contrastive as contrastive,
    contrastive_mean as contrastive_mean,
    contrastive_squared as contrastive_squared,
    cosine_contrastive as cosine_contrastive,
    snr_contrastive as snr_contrastive,
)
from jaxsim.losses.labels._fast_ap import fast_ap as fast_ap
from jaxsim.losses.labels._histogram import histogram as histogram
from jaxsim.losses.labels._hydra import hydra as hydra
from jaxsim.losses.labels._intra_pair_variance import intra_pair_variance as intra_pair_variance
from jaxsim.losses.labels._lifted_structure import (
    cosine_lifted_structure as cosine_lifted_structure,
    generalized_lifted_structure as generalized_lifted_structure,
    lifted_structure as lifted_structure,
)
from jaxsim.losses.labels._manifold import manifold as manifold
from jaxsim.losses.labels._margin import margin as margin
from jaxsim.losses.labels._multi_similarity import (
    multi_similarity as multi_similarity,
    multi_similarity_unmined as multi_similarity_unmined,
)
from jaxsim.losses.labels._n_pairs import n_pairs as n_pairs
from jaxsim.losses.labels._nca import nca as nca
from jaxsim.losses.labels._norm_ratio import (
    asl as asl,
    grouped_norm_ratio as grouped_norm_ratio,
    norm_ratio as norm_ratio,
)
from jaxsim.losses.labels._nt_xent import nt_xent as nt_xent
from jaxsim.losses.labels._pnp import (
    pnp as pnp,
    pnp_dq as pnp_dq,
    pnp_ds as pnp_ds,
    pnp_ib as pnp_ib,
    pnp_iu as pnp_iu,
)
from jaxsim.losses.labels._ranked_list import ranked_list as ranked_list
from jaxsim.losses.labels._smooth_ap import (
    smooth_ap as smooth_ap,
    smooth_ap_with_self as smooth_ap_with_self,
)
from jaxsim.losses.labels._supervised_contrastive import (
    supervised_contrastive as supervised_contrastive,
)
from jaxsim.losses.labels._triplet import (
    batch_hard_soft_margin_triplet as batch_hard_soft_margin_triplet,
    batch_hard_triplet as batch_hard_triplet,
    batch_semi_hard_triplet as batch_semi_hard_triplet,
    hard_triplet as hard_triplet,
    semi_hard_triplet as semi_hard_triplet,
    smooth_triplet as smooth_triplet,
    swapped_triplet as swapped_triplet,
    triplet as triplet,
    triplet_mean as triplet_mean,
)
from jaxsim.losses.labels._tuplet_margin import tuplet_margin as tuplet_margin
