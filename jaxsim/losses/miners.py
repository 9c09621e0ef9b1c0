"""Miners: which pairs a loss looks at, for `losses.mined(loss, miner)`."""

from jaxsim.losses._miners import (
    distance_weighted_negatives as distance_weighted_negatives,
    easiest_positives as easiest_positives,
    hardest_negatives as hardest_negatives,
    hardest_positives as hardest_positives,
    multi_similarity_pairs as multi_similarity_pairs,
    pairs_within as pairs_within,
    semi_hard_negatives as semi_hard_negatives,
)
from jaxsim.losses.pairs._hard_and_simple import hard_negatives as hard_negatives
