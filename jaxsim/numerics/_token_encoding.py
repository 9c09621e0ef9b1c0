"""Encoding of texts to the vectors of their tokens, in batches of nearly equal lengths over the local devices.

rows of tokens -> encode -> the vectors of what counts, one text after the other
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsim.numerics._buckets import bucket_of
from jaxsim.numerics._encoding import length_buckets
from jaxsim.numerics.types import ArrayTree

AHEAD = 2  # batches that run while the next is made


class TokenBatches:
    """Encodes rows of tokens to the vectors of those that count.

    Args:
      encode: (params, {"tokens", "where", "seen", "scored"}) -> {"vectors" [rows, length, dim], "where"}.
      params: its parameters.
      batch_of: length -> the rows of a batch, a multiple of the devices.
    """

    def __init__(
        self, encode: Callable[..., Any], params: ArrayTree, batch_of: Callable[[int], int]
    ) -> None:
        devices = jax.local_devices()
        mesh = Mesh(np.array(devices), ("devices",))
        self.encode: Callable[..., Any] = encode
        self.batch_of, self.devices = batch_of, len(devices)
        self.spread = NamedSharding(mesh, PartitionSpec("devices"))
        self.params = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))
        self.longest = getattr(encode, "max_length", None)

    @property
    def dim(self) -> int:
        """The size of the vectors."""
        flags = jax.ShapeDtypeStruct((1, 1), jnp.bool_)
        texts = {"tokens": jax.ShapeDtypeStruct((1, 1), jnp.int32)}
        texts |= dict.fromkeys(("where", "seen", "scored"), flags)
        return jax.eval_shape(self.encode, self.params, texts)["vectors"].shape[2]

    def __call__(
        self, rows: Sequence[Any], advance: Callable[[int], None] = lambda count: None
    ) -> list[np.ndarray]:
        """The vectors of each row's tokens that count: a list of float32 [tokens, dim].

        Args:
          rows: with `tokens`, `seen` and `scored` [length] each.
          advance: called with the number of texts of each batch that is done.
        """
        result: list[Any] = [None] * len(rows)
        running = []
        for members, texts in self._batches(rows):
            vectors = _vectors(self.encode, self.params, jax.device_put(texts, self.spread))
            running.append((members, vectors))
            if len(running) > AHEAD:
                _fetch(result, rows, *running.pop(0), advance)
        for members, vectors in running:
            _fetch(result, rows, members, vectors, advance)
        return result

    def _batches(self, rows: Sequence[Any]) -> Iterator[tuple[np.ndarray, dict]]:
        """Places of rows, from the longest down, with their padded texts."""
        sizes = np.array([len(row.tokens) for row in rows], int)
        if not len(sizes):
            return
        buckets = length_buckets(max(int(sizes.max()), 1))
        if self.longest is not None:
            buckets = tuple(sorted({min(length, self.longest) for length in buckets}))
        ends = np.asarray(buckets)[bucket_of(sizes, buckets)]
        order, start = np.argsort(-sizes, kind="stable"), 0
        while start < len(order):
            length = int(ends[order[start]])
            count = self.batch_of(length)
            members = order[start : start + count]
            yield members, padded_rows([rows[place] for place in members], (count, length))
            start += count


def padded_rows(rows: Sequence[Any], shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Rows of tokens as arrays: {"tokens" int32, "where", "seen", "scored" bool}, each of `shape`.

    Args:
      rows: with `tokens`, `seen` and `scored` [length] each.
      shape: (rows, length), at least as many and as long.
    """
    texts = {name: np.zeros(shape, bool) for name in ("where", "seen", "scored")}
    texts["tokens"] = np.zeros(shape, np.int32)
    for place, row in enumerate(rows):
        length = len(row.tokens)
        texts["where"][place, :length] = True
        for name in ("tokens", "seen", "scored"):
            texts[name][place, :length] = getattr(row, name)
    return texts


@functools.partial(jax.jit, static_argnums=0)
def _vectors(encode, params, texts):
    """Compiled once for each encode function and shape."""
    return encode(params, texts)["vectors"].astype(jnp.float32)


def _fetch(result, rows, members, vectors, advance):
    vectors = np.asarray(vectors)
    for place, member in enumerate(members):
        scored = rows[member].scored
        result[member] = vectors[place, : len(scored)][scored]
    advance(len(members))
