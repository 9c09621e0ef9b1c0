"""Losses: pure functions from embeddings, scores and labels to one number.

A pairwise loss is its rule on rows of scores, lifted by `over_labels` or `over_pairs`.
"""

from jaxsim.losses.angle_multiples import large_margin_softmax, sphereface
from jaxsim.losses.average_precision import fast_ap, histogram, smooth_ap, smooth_ap_with_self
from jaxsim.losses.class_regularizers import center_invariant, regular_face, sparse_centers
from jaxsim.losses.classes import (
    binary_cross_entropy,
    cross_entropy,
    denoising,
    pair_classification,
    pair_features,
)
from jaxsim.losses.codiemb import codiemb_retrieval, codiemb_sts
from jaxsim.losses.compose import (
    geometric_dims,
    leading,
    matryoshka,
    matryoshka_drawn,
    weighted_sum,
)
from jaxsim.losses.correlations import (
    angle,
    average_ranks,
    cosent,
    cosine_regression,
    pair_rank,
    pearson,
    pro,
    rank_kl,
    rank_kl_total,
)
from jaxsim.losses.cosine_targets import p2s_grad
from jaxsim.losses.decoupled import (
    anchor_info_nce,
    hydra,
    nt_xent,
    pair_info_nce,
    supervised_contrastive,
)
from jaxsim.losses.directions import (
    documents_to_documents,
    documents_to_queries,
    expanded_info_nce,
    info_nce_with_extra,
    joint_info_nce,
    positives_to_positives,
    queries_to_queries,
)
from jaxsim.losses.distillation import (
    embedding_distillation,
    embedding_distillation_cosine,
    embedding_distillation_l2,
    embedding_distillation_mse,
    score_distillation,
    similarity_distillation,
)
from jaxsim.losses.dynamic_margin import dynamic_soft_margin, margin_histogram
from jaxsim.losses.focal import focal_mean, focal_weights, full_focal_mean
from jaxsim.losses.given import (
    contrastive_tension,
    given_triplet,
    online_contrastive,
    paired_contrastive,
)
from jaxsim.losses.guided import guided_info_nce, relatively_guided_info_nce
from jaxsim.losses.hard_and_simple import (
    hard_contrastive,
    hard_negatives,
    hard_simple_contrastive,
    simple_contrastive,
)
from jaxsim.losses.hardness import (
    hard_negative_hardness_info_nce,
    hardness_info_nce,
    in_batch_hardness_info_nce,
)
from jaxsim.losses.lambda_weights import (
    lambda_rank_weights,
    ndcg_loss_2_weights,
    ndcg_loss_2pp_weights,
)
from jaxsim.losses.layers import (
    adaptive_layers,
    adaptive_matryoshka,
    coordinate_kl,
    draw_layer_dim,
    draw_layers,
    linear_depth_weight,
    log_depth_weight,
    matryoshka_2d,
    matryoshka_2d_a1,
    matryoshka_2d_a2,
)
from jaxsim.losses.lifted import (
    cosine_lifted_structure,
    generalized_lifted_structure,
    lifted_structure,
)
from jaxsim.losses.lifting import over_labels, over_pairs
from jaxsim.losses.list_pairs import (
    ndcg_loss_1,
    pairwise_hinge,
    pairwise_mse,
    pairwise_soft_zero_one,
    unique_softmax,
)
from jaxsim.losses.list_places import adr_mse, halving_places, p_list_mle
from jaxsim.losses.lists import lambda_loss, list_mle, list_net, rank_net, unime_v2_rerank
from jaxsim.losses.logits import (
    binary_logit,
    centred,
    dse_binary,
    dse_multiclass,
    dse_regression,
    margin_mse,
    score_mse,
)
from jaxsim.losses.margins import arcface, cosface, normalized_softmax
from jaxsim.losses.mega_batch import mega_batch_margin
from jaxsim.losses.memory import Memory, as_references, averaged_bank, empty_memory, remembered
from jaxsim.losses.mining import (
    distance_weighted_negatives,
    easiest_positives,
    hardest_negatives,
    hardest_positives,
    mined,
    multi_similarity_pairs,
    pairs_within,
    semi_hard_negatives,
)
from jaxsim.losses.mixing import kalm, mix_list, mix_pairs
from jaxsim.losses.negatives_ahead import pnp, pnp_dq, pnp_ds, pnp_ib, pnp_iu
from jaxsim.losses.neighbours import nca
from jaxsim.losses.ordinal import (
    linear_weight,
    quadratic_weight,
    rank_n_contrast,
    regression_supervised_contrastive,
)
from jaxsim.losses.ordinal_mixtures import mixed_negatives, mixed_positives, supremix
from jaxsim.losses.orthogonality import global_orthogonal
from jaxsim.losses.pairs import (
    binomial_deviance,
    contrastive,
    contrastive_mean,
    contrastive_squared,
    cosine_contrastive,
    intra_pair_variance,
    margin,
    snr_contrastive,
)
from jaxsim.losses.poly import poly1_mean
from jaxsim.losses.preferences import bradley_terry
from jaxsim.losses.proxies import proxy_anchor, proxy_nca
from jaxsim.losses.random_walks import manifold
from jaxsim.losses.rankings import (
    hardest_ranking_hinge,
    one_way_ranking_hinge,
    ranking_hinge,
    symmetric_triplet,
)
from jaxsim.losses.redundancy import barlow_twins, vicreg
from jaxsim.losses.relational import relational_angles, relational_distances
from jaxsim.losses.relative import (
    circle,
    multi_similarity,
    multi_similarity_unmined,
    n_pairs,
    ranked_list,
    tuplet_margin,
)
from jaxsim.losses.shared_classifier import instance
from jaxsim.losses.sigmoid import siglip
from jaxsim.losses.soft_targets import jensen_shannon, symmetric_kl, symmetric_kl_released
from jaxsim.losses.softmax import (
    group_info_nce,
    info_nce,
    list_softmax,
    multi_positive_info_nce,
    symmetric_info_nce,
)
from jaxsim.losses.sparse import csr_reconstruction, flops, splade
from jaxsim.losses.sub_centers import soft_triple, sub_center_arcface
from jaxsim.losses.triangles import angular
from jaxsim.losses.triplets import (
    batch_hard_soft_margin_triplet,
    batch_hard_triplet,
    batch_semi_hard_triplet,
    hard_triplet,
    semi_hard_triplet,
    smooth_triplet,
    swapped_triplet,
    triplet,
    triplet_mean,
)
from jaxsim.losses.words import not_hits, sampled_softmax, sgns

__all__ = [
    "Memory",
    "adaptive_layers",
    "adaptive_matryoshka",
    "adr_mse",
    "anchor_info_nce",
    "angle",
    "angular",
    "arcface",
    "as_references",
    "average_ranks",
    "averaged_bank",
    "barlow_twins",
    "batch_hard_soft_margin_triplet",
    "batch_hard_triplet",
    "batch_semi_hard_triplet",
    "binary_cross_entropy",
    "binary_logit",
    "binomial_deviance",
    "bradley_terry",
    "center_invariant",
    "centred",
    "circle",
    "codiemb_retrieval",
    "codiemb_sts",
    "contrastive",
    "contrastive_mean",
    "contrastive_squared",
    "contrastive_tension",
    "coordinate_kl",
    "cosent",
    "cosface",
    "cosine_contrastive",
    "cosine_lifted_structure",
    "cosine_regression",
    "cross_entropy",
    "csr_reconstruction",
    "denoising",
    "distance_weighted_negatives",
    "documents_to_documents",
    "documents_to_queries",
    "draw_layer_dim",
    "draw_layers",
    "dse_binary",
    "dse_multiclass",
    "dse_regression",
    "dynamic_soft_margin",
    "easiest_positives",
    "embedding_distillation",
    "embedding_distillation_cosine",
    "embedding_distillation_l2",
    "embedding_distillation_mse",
    "empty_memory",
    "expanded_info_nce",
    "fast_ap",
    "flops",
    "focal_mean",
    "focal_weights",
    "full_focal_mean",
    "generalized_lifted_structure",
    "geometric_dims",
    "given_triplet",
    "global_orthogonal",
    "group_info_nce",
    "guided_info_nce",
    "halving_places",
    "hard_contrastive",
    "hard_negative_hardness_info_nce",
    "hard_negatives",
    "hard_simple_contrastive",
    "hard_triplet",
    "hardest_negatives",
    "hardest_positives",
    "hardest_ranking_hinge",
    "hardness_info_nce",
    "histogram",
    "hydra",
    "in_batch_hardness_info_nce",
    "info_nce",
    "info_nce_with_extra",
    "instance",
    "intra_pair_variance",
    "jensen_shannon",
    "joint_info_nce",
    "kalm",
    "lambda_loss",
    "lambda_rank_weights",
    "large_margin_softmax",
    "leading",
    "lifted_structure",
    "linear_depth_weight",
    "linear_weight",
    "list_mle",
    "list_net",
    "list_softmax",
    "log_depth_weight",
    "manifold",
    "margin",
    "margin_histogram",
    "margin_mse",
    "matryoshka",
    "matryoshka_2d",
    "matryoshka_2d_a1",
    "matryoshka_2d_a2",
    "matryoshka_drawn",
    "mega_batch_margin",
    "mined",
    "mix_list",
    "mix_pairs",
    "mixed_negatives",
    "mixed_positives",
    "multi_positive_info_nce",
    "multi_similarity",
    "multi_similarity_pairs",
    "multi_similarity_unmined",
    "n_pairs",
    "nca",
    "ndcg_loss_1",
    "ndcg_loss_2_weights",
    "ndcg_loss_2pp_weights",
    "normalized_softmax",
    "not_hits",
    "nt_xent",
    "one_way_ranking_hinge",
    "online_contrastive",
    "over_labels",
    "over_pairs",
    "p2s_grad",
    "p_list_mle",
    "pair_classification",
    "pair_features",
    "pair_info_nce",
    "pair_rank",
    "paired_contrastive",
    "pairs_within",
    "pairwise_hinge",
    "pairwise_mse",
    "pairwise_soft_zero_one",
    "pearson",
    "pnp",
    "pnp_dq",
    "pnp_ds",
    "pnp_ib",
    "pnp_iu",
    "poly1_mean",
    "positives_to_positives",
    "pro",
    "proxy_anchor",
    "proxy_nca",
    "quadratic_weight",
    "queries_to_queries",
    "rank_kl",
    "rank_kl_total",
    "rank_n_contrast",
    "rank_net",
    "ranked_list",
    "ranking_hinge",
    "regression_supervised_contrastive",
    "regular_face",
    "relational_angles",
    "relational_distances",
    "relatively_guided_info_nce",
    "remembered",
    "sampled_softmax",
    "score_distillation",
    "score_mse",
    "semi_hard_negatives",
    "semi_hard_triplet",
    "sgns",
    "siglip",
    "similarity_distillation",
    "simple_contrastive",
    "smooth_ap",
    "smooth_ap_with_self",
    "smooth_triplet",
    "snr_contrastive",
    "soft_triple",
    "sparse_centers",
    "sphereface",
    "splade",
    "sub_center_arcface",
    "supervised_contrastive",
    "supremix",
    "swapped_triplet",
    "symmetric_info_nce",
    "symmetric_kl",
    "symmetric_kl_released",
    "symmetric_triplet",
    "triplet",
    "triplet_mean",
    "tuplet_margin",
    "unime_v2_rerank",
    "unique_softmax",
    "vicreg",
    "weighted_sum",
]
