"""Figures from rankings and scores: arrays in, numbers out."""

from jaxsim.evaluation.bootstrap import interval
from jaxsim.evaluation.class_retrieval import class_recall, map_at_r, r_precision
from jaxsim.evaluation.classification import knn_accuracy, linear_probe
from jaxsim.evaluation.clustering import Clusters, class_nmi, kmeans, nmi
from jaxsim.evaluation.correlation import pearson, spearman
from jaxsim.evaluation.graded import exponential_gain, linear_gain, ndcg, score_ndcg
from jaxsim.evaluation.ranking import (
    average_precision,
    precision,
    precision_at_r,
    recall,
    reciprocal_rank,
    score_recall,
    score_reciprocal_rank,
    top_k_recall,
)

__all__ = [
    "Clusters",
    "average_precision",
    "class_nmi",
    "class_recall",
    "exponential_gain",
    "interval",
    "kmeans",
    "knn_accuracy",
    "linear_gain",
    "linear_probe",
    "map_at_r",
    "ndcg",
    "nmi",
    "pearson",
    "precision",
    "precision_at_r",
    "r_precision",
    "recall",
    "reciprocal_rank",
    "score_ndcg",
    "score_recall",
    "score_reciprocal_rank",
    "spearman",
    "top_k_recall",
]
