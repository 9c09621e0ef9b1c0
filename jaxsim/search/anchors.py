"""Choosing anchor items for CUR: from scores that are paid for already, at no cost in calls."""

import jax
import numpy as np

from jaxsim.numerics import checks
from jaxsim.search.cur import global_mean


def uniform(key, items, k):
    """k of `items` numbers, each equally likely, without replacement; sorted.

    Args:
      key: a jax.random key.
      items: how many there are.
      k: how many to take, at most `items`.

    Returns: int32 [k].
    Source: Yadav et al. 2022 (2210.12579), the paper's anchor items (and anchor queries).
    """
    checks.at_most("k", k, items, "the number of items")
    return np.sort(np.asarray(jax.random.choice(key, items, (k,), replace=False), np.int32))


def pivoted_qr(anchor_scores, k, *, center=global_mean):
    """The k items whose columns pivoted QR takes first: each is the farthest from those before it.

    Beyond the rank of the matrix (at most k_q pivots mean anything) the QR starts again on the items
    that are left.

    Args:
      anchor_scores: [k_q, n], scores of the anchor queries with all items.
      k: how many, at most n.
      center: as in `cur_index`; the offset would otherwise choose the first pivot.

    Returns: int32 [k], in the order of the pivots.
    Source: Businger and Golub 1965; for CUR as in Sorensen and Embree 2016, section 4.
    """
    from scipy.linalg import qr  # comes with jax; imported here because it takes 0.1 s

    scores = np.asarray(anchor_scores, np.float64)
    checks.at_most("k", k, scores.shape[1], "the number of items")
    if center is not None:
        scores = scores - np.asarray(center(scores))
    left, chosen = np.arange(scores.shape[1]), []
    while len(chosen) < k:
        _, pivots = qr(scores[:, left], mode="r", pivoting=True)
        pivots = pivots[: min(scores.shape[0], k - len(chosen))]
        chosen.extend(left[pivots])
        left = np.delete(left, pivots)
    return np.asarray(chosen, np.int32)
