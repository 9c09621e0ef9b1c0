"""Losses: pure functions from embeddings, scores and labels to one number.

A pairwise loss is its rule on rows of scores, lifted by `over_labels` or `over_pairs`.
"""

from jaxsim.losses.lifting import mined, over_labels, over_pairs
from jaxsim.losses.neighbours import nca
from jaxsim.losses.softmax import info_nce, list_softmax, symmetric_info_nce

__all__ = [
    "info_nce",
    "list_softmax",
    "mined",
    "nca",
    "over_labels",
    "over_pairs",
    "symmetric_info_nce",
]
