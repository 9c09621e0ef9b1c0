"""Merging: parameter trees to parameter trees; soups, fusion, experts, and merging of channels that do the same."""

from jaxsim.merging._baselines import (
    merge_random_pairs as merge_random_pairs,
    prune_at_random as prune_at_random,
    prune_by_magnitude as prune_by_magnitude,
)
from jaxsim.merging._features import (
    Merged as Merged,
    compact as compact,
    feature_complexity as feature_complexity,
    group_distance as group_distance,
    incoming_distance as incoming_distance,
    iterative_feature_merging as iterative_feature_merging,
    merge_pair as merge_pair,
    merge_pair_released as merge_pair_released,
    size_normalized_distance as size_normalized_distance,
)
from jaxsim.merging._soups import fuse as fuse, soup as soup
from jaxsim.merging._spec import (
    BatchNorm as BatchNorm,
    Consumed as Consumed,
    MergeSpec as MergeSpec,
    Produced as Produced,
    chain as chain,
    fold_batch_norm as fold_batch_norm,
)
from jaxsim.merging._upcycling import take_expert as take_expert, upcycle as upcycle
