"""Nearest-neighbour search: exact over embeddings, or with a limited number of calls to an expensive scorer."""

from jaxsim.search.anchors import deim, kmeans, leverage, pivoted_qr, uniform
from jaxsim.search.baselines import fixed_items_index, item_cur_index, oracle_scores
from jaxsim.search.bases import RowBasis, factor_basis, load_basis, row_basis, save_basis
from jaxsim.search.brute_force import approximate, exact
from jaxsim.search.budgeted import adaptive, anncur
from jaxsim.search.corpus import encode_corpus
from jaxsim.search.cur import (
    CurIndex,
    add_items,
    cur_index,
    cur_scores,
    global_mean,
    item_matrix,
    item_means,
    load_index,
    query_vectors,
    save_index,
)
from jaxsim.search.factors import Factors, drawn_entries, factor_queries, factorise
from jaxsim.search.negatives import (
    Candidates,
    Mined,
    cap,
    margin,
    mine_negatives,
    near_duplicates,
    paraphrases,
    ranks,
    relative_margin,
    same_threshold,
    veto,
)
from jaxsim.search.quantise import (
    Quantised,
    coarse_to_fine,
    decoded,
    encoded,
    fit_binary,
    fit_int8,
    load_quantised,
    quantised,
    save_quantised,
)
from jaxsim.search.regression import row_regression
from jaxsim.search.rounds import Found, Scored, ScorerError, ask_and_tell
from jaxsim.search.scorers import anchor_scores, scorer, similarity_scorer
from jaxsim.search.second_stage import rerank
from jaxsim.search.tuning import CurSettings, best_settings, cur_settings, tune_anncur

__all__ = [
    "Candidates",
    "CurIndex",
    "CurSettings",
    "Factors",
    "Found",
    "Mined",
    "Quantised",
    "RowBasis",
    "Scored",
    "ScorerError",
    "adaptive",
    "add_items",
    "anchor_scores",
    "anncur",
    "approximate",
    "ask_and_tell",
    "best_settings",
    "cap",
    "coarse_to_fine",
    "cur_index",
    "cur_scores",
    "cur_settings",
    "decoded",
    "deim",
    "drawn_entries",
    "encode_corpus",
    "encoded",
    "exact",
    "factor_basis",
    "factor_queries",
    "factorise",
    "fit_binary",
    "fit_int8",
    "fixed_items_index",
    "global_mean",
    "item_cur_index",
    "item_matrix",
    "item_means",
    "kmeans",
    "leverage",
    "load_basis",
    "load_index",
    "load_quantised",
    "margin",
    "mine_negatives",
    "near_duplicates",
    "oracle_scores",
    "paraphrases",
    "pivoted_qr",
    "quantised",
    "query_vectors",
    "ranks",
    "relative_margin",
    "rerank",
    "row_basis",
    "row_regression",
    "same_threshold",
    "save_basis",
    "save_index",
    "save_quantised",
    "scorer",
    "similarity_scorer",
    "tune_anncur",
    "uniform",
    "veto",
]
