"""CUR factorization of a score matrix: a few exact scores of a query give estimates of all.

    R [k_q, n]       scores of the anchor queries with all items, paid for once
    I [k_i]          anchor items
    E = R[:, I]^+ R  [k_i, n], latent item embeddings: the index, stored as its transpose [n, k_i]
    c [k_i]          a new query's exact scores with the anchor items
    c E [n]          estimates of its scores with all items

Put another way: a minimum-norm regression of the query's row on the anchor queries' rows, fitted on
the anchor items. The pseudo-inverse is taken once, in float64 on the host; what it gives is arrays. The other
preference of the paper, a new item's scores with all queries from its scores with the anchor queries, is
`cur_index` of the transposed matrix.
"""

import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._copies import copied
from jaxsim.numerics.types import Array, Center
from jaxsim.search._files import load_tuple, save_tuple
from jaxsim.search._matrices import distinct, matrix, offsets_of
from jaxsim.similarity import dot

VERSION = 2  # of the file; another one is refused
AMPLIFIED = 1e4  # times rounding, by the inverse: what float32 products are used for
ENTRIES = 2**22  # scores centered at once: on busy cores every product waits (measured)


SHAPES = {  # of the arrays in the file: n items, k anchor items, q anchor queries, s singular values
    "item_embeddings": ("float", "nk"),
    "anchor_items": ("int", "k"),
    "offsets": ("float", "n"),
    "inverse": ("float", "kq"),
    "singular_values": ("float", "s"),
    "rank": ("int", ""),
}


class CurIndex(NamedTuple):
    """Index of annCUR: an immutable pytree."""

    item_embeddings: jax.Array  # [n, k_i]
    anchor_items: jax.Array  # int32 [k_i]
    offsets: jax.Array  # [n], what `center` took away
    inverse: np.ndarray  # float64 [k_i, k_q], R[:, I]^+ : what new items are embedded by
    singular_values: jax.Array  # [min(k_q, k_i)] of the centered R[:, I], for diagnosis
    rank: jax.Array  # int32, how many of them were kept


def global_mean(anchor_scores: Array) -> np.ndarray:
    """Global mean as the offset of all items. [k_q, n] -> [n]."""
    return np.full(anchor_scores.shape[1], np.mean(anchor_scores, dtype=np.float64))


def item_means(anchor_scores: Array) -> np.ndarray:
    """Item means as offsets: each item's mean score over the anchor queries. [k_q, n] -> [n]."""
    return np.mean(anchor_scores, axis=0, dtype=np.float64)


def cur_index(
    anchor_scores: Array,
    anchor_items: Array,
    *,
    rtol: float | None = None,
    ridge: float = 0.0,
    center: Center | None = global_mean,
) -> CurIndex:
    """Builds the index of annCUR from scores of anchor queries with all items.

    With singular values s of the centered R[:, I], those of s <= rtol * s_1 are dropped and the others
    inverted as s / (s^2 + (ridge * s_1)^2). Where k_i is close to k_q, and much more than elsewhere, the
    plain inverse (rtol=None, ridge=0) fails badly: `tune_anncur` chooses all three.

    Args:
      anchor_scores: R, [k_q, n].
      anchor_items: I, int [k_i], distinct.
      rtol: relative cutoff of singular values, >= 0; 1 or more drops all. None is the numerical rank,
        max(k_q, k_i) * eps of the scores' dtype.
      ridge: relative ridge, >= 0: scale-free, unlike an absolute one.
      center: function [k_q, n] -> offsets [n] subtracted before and added back after: `global_mean`,
        `item_means`, or None. Cross-encoder scores often are one constant and a little ranking.

    Returns: `CurIndex`, in the scores' dtype, float32 at least.
    Raises: ValueError for shapes that do not fit, repeated or unknown items, scores that are not finite or
    a million times as large as the others.
    Source: Yadav et al. 2022 (2210.12579), section 3; why a cutoff is needed: "Accuracy and Stability
    of CUR decompositions with Oversampling" (2405.06375).
    """
    scores = matrix("anchor_scores", anchor_scores, "one row per anchor query")
    dtype = jax.dtypes.canonicalize_dtype(np.promote_types(scores.dtype, np.float32))
    items = distinct("anchor_items", anchor_items, scores.shape[1])
    checks.not_negative("ridge", ridge)
    checks.finite("ridge", ridge)
    if rtol is None:
        rtol = max(scores.shape[0], len(items)) * np.finfo(dtype).eps
    checks.not_negative("rtol", rtol)

    offsets = offsets_of(center, scores)
    left, s, right = np.linalg.svd(
        scores[:, items].astype(np.float64) - offsets[items], full_matrices=False
    )
    retained = (s > rtol * s[0]) & (s > 0)
    filtered = np.where(retained, s / np.where(retained, s**2 + (ridge * s[0]) ** 2, 1), 0)
    inverse = (right.T * filtered) @ left.T
    return CurIndex(
        copied(_embedded(inverse, s[0], scores, offsets, dtype)),
        jnp.asarray(items, jnp.int32),
        jnp.asarray(offsets, dtype),
        inverse,
        jnp.asarray(s, dtype),
        jnp.asarray(retained.sum(), jnp.int32),
    )


def add_items(index: CurIndex, anchor_scores: Array, *, offsets: Array | None = None) -> CurIndex:
    """Adds items to an index of annCUR, for their anchor scores alone.

    The anchor items stay. With the same offsets the result is that of `cur_index` on all items.

    Args:
      index: `CurIndex`.
      anchor_scores: [k_q, new], the same anchor queries' scores with the new items.
      offsets: [new]; None takes the mean offset of the items that are there, which is the global mean
        where that was the center.

    Returns: `CurIndex` of n + new items.
    Raises: ValueError for shapes that do not fit, scores that are not finite.
    """
    a_cur_index("index", index)
    scores = matrix("anchor_scores", anchor_scores, "one row per anchor query")
    rows = index.inverse.shape[1]
    checks.shaped("anchor_scores", scores, (rows, None), "one row per anchor query")
    if offsets is None:
        offsets = np.full(scores.shape[1], np.mean(index.offsets, dtype=np.float64))
    offsets = checks.host_reals("offsets", offsets)
    checks.shaped("offsets", offsets, scores.shape[1:], "one per new item")
    checks.finite("offsets", offsets)
    dtype = index.item_embeddings.dtype
    largest = float(index.singular_values[0])
    new = _embedded(index.inverse, largest, scores, np.asarray(offsets, np.float64), dtype)
    return index._replace(
        item_embeddings=jnp.concatenate([jnp.asarray(index.item_embeddings), new]),
        offsets=jnp.concatenate([jnp.asarray(index.offsets), jnp.asarray(offsets, dtype)]),
    )


def cur_scores(index: CurIndex, exact_scores: Array) -> jax.Array:
    """CUR estimates of a query's scores with all items, from its exact scores with the anchor items.

    Args:
      index: `CurIndex`.
      exact_scores: c, [..., k_i], in the order of index.anchor_items.

    Returns: [..., n].
    """
    a_cur_index("index", index)
    exact_scores = checks.reals("exact_scores", exact_scores)
    checks.shaped(
        "exact_scores",
        exact_scores,
        (*exact_scores.shape[:-1], len(index.anchor_items)),
        "one per anchor item",
    )
    centered = exact_scores - index.offsets[index.anchor_items]
    rows = centered.reshape(-1, centered.shape[-1])
    estimates = offset_dot(rows, (index.item_embeddings, index.offsets))
    return estimates.reshape(*centered.shape[:-1], len(index.offsets))


def offset_dot(x: Array, items: tuple[Array, Array]) -> jax.Array:
    """Dot product plus an offset per item: the similarity of centered anchor scores and an index's items.

    Args:
      x: [m, k_i].
      items: (item_embeddings [n, k_i], offsets [n]).

    Returns: [m, n].
    """
    embeddings, offsets = items
    # Not fused: fused with an addition, a product with one row runs 15 times as long on CPU (measured).
    return jax.lax.optimization_barrier(dot(x, jnp.asarray(embeddings))) + offsets


def item_matrix(index: CurIndex) -> np.ndarray:
    """Item vectors [n, k_i + 1] for any inner-product search, such as FAISS's flat index.

    A query's vector is its centered anchor scores and a 1: see `query_vectors`. float32, C order.
    """
    parts = np.asarray(index.item_embeddings), np.asarray(index.offsets)[:, None]
    return np.ascontiguousarray(np.concatenate(parts, axis=1), np.float32)


def query_vectors(index: CurIndex, exact_scores: Array) -> np.ndarray:
    """Query vectors for `item_matrix`: the inner products of both are `cur_scores`.

    Args:
      index: `CurIndex`.
      exact_scores: c, [m, k_i].

    Returns: numpy float32 [m, k_i + 1].
    """
    a_cur_index("index", index)
    exact_scores = checks.host_reals("exact_scores", exact_scores)
    wanted = (None, len(index.anchor_items))
    checks.shaped("exact_scores", exact_scores, wanted, "one per anchor item")
    checks.finite_rows("exact_scores", exact_scores)
    centered = exact_scores - np.asarray(index.offsets[np.asarray(index.anchor_items)])
    return np.pad(centered, ((0, 0), (0, 1)), constant_values=1).astype(np.float32)


def save_index(path: str | os.PathLike, index: CurIndex) -> None:
    """Saves an index to one checksummed file, written atomically."""
    save_tuple(path, index, CurIndex, SHAPES, kind="cur index", version=VERSION, check=_misfit)


def load_index(path: str | os.PathLike, *, mmap: bool = False) -> CurIndex:
    """Loads what `save_index` wrote; refuses by name a file that is damaged, of another kind or version.

    Args:
      path: the file.
      mmap: leave the items in the file, mapped; `anncur` then streams them.

    Returns: `CurIndex`; float64 becomes float32 outside jax_enable_x64, but for what stays in the file.
    """
    return load_tuple(
        path,
        CurIndex,
        SHAPES,
        kind="cur index",
        version=VERSION,
        check=_misfit,
        mmap=mmap,
        host=("inverse",),
    )


def _misfit(arrays, lengths):
    """What is wrong with the numbers of a stored index; None where nothing is."""
    items, rank = arrays["anchor_items"], arrays["rank"]
    if lengths["s"] != min(lengths["k"], lengths["q"]):
        return f"singular_values must be [{min(lengths['k'], lengths['q'])}], got [{lengths['s']}]"
    if len(items) and (items.min() < 0 or items.max() >= lengths["n"]):
        return (
            f"anchor_items must be from 0 to {lengths['n'] - 1}, got {items.min()} to {items.max()}"
        )
    if not 0 <= rank <= lengths["s"]:
        return f"rank must be from 0 to {lengths['s']}, got {rank}"
    return None


def _embedded(inverse, largest, scores, offsets, dtype):
    """The items' embeddings [n, k_i] from their anchor scores [k_q, n], a block at a time.

    In float32 where scores are and the inverse amplifies rounding little: estimates then differ from float64's by
    1e-5 at most, a thousandth of what they are off the scores (`python -m benchmarks.search --work precision`).
    """
    embeddings = np.empty((scores.shape[1], len(inverse)), dtype)
    precision = np.promote_types(scores.dtype, np.float32)
    if largest * np.linalg.norm(inverse) > AMPLIFIED:
        precision = np.float64
    inverse, offsets = inverse.astype(precision), offsets.astype(precision)
    step = min(max(ENTRIES // len(scores), 1), len(embeddings))
    centered = np.empty((len(scores), step), precision)
    for start in range(0, len(embeddings), step):
        block = slice(start, start + step)
        part = scores[:, block].astype(precision, copy=False)
        if offsets[block].any():
            part = np.subtract(part, offsets[block], out=centered[:, : part.shape[1]])
        # The product is written as it is stored: to transpose it takes a third of the time (measured).
        embeddings[block] = part.T @ inverse.T
    return embeddings


def a_cur_index(name: str, index: Any) -> None:
    """Checks for a `CurIndex`."""
    if not isinstance(index, CurIndex):
        raise ValueError(
            f"{name} must be a `CurIndex`, as search.cur_index gives it, got {checks.shown(index)}"
        )
