"""Scores of pairs by number, each pair padded to its own length: what fits together is not cut.

score_pairs(query_rows int [p], item_ids int [p]) -> float32 [p]
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsim.numerics import checks
from jaxsim.numerics._buckets import bucket_of
from jaxsim.pretrained._tokenizer import Tokenizer, padded

AHEAD = 2  # batches that run while the next is made
SHORTEST = 16  # length that a side is padded to


def pair_scorer(
    score: Callable,
    params: object,
    tokenizer: Tokenizer,
    queries: Sequence[str],
    candidates: Sequence[str],
    *,
    batch: int,
) -> Callable:
    """A scorer of (query, candidate) pairs by number; see `CrossEncoderModel.scorer`."""
    checks.whole("batch", batch)
    sides = [
        _Texts(name, tokenizer, texts)
        for name, texts in (("queries", queries), ("candidates", candidates))
    ]
    devices = jax.local_devices()
    mesh = Mesh(np.array(devices), ("devices",))
    spread = NamedSharding(mesh, PartitionSpec("devices"))
    params = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))
    batch += -batch % len(devices)
    edges = _edges(tokenizer.max_length)
    prefix, middle, suffix = tokenizer.around
    specials = len(prefix) + len(middle), len(suffix)

    def score_pairs(query_rows, item_ids):
        rows = [
            side.checked(name, numbers)
            for side, name, numbers in zip(
                sides, ("query_rows", "item_ids"), (query_rows, item_ids), strict=True
            )
        ]
        if len(rows[0]) != len(rows[1]):
            raise ValueError(
                f"query_rows and item_ids must be as many, got {len(rows[0])} and {len(rows[1])}"
            )
        ids = [side.ids(numbers) for side, numbers in zip(sides, rows, strict=True)]
        text_lengths = tokenizer.pair_lengths(*([len(one) for one in side] for side in ids))
        buckets = [
            bucket_of(lengths + special, edges)
            for lengths, special in zip(text_lengths, specials, strict=True)
        ]
        # Pairs of equal buckets side by side: only where two buckets meet is a batch of both.
        order = np.lexsort((buckets[1], buckets[0]))
        result = np.empty(len(order), np.float32)
        running = []
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            size = _size(len(places), batch, len(devices))
            pairs = tokenizer.joined(*([side[place] for place in places] for side in ids))
            texts = [
                _filled(padded(side, edges[bucket[places].max()]), size)
                for side, bucket in zip(pairs, buckets, strict=True)
            ]
            running.append((places, score(params, *jax.device_put(texts, spread))))
            if len(running) > AHEAD:
                _fetch(result, *running.pop(0))
        for places, scores in running:
            _fetch(result, places, scores)
        return result

    return score_pairs


class _Texts:
    """Texts that are tokenized once, when a pair first asks for them."""

    def __init__(self, name, tokenizer, texts):
        self.name, self.tokenizer, self.texts = name, tokenizer, tokenizer.texts(name, texts)
        if not self.texts:
            raise ValueError(f"{name} must not be empty, got 0 texts")
        self.known = [None] * len(self.texts)

    def checked(self, name, rows):
        """Row numbers, int [p]."""
        rows = np.asarray(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise ValueError(f"{name} must be integers [pairs], got {rows.dtype} {rows.shape}")
        if rows.size and (rows.min() < 0 or rows.max() >= len(self.texts)):
            raise ValueError(
                f"{name} must be from 0 to {len(self.texts) - 1}, rows of {self.name}, got "
                f"{rows.min()} to {rows.max()}"
            )
        return rows.astype(np.int64)

    def ids(self, rows):
        """Token ids of the texts' rows, without special tokens and not cut: a list of int32 [length]."""
        new = [row for row in np.unique(rows) if self.known[row] is None]
        ids = self.tokenizer.bare(self.name, [self.texts[row] for row in new])
        for row, tokens in zip(new, ids, strict=True):
            self.known[row] = tokens
        return [self.known[row] for row in rows]


def _edges(longest):
    """Lengths that a side is padded to: doubled up to half of the longest, then by quarters of it."""
    edges = {longest, -(-longest // 2), -(-longest * 3 // 4)}
    length = SHORTEST
    while length < longest / 2:
        edges.add(length)
        length *= 2
    return tuple(sorted(edges))


def _size(count, batch, devices):
    """Rows of a batch: all but the last are full, and the last is a power of two."""
    size = devices
    while size < count:
        size *= 2
    return min(size, batch)


def _filled(texts, size):
    """Texts followed by rows of padding, up to `size` rows."""
    return {name: np.pad(array, ((0, size - len(array)), (0, 0))) for name, array in texts.items()}


def _fetch(result, places, scores):
    scores = np.asarray(scores)
    if scores.ndim != 1:
        raise ValueError(
            f"score must give one number per pair, got {scores.shape[1:]} of each: a scorer is for models "
            "of one label"
        )
    result[places] = scores[: len(places)]
