"""Pieces of losses that other losses can use: weights, ranks, directions, mixtures."""

from jaxsim.losses.classes._pair_classification import pair_features as pair_features
from jaxsim.losses.compose._layers import (
    draw_layer_dim as draw_layer_dim,
    draw_layers as draw_layers,
    linear_depth_weight as linear_depth_weight,
    log_depth_weight as log_depth_weight,
)
from jaxsim.losses.compose._matryoshka import geometric_dims as geometric_dims, leading as leading
from jaxsim.losses.graded._cosent import average_ranks as average_ranks
from jaxsim.losses.lists._lambda_weights import (
    lambda_rank_weights as lambda_rank_weights,
    ndcg_loss_2_weights as ndcg_loss_2_weights,
    ndcg_loss_2pp_weights as ndcg_loss_2pp_weights,
)
from jaxsim.losses.lists._list_ranks import halving_places as halving_places
from jaxsim.losses.numbers._regression_supervised_contrastive import (
    linear_weight as linear_weight,
    quadratic_weight as quadratic_weight,
)
from jaxsim.losses.numbers._supremix import (
    mixed_negatives as mixed_negatives,
    mixed_positives as mixed_positives,
)
from jaxsim.losses.pairs._dynamic_soft_margin import margin_histogram as margin_histogram
from jaxsim.losses.pairs._joint_info_nce import (
    documents_to_documents as documents_to_documents,
    documents_to_queries as documents_to_queries,
    positives_to_positives as positives_to_positives,
    queries_to_queries as queries_to_queries,
)
from jaxsim.losses.pairs._kalm import mix_list as mix_list, mix_pairs as mix_pairs
from jaxsim.losses.pairs._mnr_plus import mnr_plus_targets as mnr_plus_targets
from jaxsim.losses.routing._routing import (
    routing_table as routing_table,
    table_information as table_information,
)
from jaxsim.losses.teachers._score_regression import (
    binary_logit as binary_logit,
    centered as centered,
)
from jaxsim.losses.words._disambiguated import (
    disambiguated_hidden as disambiguated_hidden,
    offdiagonal_huber_penalty as offdiagonal_huber_penalty,
    offdiagonal_penalty as offdiagonal_penalty,
    sense_entropy as sense_entropy,
    sense_logits as sense_logits,
)
from jaxsim.losses.words._sgns import in_window as in_window, not_hits as not_hits
