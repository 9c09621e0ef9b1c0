"""Figures from rankings and scores: arrays in, numbers out."""

from jaxsim.evaluation.bootstrap import interval
from jaxsim.evaluation.ranking import (
    recall,
    reciprocal_rank,
    score_recall,
    score_reciprocal_rank,
    top_k_recall,
)

__all__ = [
    "interval",
    "recall",
    "reciprocal_rank",
    "score_recall",
    "score_reciprocal_rank",
    "top_k_recall",
]
