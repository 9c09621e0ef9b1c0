"""CUR factorisation of a score matrix: a few exact scores of a query give estimates of all.

    R [k_q, n]       scores of the anchor queries with all items, paid for once
    I [k_i]          anchor items
    E = R[:, I]^+ R  [k_i, n], latent item embeddings: the index
    c [k_i]          a new query's exact scores with the anchor items
    c E [n]          estimates of its scores with all items

Put another way: a minimum-norm regression of the query's row on the anchor queries' rows, fitted on
the anchor items. The factorisation runs once, in float64 on the host; what it gives is arrays.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.similarity import dot
from jaxsim.storage import load_arrays, save_arrays

VERSION = 1  # of the file; another one is refused


class CurIndex(NamedTuple):
    """What annCUR needs to answer queries: an immutable pytree."""

    item_embeddings: jax.Array  # [k_i, n]
    anchor_items: jax.Array  # int32 [k_i]
    offsets: jax.Array  # [n], what `center` took away
    singular_values: jax.Array  # [min(k_q, k_i)] of the centred R[:, I], for diagnosis
    rank: jax.Array  # int32, how many of them were kept


def global_mean(anchor_scores):
    """One offset for all items: the mean of all scores. [k_q, n] -> [n]."""
    return np.full(anchor_scores.shape[1], np.mean(anchor_scores, dtype=np.float64))


def item_means(anchor_scores):
    """An item's mean score over the anchor queries, its popularity. [k_q, n] -> [n]."""
    return np.mean(anchor_scores, axis=0, dtype=np.float64)


def cur_index(anchor_scores, anchor_items, *, rtol=None, ridge=0.0, center=global_mean):
    """The index of annCUR.

    With singular values s of the centred R[:, I], those of s <= rtol * s_1 are dropped and the others
    inverted as s / (s^2 + (ridge * s_1)^2). Where k_i is close to k_q, and nowhere else so much, the
    plain inverse (rtol=None, ridge=0) is ruinous: `tune_anncur` chooses all three.

    Args:
      anchor_scores: R, [k_q, n].
      anchor_items: I, int [k_i], distinct.
      rtol: relative cutoff of singular values, >= 0; 1 or more drops all. None is the numerical rank,
        max(k_q, k_i) * eps of the scores' dtype.
      ridge: relative ridge, >= 0: scale-free, unlike an absolute one.
      center: function [k_q, n] -> offsets [n] subtracted before and added back after: `global_mean`,
        `item_means`, or None. Cross-encoder scores often are one constant and a little ranking.

    Returns: `CurIndex`, in the scores' dtype, float32 at least.
    Raises: ValueError for shapes that do not fit, repeated or unknown items, scores that are not finite.
    Source: Yadav et al. 2022 (2210.12579), section 3; why a cutoff is needed: "Accuracy and Stability
    of CUR decompositions with Oversampling" (2405.06375).
    """
    scores = np.asarray(anchor_scores)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"anchor_scores must be [k_q, n], not empty, got shape {scores.shape}")
    dtype = jax.dtypes.canonicalize_dtype(np.promote_types(scores.dtype, np.float32))
    scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError(f"anchor_scores must be finite, got {_count_bad(scores)} that are not")
    items = _distinct(anchor_items, scores.shape[1])
    checks.not_negative("ridge", ridge)
    if rtol is None:
        rtol = max(scores.shape[0], len(items)) * np.finfo(dtype).eps
    checks.not_negative("rtol", rtol)

    offsets = np.zeros(scores.shape[1]) if center is None else np.asarray(center(scores))
    checks.shaped("center(anchor_scores)", offsets, scores.shape[1:], "one offset per item")
    centred = scores - offsets
    left, s, right = np.linalg.svd(centred[:, items], full_matrices=False)
    kept = (s > rtol * s[0]) & (s > 0)
    inverse = np.where(kept, s / np.where(kept, s**2 + (ridge * s[0]) ** 2, 1), 0)
    embeddings = (right.T * inverse) @ (left.T @ centred)
    return CurIndex(
        jnp.asarray(embeddings, dtype),
        jnp.asarray(items, jnp.int32),
        jnp.asarray(offsets, dtype),
        jnp.asarray(s, dtype),
        jnp.asarray(kept.sum(), jnp.int32),
    )


def cur_scores(index, exact_scores):
    """Estimates of a query's scores with all items, from its exact scores with the anchor items.

    Args:
      index: `CurIndex`.
      exact_scores: c, [..., k_i], in the order of index.anchor_items.

    Returns: [..., n].
    """
    exact_scores = jnp.asarray(exact_scores)
    checks.shaped(
        "exact_scores",
        exact_scores,
        (*exact_scores.shape[:-1], len(index.anchor_items)),
        "one per anchor item",
    )
    centred = exact_scores - index.offsets[index.anchor_items]
    rows = centred.reshape(-1, centred.shape[-1])
    estimates = dot(rows, index.item_embeddings.T) + index.offsets
    return estimates.reshape(*centred.shape[:-1], -1)


def save_index(path, index):
    """Writes an index to one checksummed file, aside and then renamed."""
    arrays = {name: np.asarray(array) for name, array in index._asdict().items()}
    save_arrays(path, arrays, kind="cur index", version=VERSION)


def load_index(path):
    """Reads what `save_index` wrote; a damaged file, or one of another kind or version, is refused by name."""
    arrays, _ = load_arrays(path, kind="cur index", version=VERSION)
    return CurIndex(**{name: jnp.asarray(array) for name, array in arrays.items()})


def _distinct(anchor_items, count):
    items = np.asarray(anchor_items)
    if items.ndim != 1 or len(items) == 0 or not np.issubdtype(items.dtype, np.integer):
        raise ValueError(f"anchor_items must be int [k_i], got {items.dtype} {items.shape}")
    if items.min() < 0 or items.max() >= count:
        raise ValueError(
            f"anchor_items must be from 0 to {count - 1}, got {items.min()} to {items.max()}"
        )
    if len(np.unique(items)) < len(items):
        raise ValueError(
            f"anchor_items must be distinct, got {len(items) - len(np.unique(items))} repeated"
        )
    return items


def _count_bad(scores):
    return int((~np.isfinite(scores)).sum())
