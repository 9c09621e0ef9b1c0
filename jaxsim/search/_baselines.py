"""Baselines of annCUR: fixed anchor items, item CUR, and the oracle.

Both baselines need scores of items with items: a cross-encoder that takes an item as a query. They are
indices like annCUR's, so that `anncur` searches them and charges them equally, anchors included.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._copies import copied
from jaxsim.numerics.types import Array, Center
from jaxsim.search._cur import CurIndex, cur_index, global_mean
from jaxsim.search._matrices import distinct, matrix


def fixed_items_index(item_scores: Array, anchor_items: Array) -> CurIndex:
    """FIXITEM baseline: items and queries are embedded by their scores with fixed anchor items.

        s_hat(q, i) = sum_a f(q, a) f(i, a)

    Args:
      item_scores: G, [n, k_f], scores of every item with the anchor items.
      anchor_items: int [k_f], distinct.

    Returns: `CurIndex` without a factorization; `anncur` charges its k_f anchor calls.
    Source: Yadav et al. 2022 (2210.12579), the baseline fixed_anc_ent.
    """
    scores = matrix("item_scores", item_scores, "one row per item")
    anchor_items = distinct("anchor_items", anchor_items, len(scores))
    checks.shaped("item_scores", scores, (None, len(anchor_items)), "one per anchor item")
    count, anchors = scores.shape
    dtype = jax.dtypes.canonicalize_dtype(np.promote_types(scores.dtype, np.float32))
    return CurIndex(
        copied(scores, dtype),
        jnp.asarray(anchor_items, jnp.int32),
        jnp.zeros(count, dtype),
        np.eye(anchors),
        jnp.ones(anchors, dtype),
        jnp.asarray(anchors, jnp.int32),
    )


def item_cur_index(
    item_scores: Array,
    anchor_items: Array,
    *,
    rtol: float | None = None,
    ridge: float = 0.0,
    center: Center | None = global_mean,
) -> CurIndex:
    """ITEMCUR baseline: annCUR's index with fixed items in place of anchor queries.

    Args:
      item_scores: G, [n, k_f], scores of every item with the fixed items.
      anchor_items: I, int [k_i], what test queries are scored with.
      rtol, ridge, center: as in `cur_index`.

    Returns: `CurIndex`.
    Source: Yadav et al. 2022 (2210.12579), the baseline fixed_anc_ent_cur.
    """
    scores = matrix("item_scores", item_scores, "one row per item")
    return cur_index(scores.T, anchor_items, rtol=rtol, ridge=ridge, center=center)


def oracle_scores(
    scores: Array, anchor_queries: Array, anchor_items: Array, *, rtol: float = 1e-10
) -> np.ndarray:
    """CUR oracle: the best approximation from these columns and rows, C (C^+ M R^+) R.

    It looks at all scores: an upper bound and a diagnosis, not a method.

    Args:
      scores: M, [m, n], all exact scores.
      anchor_queries: int [k_q], rows of M.
      anchor_items: int [k_i], columns of M.
      rtol: relative cutoff of singular values.

    Returns: numpy float64 [m, n].
    Source: Yadav et al. 2022 (2210.12579), cur_oracle of the released code.
    """
    scores = matrix("scores", scores, "all scores").astype(np.float64)
    anchor_queries = distinct("anchor_queries", anchor_queries, len(scores))
    anchor_items = distinct("anchor_items", anchor_items, scores.shape[1])
    checks.not_negative("rtol", rtol)
    columns, rows = scores[:, anchor_items], scores[anchor_queries]
    middle = np.linalg.pinv(columns, rcond=rtol) @ scores @ np.linalg.pinv(rows, rcond=rtol)
    return columns @ middle @ rows
