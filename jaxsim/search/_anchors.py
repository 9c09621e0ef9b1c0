"""Anchor items for CUR, chosen from scores that exist already: no further calls."""

import jax
import numpy as np

from jaxsim import evaluation
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Center, PRNGKey
from jaxsim.search._cur import global_mean
from jaxsim.search._matrices import matrix, offsets_of
from jaxsim.similarity import squared_euclidean


def uniform(key: PRNGKey, items: int, k: int) -> np.ndarray:
    """Uniform sampling: k of `items` numbers without replacement, sorted.

    Args:
      key: a jax.random key.
      items: how many there are.
      k: how many to take, at most `items`.

    Returns: int32 [k].
    Source: Yadav et al. 2022 (2210.12579), the paper's anchor items (and anchor queries).
    """
    checks.whole("items", items)
    checks.at_most("k", k, items, "the number of items")
    checks.key("key", key)
    return np.sort(np.asarray(jax.random.choice(key, items, (k,), replace=False), np.int32))


def pivoted_qr(anchor_scores: Array, k: int, *, center: Center | None = global_mean) -> np.ndarray:
    """Pivoted QR: the k items whose columns are taken first, each the farthest from those before it.

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

    scores = _centered(anchor_scores, k, center)
    left, chosen = np.arange(scores.shape[1]), []
    while len(chosen) < k:
        _, pivots = qr(scores[:, left], mode="r", pivoting=True)
        pivots = pivots[: min(scores.shape[0], k - len(chosen))]
        chosen.extend(left[pivots])
        left = np.delete(left, pivots)
    return np.asarray(chosen, np.int32)


def leverage(
    key: PRNGKey,
    anchor_scores: Array,
    k: int,
    *,
    rank: int | None = None,
    center: Center | None = global_mean,
) -> np.ndarray:
    """Leverage-score sampling: k items drawn without replacement, in proportion to their leverage.

    An item's leverage is its share in the leading right singular vectors: sum_r V_jr^2.

    Args:
      key: a jax.random key.
      anchor_scores: [k_q, n].
      k: how many, at most n.
      rank: how many singular vectors, all where there are fewer; None takes those that hold 99 % of
        the centered squares.
      center: as in `cur_index`.

    Returns: int32 [k], sorted. Items of leverage 0 are drawn when no others are left.
    Source: Mahoney and Drineas 2009 (PNAS, 10.1073/pnas.0803205106).
    """
    checks.key("key", key)
    if rank is not None:
        checks.whole("rank", rank)
    scores = _centered(anchor_scores, k, center)
    values, vectors = _right_singular(scores)
    if rank is None:  # scores that are all equal have none
        squares = np.cumsum(values**2)
        rank = int(np.searchsorted(squares, 0.99 * squares[-1]) + 1) if len(squares) else 1
    shares = np.square(vectors[:, :rank]).sum(axis=1)
    logits = np.log(np.maximum(shares, 1e-12 * shares.max() + 1e-300))
    noisy = logits + np.asarray(jax.random.gumbel(key, logits.shape))
    return np.sort(np.argsort(-noisy, kind="stable")[:k].astype(np.int32))


def deim(anchor_scores: Array, k: int, *, center: Center | None = global_mean) -> np.ndarray:
    """DEIM: the items where the leading right singular vectors are hardest to interpolate.

    Beyond the numerical rank the rest is chosen by `pivoted_qr` among the items that are left.

    Args:
      anchor_scores: [k_q, n].
      k: how many, at most n.
      center: as in `cur_index`.

    Returns: int32 [k], in the order of the singular vectors.
    Source: Sorensen and Embree 2016, "A DEIM induced CUR factorization", algorithm 1.
    """
    scores = _centered(anchor_scores, k, center)
    values, vectors = _right_singular(scores)
    rank = min(k, int((values > values[:1] * 1e-6).sum()))
    chosen = []
    for column in range(rank):
        vector, before = vectors[:, column], vectors[:, :column]
        residual = (
            vector - before @ np.linalg.solve(before[chosen], vector[chosen]) if chosen else vector
        )
        chosen.append(int(np.argmax(np.abs(residual))))
    left = np.setdiff1d(np.arange(scores.shape[1]), chosen)
    if k > rank:
        chosen.extend(left[pivoted_qr(scores[:, left], k - rank, center=None)])
    return np.asarray(chosen, np.int32)


def kmeans_items(
    key: PRNGKey,
    anchor_scores: Array,
    k: int,
    *,
    steps: int = 10,
    center: Center | None = global_mean,
) -> np.ndarray:
    """k-means landmarks: the items closest to the centers of k clusters of columns of scores.

    Args:
      key: a jax.random key: of the items that the centers start from.
      anchor_scores: [k_q, n].
      k: how many, at most n.
      steps: of Lloyd's algorithm, from one k-means++ start.
      center: as in `cur_index`.

    Returns: int32 [k], distinct, sorted.
    Source: Lloyd 1982; for Nystroem landmarks Zhang, Tsang and Kwok 2008.
    """
    checks.key("key", key)
    checks.whole("steps", steps)
    columns = _centered(anchor_scores, k, center).T.astype(np.float32)
    centers = evaluation.kmeans(columns, k, key=key, restarts=1, steps=steps).centers
    distances = np.array(squared_euclidean(columns, centers))
    chosen = []
    for cluster in range(k):  # each the nearest item that no cluster before has taken
        chosen.append(int(distances[:, cluster].argmin()))
        distances[chosen[-1]] = np.inf
    return np.sort(np.asarray(chosen, np.int32))


def _centered(anchor_scores, k, center):
    scores = matrix("anchor_scores", anchor_scores, "one row per anchor query").astype(np.float64)
    checks.at_most("k", k, scores.shape[1], "the number of items")
    return scores - offsets_of(center, scores)


def _right_singular(scores):
    """Singular values [r] and right vectors [n, r], from the Gram matrix of the rows: n is large."""
    if scores.shape[0] > scores.shape[1]:
        _, values, right = np.linalg.svd(scores, full_matrices=False)
        return values, right.T
    left, values, _ = np.linalg.svd(scores @ scores.T)
    values = np.sqrt(values)
    retained = values > values[0] * 1e-7
    return values[retained], scores.T @ (left[:, retained] / values[retained])
