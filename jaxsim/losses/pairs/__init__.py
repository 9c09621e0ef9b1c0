"""Losses on pairs: queries with their documents, in-batch negatives."""

from jaxsim.losses.pairs._codiemb import (
    codiemb_retrieval as codiemb_retrieval,
    codiemb_sts as codiemb_sts,
)
from jaxsim.losses.pairs._decoupled import (
    anchor_info_nce as anchor_info_nce,
    pair_info_nce as pair_info_nce,
)
from jaxsim.losses.pairs._dynamic_soft_margin import dynamic_soft_margin as dynamic_soft_margin
from jaxsim.losses.pairs._guided_info_nce import (
    guided_info_nce as guided_info_nce,
    relatively_guided_info_nce as relatively_guided_info_nce,
)
from jaxsim.losses.pairs._hard_and_simple import (
    hard_contrastive as hard_contrastive,
    hard_simple_contrastive as hard_simple_contrastive,
    simple_contrastive as simple_contrastive,
)
from jaxsim.losses.pairs._hardness_info_nce import (
    hard_negative_hardness_info_nce as hard_negative_hardness_info_nce,
    hardness_info_nce as hardness_info_nce,
    in_batch_hardness_info_nce as in_batch_hardness_info_nce,
)
from jaxsim.losses.pairs._info_nce import (
    group_info_nce as group_info_nce,
    info_nce as info_nce,
    list_softmax as list_softmax,
    multi_positive_info_nce as multi_positive_info_nce,
    symmetric_info_nce as symmetric_info_nce,
)
from jaxsim.losses.pairs._joint_info_nce import (
    expanded_info_nce as expanded_info_nce,
    info_nce_with_extra as info_nce_with_extra,
    joint_info_nce as joint_info_nce,
)
from jaxsim.losses.pairs._kalm import kalm as kalm
from jaxsim.losses.pairs._mega_batch_margin import mega_batch_margin as mega_batch_margin
from jaxsim.losses.pairs._mnr_plus import mnr_plus as mnr_plus
from jaxsim.losses.pairs._ranking_hinge import (
    hardest_ranking_hinge as hardest_ranking_hinge,
    one_way_ranking_hinge as one_way_ranking_hinge,
    ranking_hinge as ranking_hinge,
    symmetric_triplet as symmetric_triplet,
)
from jaxsim.losses.pairs._siglip import siglip as siglip
