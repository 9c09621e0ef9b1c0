"""Scorers of (query, item) pairs from a jitted cross-encoder, and the score matrix of an index.

scorer(query_rows int [p], item_ids int [p]) -> float32 [p]
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsim.numerics import checks
from jaxsim.numerics._buckets import bucket_of
from jaxsim.numerics.types import Array, ArrayTree, Scorer, Similarity
from jaxsim.search._ask_and_tell import score_per_pair
from jaxsim.search._brute_force import sides
from jaxsim.similarity import paired
from jaxsim.storage import fill


def scorer(
    score: Callable,
    params: ArrayTree,
    queries: Mapping[str, Array],
    items: Mapping[str, Array],
    *,
    batch: int = 1024,
    query_buckets: Sequence[int] | None = None,
    item_buckets: Sequence[int] | None = None,
) -> Scorer:
    """Cross-encoder scorer: scores (query, item) pairs by number, from a function of tokenized pairs.

    Pairs are sorted into buckets by the lengths of both texts, so that padding is not paid for, and
    each batch is spread over the local devices. Texts stay on the devices; a call sends numbers.
    There is one compilation per pair of buckets that occurs.

    Args:
      score: (params, queries, candidates) -> [pairs], texts {"tokens", "where"} of equal leading axes.
      params: its parameters.
      queries: {"tokens" int [m, length], "where" bool [m, length]}, tokens first, padding behind.
      items: the same with [n, length].
      batch: pairs per call of `score`; rounded up to a multiple of the devices.
      query_buckets, item_buckets: increasing lengths that texts are cut to; None takes a quarter,
        a half, three quarters and the whole of the padded length.

    Returns: (query_rows, item_ids) -> numpy float32 [p].
    Raises: ValueError for empty texts, or rows outside them.
    """
    checks.whole("batch", batch)
    checks.function("score", score, "(params, queries, candidates) -> [pairs]")
    texts, lengths, buckets = [], [], []
    for name, side, chosen in (("queries", queries, query_buckets), ("items", items, item_buckets)):
        side, where = _texts(name, side)
        size = where.shape[1]
        buckets.append(tuple(chosen or sorted({-(-size * part // 4) for part in (1, 2, 3, 4)})))
        lengths.append(bucket_of(_last(where), buckets[-1]))
        texts.append(side)

    devices = jax.local_devices()
    mesh = Mesh(np.array(devices), ("devices",))
    spread = NamedSharding(mesh, PartitionSpec("devices"))
    everywhere = NamedSharding(mesh, PartitionSpec())
    batch += -batch % len(devices)
    params, texts = jax.device_put((params, texts), everywhere)
    sizes = [len(side) for side in lengths]

    @jax.jit
    def scores_of(params, query, item, rows, ids):
        pairs = [
            jax.tree.map(lambda a, rows=rows: a[rows], side)
            for side, rows in ((query, rows), (item, ids))
        ]
        values = jnp.asarray(score(params, *pairs))
        if values.shape not in ((len(rows),), (len(rows), 1)):
            raise ValueError(
                f"score must return one score per pair, [{len(rows)}], got shape {values.shape}"
            )
        return values

    # A bucket's texts are cut once, not in every call.
    cut = [
        [jax.tree.map(lambda a, size=size: a[:, :size], side) for size in sides]
        for side, sides in zip(texts, buckets, strict=True)
    ]

    def scored(query_rows, item_ids):
        pairs = _pairs(query_rows, item_ids, sizes)
        result = np.empty(len(pairs[0]), np.float32)
        kinds = lengths[0][pairs[0]] * len(buckets[1]) + lengths[1][pairs[1]]
        running = []
        for kind in np.unique(kinds):
            query_bucket, item_bucket = divmod(int(kind), len(buckets[1]))
            members = np.flatnonzero(kinds == kind)
            for start in range(0, len(members), batch):
                members_of_batch = members[start : start + batch]
                padded = [
                    jax.device_put(
                        np.pad(side[members_of_batch], (0, batch - len(members_of_batch))), spread
                    )
                    for side in pairs
                ]
                values = scores_of(params, cut[0][query_bucket], cut[1][item_bucket], *padded)
                running.append((members_of_batch, values))
                if len(running) > 2:  # a bounded run-ahead: devices stay busy, memory stays flat
                    _fetch(result, *running.pop(0))
        for members_of_batch, values in running:
            _fetch(result, members_of_batch, values)
        return result

    return scored


def similarity_scorer(
    similarity: Similarity, queries: ArrayTree, items: ArrayTree, *, batch: int = 4096
) -> Scorer:
    """Scorer of pairs by any similarity of embeddings, such as `max_sim` of token vectors.

    Args:
      similarity: (x [m, ...], y [n, ...]) -> [m, n].
      queries, items: what it takes, with leading axes m and n. Where both are {"vectors" [n, length,
        dim], "where" [n, length]}, pairs are sorted by length as in `scorer`.
      batch: pairs per call.

    Returns: (query_rows, item_ids) -> numpy float32 [p].
    """
    checks.function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    checks.whole("batch", batch)
    of_pairs = paired(similarity)
    if isinstance(items, dict) and "where" in items:
        return scorer(lambda _, x, y: of_pairs(x, y), (), queries, items, batch=batch)
    queries, items, *sizes = sides(queries, items, similarity)

    @jax.jit
    def scores_of(queries, items, rows, ids):
        return of_pairs(
            *(jax.tree.map(lambda a, i=i: a[i], t) for t, i in ((queries, rows), (items, ids)))
        )

    def scored(query_rows, item_ids):
        pairs = _pairs(query_rows, item_ids, sizes)
        result = np.empty(len(pairs[0]), np.float32)
        for start in range(0, len(result), batch):
            chunk = slice(start, start + batch)
            chunk_pairs = [side[chunk] for side in pairs]
            filled = [np.pad(side, (0, batch - len(side))) for side in chunk_pairs]
            result[chunk] = np.asarray(scores_of(queries, items, *filled))[: len(chunk_pairs[0])]
        return result

    return scored


def anchor_scores(
    scorer: Scorer,
    num_queries: int,
    num_items: int,
    *,
    path: str | os.PathLike | None = None,
    rows: int = 8,
    fingerprint: Any = "",
    label: str = "",
    mmap: bool = False,
) -> np.ndarray:
    """Scores all pairs [m, n]: what an index is built from, and its only cost in calls.

    Args:
      scorer: (query_rows int [p], item_ids int [p]) -> float [p].
      num_queries, num_items: m and n.
      path: where the finished matrix goes; its tiles are next to it while it grows, and a killed build
        resumes from them. None keeps it in memory.
      rows: queries per tile.
      fingerprint: of the scorer and the texts; a file of another one is refused.
      label: what the progress bar says.
      mmap: return the matrix mapped from its file, for one that memory should not hold; needs a path.

    Returns: numpy float32 [m, n].
    Raises: ValueError for an empty side, scores that are NaN or of another shape, a damaged or foreign file by
    name, and a path that another process fills; OSError naming the file where the disk is full.
    """
    checks.whole("num_queries", num_queries)
    checks.whole("num_items", num_items)
    checks.whole("rows", rows)
    checks.function("scorer", scorer, "(query_rows int [p], item_ids int [p]) -> float [p]")

    def compute(query_rows, item_ids):
        pairs = np.repeat(query_rows, len(item_ids)), np.tile(item_ids, len(query_rows))
        values = score_per_pair(scorer(*pairs), len(pairs[0]))
        if bad := int(np.isinf(values).sum()):  # NaN is counted row by row where tiles are kept
            raise ValueError(f"the scorer returned infinity for {bad} of {values.size} pairs")
        return values.reshape(len(query_rows), len(item_ids))

    return fill(
        path,
        (num_queries, num_items),
        compute,
        rows=rows,
        fingerprint=fingerprint,
        label=label or "scoring pairs",
        unit="pairs",
        mmap=mmap,
    )


def _texts(name, side):
    """A side {"where" bool [rows, length], ...: [rows, length, ...]}, checked, and its mask on the host."""
    if not isinstance(side, dict) or "where" not in side:
        raise ValueError(
            f'{name} must be {{"tokens": int [rows, length], "where": bool [rows, length]}}, '
            f"got {checks.shown(side)}"
        )
    if checks.rows_of(name, side) == 0:
        raise ValueError(f"{name} must not be empty, got 0 rows")
    where = np.asarray(side["where"])
    checks.shaped(f'{name}["where"]', where, (None, None), "one row per text")
    checks.booleans(f'{name}["where"]', where)
    if "tokens" in side:
        tokens = checks.numbers_of(f'{name}["tokens"]', side["tokens"])
        checks.integers(f'{name}["tokens"]', tokens)
        checks.shaped(f'{name}["tokens"]', tokens, where.shape, f'as {name}["where"]')
        side = {**side, "tokens": tokens}
    return side, where


def _pairs(query_rows, item_ids, sizes):
    """Both as int32 [pairs], within the two sides."""
    pairs = []
    for name, side, size in zip(
        ("query_rows", "item_ids"), (query_rows, item_ids), sizes, strict=True
    ):
        side = checks.one_array(name, side)
        if side.size:
            checks.integers(name, side)
            checks.outside(name, side, size)
        pairs.append(side.astype(np.int32))
    if pairs[0].shape != pairs[1].shape or pairs[0].ndim != 1:
        raise ValueError(
            f"query_rows and item_ids must be [pairs] each, got {pairs[0].shape}, {pairs[1].shape}"
        )
    return pairs


def _last(where):
    """Lengths [rows]: one past the last real token, at least 1."""
    positions = np.arange(1, where.shape[1] + 1)
    return np.maximum((where * positions).max(axis=1), 1)


def _fetch(result, members, values):
    result[members] = np.asarray(jnp.ravel(values))[: len(members)]
