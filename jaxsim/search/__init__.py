"""Nearest-neighbor search: exact over embeddings, or with a limited number of calls to an expensive scorer."""

import warnings as _warnings

from jaxsim.search import anchors as anchors, mining as mining
from jaxsim.search._ask_and_tell import (
    Found as Found,
    Scored as Scored,
    ScorerError as ScorerError,
    ask_and_tell as ask_and_tell,
)
from jaxsim.search._axn import (
    Factors as Factors,
    drawn_entries as drawn_entries,
    factor_queries as factor_queries,
    factorize as factorize,
)
from jaxsim.search._baselines import (
    fixed_items_index as fixed_items_index,
    item_cur_index as item_cur_index,
    oracle_scores as oracle_scores,
)
from jaxsim.search._bases import (
    RowBasis as RowBasis,
    factor_basis as factor_basis,
    load_basis as load_basis,
    row_basis as row_basis,
    save_basis as save_basis,
)
from jaxsim.search._brute_force import approximate as approximate, exact as exact
from jaxsim.search._budgeted import adaptive as adaptive, anncur as anncur
from jaxsim.search._corpus import (
    encode_corpus as encode_corpus,
    encode_images as encode_images,
)
from jaxsim.search._cur import (
    CurIndex as CurIndex,
    add_items as add_items,
    cur_index as cur_index,
    cur_scores as cur_scores,
    global_mean as global_mean,
    item_matrix as item_matrix,
    item_means as item_means,
    load_index as load_index,
    query_vectors as query_vectors,
    save_index as save_index,
)
from jaxsim.search._keywords import (
    classify as classify,
    keyword_centroids as keyword_centroids,
    label_vectors as label_vectors,
    local_outlier_factor as local_outlier_factor,
    select_candidates as select_candidates,
    without_outliers as without_outliers,
)
from jaxsim.search._mining import (
    Candidates as Candidates,
    Mined as Mined,
    candidate_scores as candidate_scores,
    consistency_filter as consistency_filter,
    mine_negatives as mine_negatives,
    paraphrases as paraphrases,
)
from jaxsim.search._near_duplicates import near_duplicates as near_duplicates
from jaxsim.search._quantize import (
    Quantized as Quantized,
    coarse_to_fine as coarse_to_fine,
    decoded as decoded,
    encoded as encoded,
    fit_binary as fit_binary,
    fit_int8 as fit_int8,
    load_quantized as load_quantized,
    quantized as quantized,
    save_quantized as save_quantized,
)
from jaxsim.search._regression import row_regression as row_regression
from jaxsim.search._score_normalization import (
    score_normalize as score_normalize,
    stretch as stretch,
)
from jaxsim.search._scorers import (
    anchor_scores as anchor_scores,
    scorer as scorer,
    similarity_scorer as similarity_scorer,
)
from jaxsim.search._second_stage import rerank as rerank
from jaxsim.search._sparse import (
    SparseIndex as SparseIndex,
    sparse_exact as sparse_exact,
    sparse_index as sparse_index,
)
from jaxsim.search._sparse_files import (
    encode_sparse_corpus as encode_sparse_corpus,
    load_sparse_index as load_sparse_index,
    save_sparse_index as save_sparse_index,
)
from jaxsim.search._tokens import (
    TokenIndex as TokenIndex,
    encode_tokens as encode_tokens,
    exact_tokens as exact_tokens,
    token_exact as token_exact,
    token_index as token_index,
)
from jaxsim.search._tuning import (
    CurSettings as CurSettings,
    best_settings as best_settings,
    cur_settings as cur_settings,
    tune_anncur as tune_anncur,
)
from jaxsim.search._within_radius import within_radius as within_radius

# Names that reports of faults still call: they warn, and go with the reports.
_MOVED = {"quantised": quantized, "relative_margin": mining.relative_margin}


def __getattr__(name):
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = "quantized" if name == "quantised" else f"mining.{name}"
    _warnings.warn(f"search.{name} is search.{place} now", DeprecationWarning, stacklevel=2)
    return _MOVED[name]
