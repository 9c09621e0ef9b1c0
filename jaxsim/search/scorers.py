"""A jitted cross-encoder as a host scorer of flat pairs, and the block of scores of an index.

scorer(query_rows int [p], item_ids int [p]) -> float32 [p]
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsim.numerics import checks
from jaxsim.numerics.buckets import bucket_of
from jaxsim.similarity import paired
from jaxsim.storage import fill


def scorer(score, params, queries, items, *, batch=1024, query_buckets=None, item_buckets=None):
    """A scorer of (query, item) pairs by number, from a function of tokenised pairs.

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
    texts, lengths, buckets = [], [], []
    for name, side, given in (("queries", queries, query_buckets), ("items", items, item_buckets)):
        if checks.rows_of(name, side) == 0:
            raise ValueError(f"{name} must not be empty, got 0 rows")
        where = np.asarray(side["where"])
        size = where.shape[1]
        buckets.append(tuple(given or sorted({-(-size * part // 4) for part in (1, 2, 3, 4)})))
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
        return score(params, *pairs)

    # A bucket's texts are cut once, not in every call.
    cut = [
        [jax.tree.map(lambda a, size=size: a[:, :size], side) for size in sides]
        for side, sides in zip(texts, buckets, strict=True)
    ]

    def scored(query_rows, item_ids):
        pairs = [np.asarray(query_rows, np.int32), np.asarray(item_ids, np.int32)]
        if pairs[0].shape != pairs[1].shape or pairs[0].ndim != 1:
            raise ValueError(
                f"query_rows and item_ids must be [pairs] each, got {pairs[0].shape}, {pairs[1].shape}"
            )
        for name, side, size in zip(("query_rows", "item_ids"), pairs, sizes, strict=True):
            if len(side) and (side.min() < 0 or side.max() >= size):
                raise ValueError(
                    f"{name} must be from 0 to {size - 1}, got {side.min()} to {side.max()}"
                )
        result = np.empty(len(pairs[0]), np.float32)
        kinds = lengths[0][pairs[0]] * len(buckets[1]) + lengths[1][pairs[1]]
        running = []
        for kind in np.unique(kinds):
            query_bucket, item_bucket = divmod(int(kind), len(buckets[1]))
            members = np.flatnonzero(kinds == kind)
            for start in range(0, len(members), batch):
                some = members[start : start + batch]
                padded = [
                    jax.device_put(np.pad(side[some], (0, batch - len(some))), spread)
                    for side in pairs
                ]
                values = scores_of(params, cut[0][query_bucket], cut[1][item_bucket], *padded)
                running.append((some, values))
                if len(running) > 2:  # a bounded run-ahead: devices stay busy, memory stays flat
                    _fetch(result, *running.pop(0))
        for some, values in running:
            _fetch(result, some, values)
        return result

    return scored


def similarity_scorer(similarity, queries, items, *, batch=4096):
    """A scorer of pairs by any similarity of embeddings, such as `max_sim` of token vectors.

    Args:
      similarity: (x [m, ...], y [n, ...]) -> [m, n].
      queries, items: what it takes, with leading axes m and n. Where both are {"vectors" [n, length,
        dim], "where" [n, length]}, pairs are sorted by length as in `scorer`.
      batch: pairs per call.

    Returns: (query_rows, item_ids) -> numpy float32 [p].
    """
    of_pairs = paired(similarity)
    if isinstance(items, dict) and "where" in items:
        return scorer(lambda _, x, y: of_pairs(x, y), (), queries, items, batch=batch)
    queries, items = jax.tree.map(jnp.asarray, (queries, items))

    @jax.jit
    def scores_of(queries, items, rows, ids):
        return of_pairs(
            *(jax.tree.map(lambda a, i=i: a[i], t) for t, i in ((queries, rows), (items, ids)))
        )

    def scored(query_rows, item_ids):
        result = np.empty(len(query_rows), np.float32)
        for start in range(0, len(result), batch):
            some = slice(start, start + batch)
            pairs = [np.asarray(a[some], np.int32) for a in (query_rows, item_ids)]
            filled = [np.pad(a, (0, batch - len(a))) for a in pairs]
            result[some] = np.asarray(scores_of(queries, items, *filled))[: len(pairs[0])]
        return result

    return scored


def anchor_scores(
    scorer, num_queries, num_items, *, path=None, rows=8, fingerprint="", label="", mmap=False
):
    """The scores of all pairs [m, n]: what an index is built from, and its only cost in calls.

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

    def compute(query_rows, item_ids):
        pairs = np.repeat(query_rows, len(item_ids)), np.tile(item_ids, len(query_rows))
        scores = np.asarray(scorer(*pairs))
        checks.shaped("scorer(query_rows, item_ids)", scores, pairs[0].shape, "one score per pair")
        return scores.reshape(len(query_rows), len(item_ids))

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


def _last(where):
    """Lengths [rows]: one past the last real token, at least 1."""
    positions = np.arange(1, where.shape[1] + 1)
    return np.maximum((where * positions).max(axis=1), 1)


def _fetch(result, some, values):
    result[some] = np.asarray(jnp.ravel(values))[: len(some)]
