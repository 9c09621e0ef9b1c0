"""A good call of every public loss, by the names of its arrays: what is then spoiled, one input at a time.

The completeness of the table is tested: a new loss joins by its line here, or in NOT_LOSSES with a reason.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np

from jaxsim import losses

ROWS, DIM, CANDIDATES, CLASSES = 8, 4, 4, 4
RANDOM = np.random.default_rng(7)
WHERE = np.array([1, 1, 1, 0, 1, 1, 0, 1], bool)
INTEGERS = np.array([0, 0, 1, 1, 1, 2, 2, 2], np.int32)  # two real rows of each class, and more
GRADES = np.float32([0.0, 0.5, 1.0, 0.25, 0.75, 0.1, 0.6, 1.0])
ANSWERS = np.float32(INTEGERS % 2)


def normal(*shape):
    """Normal numbers, float32."""
    return np.float32(RANDOM.normal(size=shape))


X, Y, Z = (normal(ROWS, DIM) for _ in range(3))
GROUPS = normal(ROWS, 3, DIM)
SCORES, TEACHER = normal(ROWS, CANDIDATES), normal(ROWS, CANDIDATES)
RELEVANCE = np.float32(RANDOM.integers(0, 3, size=(ROWS, CANDIDATES)))
RELEVANCE[:, 0] = 3  # no list without a pair
VECTORS, CENTERS = normal(CLASSES, DIM), normal(CLASSES, 2, DIM)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The arrays and settings of one good call of a loss."""

    arrays: dict  # by the names of the arguments; the first axis is that of the rows
    settings: dict = dataclasses.field(default_factory=dict)
    shared: frozenset = frozenset()  # of the arrays: parameters, whose first axis is another one
    function: Callable | None = None  # of all arrays by name, where and weights: of a composition


def labeled(labels=INTEGERS, **settings):
    """Embeddings with labels."""
    return Inputs({"embeddings": X, "labels": labels}, settings)


def pairs(documents=Y, **settings):
    """Queries with their documents."""
    return Inputs({"queries": X, "documents": documents}, settings)


def graded(labels=GRADES, **settings):
    """Pairs with grades."""
    return Inputs({"queries": X, "documents": Y, "labels": labels}, settings)


def lists(**settings):
    """Lists of candidates with relevances."""
    return Inputs({"scores": SCORES, "labels": RELEVANCE}, settings)


def classes(name="class_weights", vectors=VECTORS, **settings):
    """Embeddings with labels, and vectors of the classes."""
    arrays = {"embeddings": X, "labels": INTEGERS, name: vectors}
    return Inputs(arrays, settings, frozenset({name}))


def taught(student=X, teacher=Y, **settings):
    """What a student says, and its teacher."""
    return Inputs({"student": student, "teacher": teacher}, settings)


def drawn(arrays, shared=frozenset(), **settings):
    """A word to predict, and words drawn."""
    of_softmax = {
        "targets": Y,
        "negatives": GROUPS,
        "target_log_counts": normal(ROWS),
        "negative_log_counts": normal(ROWS, 3),
    }
    return Inputs(arrays | of_softmax, settings, shared)


def cut(composed):
    """A composition over info_nce of queries and documents at three layers: states [3, rows, dim]."""

    def call(queries, documents, where, weights=None):
        def base(z):
            return losses.info_nce(z["q"], z["d"], where=where)

        states = {"q": queries, "d": documents}
        states = jax.tree.map(lambda a: jax.numpy.stack([a, a * 2, a + 1]), states)
        return composed(base, states, where)

    return Inputs({"queries": X, "documents": Y}, function=call)


INPUTS = {
    **{
        name: labeled()
        for name in (
            *("angular", "batch_hard_soft_margin_triplet", "batch_hard_triplet"),
            *("batch_semi_hard_triplet", "binomial_deviance", "circle", "contrastive"),
            *("contrastive_mean", "contrastive_squared", "cosine_contrastive"),
            *("cosine_lifted_structure", "fast_ap", "generalized_lifted_structure"),
            *("global_orthogonal", "hard_triplet", "histogram", "intra_pair_variance"),
            *("lifted_structure", "multi_similarity", "multi_similarity_unmined", "n_pairs", "nca"),
            *("nt_xent", "pnp", "pnp_dq", "pnp_ds", "pnp_ib", "pnp_iu", "semi_hard_triplet"),
            *("smooth_ap", "smooth_ap_with_self", "smooth_triplet", "snr_contrastive"),
            *("supervised_contrastive", "swapped_triplet", "triplet", "triplet_mean"),
            *("tuplet_margin",),
        )
    },
    "margin": Inputs(
        {"embeddings": X, "labels": INTEGERS, "beta": np.float32([1.2, 1.1, 1.3])},
        shared=frozenset({"beta"}),
    ),
    "ranked_list": labeled(margin=0.4, negative_sharpness=3.0),
    "rank_n_contrast": labeled(GRADES),
    "regression_supervised_contrastive": labeled(np.float32(INTEGERS)),
    "supremix": labeled(np.float32(INTEGERS), shares=0.25, window=3.0),
    "mined": Inputs(
        {"embeddings": X, "labels": INTEGERS},
        function=losses.mined(losses.margin, losses.miners.hardest_negatives),
    ),
    **{
        name: Inputs({"embeddings": X, array: INTEGERS, "content": GRADES})
        for name, array in (("asl", "labels"), ("grouped_norm_ratio", "groups"))
    },
    "norm_ratio": Inputs({"larger": X, "smaller": Y}),
    **{
        f"higher_order_compatibility{form}": Inputs({"new": X, "old": Y, "labels": INTEGERS})
        for form in ("", "_released")
    },
    "backward_compatible": classes(),
    "stationary": Inputs(
        {"embeddings": X, "old": Y, "labels": INTEGERS, "class_weights": VECTORS},
        shared=frozenset({"class_weights"}),
    ),
    "hydra": Inputs(
        {"embeddings": X, "labels": INTEGERS, "partners": (INTEGERS + 1) % 3, "gate": np.abs(Y)},
    ),
    **{
        name: pairs()
        for name in (
            *(
                "anchor_info_nce",
                "expanded_info_nce",
                "hard_contrastive",
                "hard_simple_contrastive",
            ),
            *("hardest_ranking_hinge", "in_batch_hardness_info_nce", "info_nce"),
            *("joint_info_nce", "mega_batch_margin", "multi_positive_info_nce"),
            *("one_way_ranking_hinge", "pair_info_nce", "ranking_hinge", "siglip"),
            *("simple_contrastive", "symmetric_info_nce"),
        )
    },
    "hard_contrastive": pairs(k=2),
    "hard_simple_contrastive": pairs(k=2),
    "hardness_info_nce": pairs(GROUPS, hardness=2.0),
    "hard_negative_hardness_info_nce": pairs(GROUPS),
    "group_info_nce": pairs(GROUPS),
    "mnr_plus": pairs(),
    "kalm": pairs(GROUPS, key=jax.random.key(0)),
    "codiemb_retrieval": Inputs({"queries": X, "positives": GROUPS[:, :2], "negatives": GROUPS}),
    "info_nce_with_extra": Inputs({"queries": X, "documents": Y, "extra": GROUPS}),
    "similarity_distillation": Inputs(
        {"queries": X, "documents": Y, "of_queries": Z, "of_documents": X},
        function=lambda queries, documents, of_queries, of_documents, **rest: (
            losses.similarity_distillation(
                queries, documents, teacher=(of_queries, of_documents), **rest
            )
        ),
    ),
    **{
        name: Inputs(
            {"queries": X, "documents": Y, "of_queries": Z, "of_documents": X},
            function=lambda queries, documents, of_queries, of_documents, loss=name, **rest: (
                getattr(losses, loss)(queries, documents, guide=(of_queries, of_documents), **rest)
            ),
        )
        for name in ("guided_info_nce", "relatively_guided_info_nce")
    },
    "dynamic_soft_margin": Inputs(
        {"queries": X, "documents": Y, "histogram": np.float32(np.full(11, 1 / 11))},
        shared=frozenset({"histogram"}),
    ),
    **{name: graded() for name in ("angle", "cosent", "codiemb_sts", "cosine_regression")},
    **{name: graded(ANSWERS) for name in ("online_contrastive", "paired_contrastive")},
    "contrastive_tension": Inputs({"first": X, "second": Y, "labels": ANSWERS}),
    "given_triplet": Inputs({"anchors": X, "positives": Y, "negatives": Z}),
    "symmetric_triplet": Inputs({"first": X, "second": Y, "odd": Z}),
    **{
        name: Inputs({"scores": SCORES[:, 0], "labels": GRADES})
        for name in ("pair_rank", "pearson", "pro", "rank_kl", "rank_kl_total")
    },
    **{
        name: lists()
        for name in (
            *("adr_mse", "lambda_loss", "list_mle", "list_net", "ndcg_loss_1", "p_list_mle"),
            *("pairwise_hinge", "pairwise_mse", "pairwise_soft_zero_one", "rank_net"),
            *("unique_softmax",),
        )
    },
    "list_softmax": Inputs({"scores": SCORES}),
    "unime_v2_rerank": Inputs(
        {"pair_scores": SCORES[:, :2], "list_scores": SCORES, "positive_index": INTEGERS}
    ),
    **{
        name: Inputs({"scores": SCORES, "judge": TEACHER}, {"temperature": 1.0})
        for name in ("jensen_shannon", "symmetric_kl", "symmetric_kl_released")
    },
    **{name: taught(SCORES, TEACHER) for name in ("margin_mse", "score_distillation", "score_mse")},
    **{f"embedding_distillation{form}": taught(X, Y) for form in ("", "_cosine", "_l2", "_mse")},
    "relational_angles": taught(X, normal(ROWS, 3)),
    "relational_distances": taught(X, normal(ROWS, 3)),
    "coordinate_kl": taught(X, Y, temperature=1.0),
    "binary_cross_entropy": Inputs({"logits": SCORES[:, 0], "labels": ANSWERS}),
    "bradley_terry": Inputs({"first": SCORES[:, 0], "second": TEACHER[:, 0], "labels": GRADES}),
    "expected_preference": Inputs(
        {"first": SCORES[:, 0], "second": TEACHER[:, 0], "labels": GRADES}, {"penalty": 0.1}
    ),
    "dse_binary": Inputs(
        {"student": SCORES[:, 0], "teacher": TEACHER[:, 0], "labels": GRADES},
    ),
    "dse_regression": Inputs(
        {"student": SCORES[:, 0], "teacher": TEACHER[:, 0], "labels": GRADES},
    ),
    "dse_multiclass": Inputs({"student": SCORES, "teacher": TEACHER, "labels": INTEGERS}),
    "cross_entropy": Inputs({"logits": SCORES, "labels": INTEGERS}),
    "arl": Inputs({"fused": SCORES, "unimodal": normal(ROWS, 2, CANDIDATES), "labels": INTEGERS}),
    **{
        name: Inputs({"logits": SCORES})
        for name in ("dependence", "inverse_entropy", "unimodal_entropy")
    },
    **{name: Inputs({"logits": SCORES}) for name in ("load_balance", "router_z")},
    "enforced_routing": Inputs({"logits": normal(ROWS, 2, CANDIDATES), "domains": INTEGERS}),
    **{
        f"routing_information{form}": Inputs({"logits": SCORES, "domains": INTEGERS}, {"tasks": 3})
        for form in ("", "_released")
    },
    "denoising": Inputs(
        {"logits": normal(ROWS, 3, 5), "tokens": np.int32(RANDOM.integers(0, 5, size=(ROWS, 4)))},
    ),
    "pair_classification": Inputs(
        {
            "first": X,
            "second": Y,
            "labels": INTEGERS,
            "kernel": normal(3 * DIM, 3),
            "bias": normal(3),
        },
        shared=frozenset({"kernel", "bias"}),
    ),
    **{
        name: classes()
        for name in (
            *("arcface", "cosface", "large_margin_softmax", "normalized_softmax", "p2s_grad"),
            *("sphereface",),
        )
    },
    **{name: classes("proxies") for name in ("manifold", "proxy_anchor", "proxy_nca")},
    **{name: classes("centers", CENTERS) for name in ("soft_triple", "sub_center_arcface")},
    "frozen_class_cross_entropy": classes("class_vectors"),
    "instance": Inputs(
        {"images": X, "texts": Y, "labels": INTEGERS, "class_weights": VECTORS},
        shared=frozenset({"class_weights"}),
    ),
    "center_invariant": Inputs({"class_weights": VECTORS}, shared=frozenset({"class_weights"})),
    "regular_face": Inputs({"class_weights": VECTORS}, shared=frozenset({"class_weights"})),
    "sparse_centers": Inputs({"centers": CENTERS}, shared=frozenset({"centers"})),
    "sgns": Inputs({"targets": X, "contexts": Y, "negatives": GROUPS}),
    "sgns_windows": Inputs(
        {"inputs": GROUPS[:, :2], "outputs": GROUPS, "negatives": GROUPS[:, 1:]}
    ),
    "binary_pv_dbow": drawn({"documents": X}),
    "binary_pv_dm": drawn({"documents": X[:, :1], "contexts": normal(ROWS, 2, DIM - 1)}),
    "binary_pv_dm_sum": drawn({"documents": X, "contexts": GROUPS}),
    "real_binary_pv_dbow": drawn(
        {"documents": Z, "projection": normal(DIM, DIM)}, frozenset({"projection"})
    ),
    "disambiguated_skip_gram": drawn(
        {"senses": GROUPS, "probabilities": np.abs(Z[:, :3]), "entropy_of": np.abs(Y[:, :3])},
        entropy_weight=-0.1,
    ),
    "sampled_softmax": Inputs(
        {
            "queries": X,
            "targets": Y,
            "negatives": GROUPS,
            "target_log_counts": normal(ROWS),
            "negative_log_counts": normal(ROWS, 3),
            "target_bias": normal(ROWS),
            "negative_bias": normal(ROWS, 3),
        }
    ),
    **{name: Inputs({"view": X, "other": Y}) for name in ("barlow_twins", "vicreg")},
    "gaussian_elbo": Inputs(
        {
            "inputs": SCORES,
            "decoded": TEACHER,
            "means": normal(ROWS, 2),
            "log_variances": normal(ROWS, 2),
        }
    ),
    "flops": Inputs({"activations": np.abs(X)}),
    "csr_reconstruction": Inputs(
        {
            "embeddings": X,
            "decoded": Y,
            "decoded_4k": Z,
            "decoded_auxiliary": normal(ROWS, DIM),
            "decoded_before_bias": normal(ROWS, DIM),
        }
    ),
    "splade": Inputs(
        {"queries": np.abs(X), "documents": np.abs(Y)},
        function=lambda queries, documents, where, weights=None: losses.splade(
            functools.partial(losses.info_nce, where=where),
            query_weight=0.1,
            document_weight=0.1,
            where=where,
        )(queries, documents),
    ),
    "weighted_sum": Inputs(
        {"embeddings": X, "labels": INTEGERS},
        function=lambda embeddings, labels, where, weights=None: losses.weighted_sum(
            lambda z: losses.nca(z, labels, where=where),
            lambda z: losses.triplet(z, labels, where=where),
            weights=(1.0, 2.0),
        )(embeddings),
    ),
    "matryoshka": cut(
        lambda base, z, where: losses.matryoshka(base, dims=(2, 4))(jax.tree.map(lambda a: a[0], z))
    ),
    "matryoshka_drawn": cut(
        lambda base, z, where: losses.matryoshka_drawn(base, dims=(2, 4), draws=2)(
            jax.tree.map(lambda a: a[0], z), jax.random.key(0)
        )
    ),
    **{
        name: cut(
            lambda base, z, where, name=name: getattr(losses, name)(base, where=where)(z, 1, 2)
        )
        for name in ("matryoshka_2d", "matryoshka_2d_a1", "matryoshka_2d_a2")
    },
    "adaptive_layers": cut(
        lambda base, z, where: losses.adaptive_layers(base, where=where)(z, np.arange(2))
    ),
    "adaptive_matryoshka": cut(
        lambda base, z, where: losses.adaptive_matryoshka(base, dims=(2, 4), draws=2, where=where)(
            z, jax.random.key(0)
        )
    ),
}

# What a loss is made of, or what is kept between batches.
NOT_LOSSES = {
    "lifters": {"over_classes", "over_examples", "over_labels", "over_pairs"},
    "checks of any loss": {"check"},
    "compositions of any loss": {"both_ways", "of_views", "preset"},
    "miners, of the masks of rows": {
        *("distance_weighted_negatives", "easiest_positives", "hard_negatives"),
        *("hardest_negatives", "hardest_positives", "multi_similarity_pairs", "pairs_within"),
        *("semi_hard_negatives",),
    },
    "state": {
        *("Memory", "as_references", "averaged_bank", "cross_batch", "empty_memory"),
        *("margin_histogram", "remembered"),
    },
    "directions of a softmax": {
        *("documents_to_documents", "documents_to_queries", "positives_to_positives"),
        *("queries_to_queries",),
    },
    "reductions": {"focal_mean", "full_focal_mean", "poly1_mean"},
    "weights of pairs, places, layers and distances": {
        *("focal_weights", "halving_places", "lambda_rank_weights", "linear_depth_weight"),
        *("linear_weight", "log_depth_weight", "ndcg_loss_2_weights", "ndcg_loss_2pp_weights"),
        *("quadratic_weight",),
    },
    "shares and scales of modalities": {
        *("arl_coefficients", "arl_coefficients_paper", "inverse_variance_shares"),
        *("inverse_variance_weights", "ogm_ge_coefficients"),
    },
    "mixtures": {"mix_list", "mix_pairs", "mixed_negatives", "mixed_positives"},
    "sizes and draws": {"draw_layer_dim", "draw_layers", "geometric_dims", "leading"},
    "tables and targets of routers and pairs": {
        *("mnr_plus_targets", "routing_table", "table_information"),
    },
    "senses": {
        *("disambiguated_hidden", "offdiagonal_huber_penalty", "offdiagonal_penalty"),
        *("sense_entropy", "sense_logits"),
    },
    "parts": {
        *("average_ranks", "binary_logit", "centered", "in_window", "not_hits", "pair_features"),
    },
}
