"""Neighbours under any similarity: exact from embeddings, and under a budget from a dear scorer."""

from jaxsim.search.anchors import pivoted_qr, uniform
from jaxsim.search.brute_force import exact
from jaxsim.search.cur import (
    CurIndex,
    cur_index,
    cur_scores,
    global_mean,
    item_means,
    load_index,
    save_index,
)
from jaxsim.search.rounds import Found, Scored, ScorerError, anncur, ask_and_tell
from jaxsim.search.scorers import anchor_scores, scorer
from jaxsim.search.second_stage import rerank
from jaxsim.search.tuning import CurSettings, tune_anncur

__all__ = [
    "CurIndex",
    "CurSettings",
    "Found",
    "Scored",
    "ScorerError",
    "anchor_scores",
    "anncur",
    "ask_and_tell",
    "cur_index",
    "cur_scores",
    "exact",
    "global_mean",
    "item_means",
    "load_index",
    "pivoted_qr",
    "rerank",
    "save_index",
    "scorer",
    "tune_anncur",
    "uniform",
]
