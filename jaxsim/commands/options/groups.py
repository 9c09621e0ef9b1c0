"""The losses of `train` by their names, grouped by what a table has to hold for them."""

from typing import NamedTuple

SPLADE = "splade"  # info_nce of dot products, and the regularizer of sparse vectors
TWO_DIMENSIONAL = "matryoshka_2d"  # info_nce with --layers, and --dims by default


class Group(NamedTuple):
    """Losses that take the same table."""

    rows: str  # what a row of the table is
    names: tuple[str, ...]


PAIRS, NEGATIVES, GUIDED = "pairs", "pairs with negatives", "pairs and --guide"
GRADED, LABELS, TEACHERS = "graded pairs", "labels", "pairs and --teacher"
CROSS_GRADED = "pairs that a cross-encoder scores"
CROSS_LISTS = "pairs with negatives that a cross-encoder orders"
CROSS_TEACHERS = "pairs with negatives, a cross-encoder and --teacher"
CROSS = (CROSS_GRADED, CROSS_LISTS, CROSS_TEACHERS)
GROUPS = {
    PAIRS: Group(
        "a query and its document, with negatives or without",
        (
            *("info_nce", "symmetric_info_nce", "joint_info_nce", "siglip", "simple_contrastive"),
            *("anchor_info_nce", "codiemb_retrieval", "expanded_info_nce", "hard_contrastive"),
            *("hard_simple_contrastive", "hardest_ranking_hinge", "hardness_info_nce"),
            *("in_batch_hardness_info_nce", "mega_batch_margin", "mnr_plus"),
            *("multi_positive_info_nce", "one_way_ranking_hinge", "pair_info_nce", "ranking_hinge"),
            *("barlow_twins", "vicreg", SPLADE),
        ),
    ),
    NEGATIVES: Group(
        "a query, its document and negatives of its own, of the table or of --negatives",
        ("given_triplet", "group_info_nce", "hard_negative_hardness_info_nce", "kalm"),
    ),
    GUIDED: Group(
        "a query and its document; another model says which negatives are none",
        ("guided_info_nce", "relatively_guided_info_nce"),
    ),
    GRADED: Group(
        "two texts and a score",
        (
            *("cosent", "angle", "cosine_regression", "codiemb_sts", "online_contrastive"),
            *("pair_rank", "paired_contrastive", "pearson", "pro", "rank_kl", "rank_kl_total"),
        ),
    ),
    LABELS: Group(
        "a text and its class",
        (
            *("multi_similarity", "supervised_contrastive", "angular"),
            *("batch_hard_soft_margin_triplet", "batch_hard_triplet", "batch_semi_hard_triplet"),
            *("binomial_deviance", "circle", "contrastive", "contrastive_mean"),
            *("contrastive_squared", "cosine_contrastive", "cosine_lifted_structure", "fast_ap"),
            *("generalized_lifted_structure", "hard_triplet", "histogram", "intra_pair_variance"),
            *("lifted_structure", "margin", "multi_similarity_unmined", "n_pairs", "nca"),
            *("nt_xent", "pnp", "pnp_dq", "pnp_ds", "pnp_ib", "pnp_iu", "ranked_list"),
            *("semi_hard_triplet", "smooth_ap", "smooth_ap_with_self", "smooth_triplet"),
            *("snr_contrastive", "swapped_triplet", "triplet", "triplet_mean", "tuplet_margin"),
        ),
    ),
    TEACHERS: Group(
        "a query and its document; another model's similarities or vectors are learned",
        (
            *("similarity_distillation", "embedding_distillation"),
            *("embedding_distillation_cosine", "embedding_distillation_l2"),
            *("embedding_distillation_mse", "relational_angles", "relational_distances"),
        ),
    ),
    CROSS_GRADED: Group(
        "two texts and a score; of binary_cross_entropy from 0 to 1, or negatives in its place",
        ("binary_cross_entropy", "score_mse"),
    ),
    CROSS_LISTS: Group(
        "a query, its document and negatives",
        (
            *("list_softmax", "lambda_loss", "list_mle", "list_net", "ndcg_loss_1", "p_list_mle"),
            *("pairwise_hinge", "pairwise_mse", "pairwise_soft_zero_one", "rank_net"),
            "unique_softmax",
        ),
    ),
    CROSS_TEACHERS: Group(
        "a query, its document and negatives; a cross-encoder, or late interaction, learns another cross-encoder's scores",
        (
            *("score_distillation", "margin_mse", "adr_mse", "jensen_shannon", "symmetric_kl"),
            "symmetric_kl_released",
        ),
    ),
}
GROUP_OF = {name: kind for kind, group in GROUPS.items() for name in group.names}
OF_GRADES, OF_LABELS, OF_TEACHERS = (GROUPS[kind].names for kind in (GRADED, LABELS, TEACHERS))
# Of these vectors both models must have as many coordinates.
OF_EQUAL_SIZES = tuple(name for name in OF_TEACHERS if name.startswith("embedding_"))
OF_ANSWERS = ("online_contrastive", "paired_contrastive")  # whose scores are 0 and 1
