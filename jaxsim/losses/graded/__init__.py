"""Losses on pairs with a grade, a label or a preference."""

from jaxsim.losses.graded._bradley_terry import (
    bradley_terry as bradley_terry,
    expected_preference as expected_preference,
)
from jaxsim.losses.graded._cosent import (
    angle as angle,
    cosent as cosent,
    cosine_regression as cosine_regression,
    pair_rank as pair_rank,
    pearson as pearson,
    pro as pro,
    rank_kl as rank_kl,
    rank_kl_total as rank_kl_total,
)
from jaxsim.losses.graded._labeled_pairs import (
    contrastive_tension as contrastive_tension,
    given_triplet as given_triplet,
    online_contrastive as online_contrastive,
    paired_contrastive as paired_contrastive,
)
