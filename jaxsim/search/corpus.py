"""A corpus as vectors: sorted by length so that padding is not paid for, and resumable.

texts -> tokenize -> batches of nearly equal lengths -> encode -> float32 [n, dim], in the texts' order
"""

import concurrent.futures
import functools
import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsim.numerics import checks
from jaxsim.numerics.buckets import bucket_of
from jaxsim.storage import bar, write_json


def encode_corpus(
    encode,
    params,
    tokenize,
    texts,
    *,
    path=None,
    batch_tokens=4096,
    lengths=None,
    chunk=4096,
    dtype=None,
    fingerprint="",
    label="encoding",
):
    """Vectors of all texts, in their order.

        vectors = encode_corpus(model.encode, model.params, model.tokens, texts, path="docs.npy")

    A chunk of texts is tokenised (while the devices still work on the chunk before), sorted by length
    and cut into batches of about `batch_tokens` tokens, each padded to one of `lengths`: there is one
    compilation per length that occurs, and next to no padding. Batches are spread over the local
    devices. A vector does not depend on its batch, up to the rounding of float32.

    Args:
      encode: (params, {"tokens" int32 [b, length], "where" bool [b, length]}) -> [b, dim].
      params: its parameters.
      tokenize: list of texts -> list of int [length], each at most the last of `lengths`.
      texts: a sequence of strings.
      path: a .npy file for the vectors, written chunk by chunk and mapped; a killed call goes on where
        it stood and ends with the same bytes. None keeps the vectors in memory.
      batch_tokens: tokens per batch over all devices, padding included.
      lengths: increasing lengths that batches are padded to; None takes multiples of 16, and larger
        steps beyond 128.
      chunk: texts that are sorted together, and what a kill may lose.
      dtype: that floating parameters are cast to; None is bfloat16 on accelerators and as they are on
        CPU. Vectors are float32.
      fingerprint: of the model and the texts; a file of another one is refused.
      label: of the progress bar.

    Returns: numpy float32 [n, dim], read-only and memory-mapped where there is a path.
    Raises: ValueError for no texts, vectors that are not finite (finished chunks stay), and files of
    another run, by name.
    """
    texts = texts if hasattr(texts, "__getitem__") else list(texts)
    for name, value in (("batch_tokens", batch_tokens), ("chunk", chunk)):
        checks.whole(name, value)
    if len(texts) == 0:
        raise ValueError("texts must not be empty, got 0")
    about = {"texts": len(texts), "chunk": chunk, "fingerprint": fingerprint}
    store = _Memory(len(texts)) if path is None else _File(Path(path), about)
    if (done := store.finished()) is not None:
        return done
    run = _encoder(encode, params, dtype)
    starts = range(store.begun, len(texts), chunk)
    with (
        concurrent.futures.ThreadPoolExecutor(1) as ahead,
        bar(len(texts), label, "texts") as progress,
    ):
        progress.skip(store.begun)
        some = [texts[i : i + chunk] for i in starts[:1]]
        coming = ahead.submit(tokenize, list(some[0])) if some else None
        for start in starts:
            rows, after = coming.result(), texts[start + chunk : start + 2 * chunk]
            coming = ahead.submit(tokenize, list(after)) if len(after) else None
            vectors = _chunk(run, rows, batch_tokens, lengths, progress)
            if bad := (~np.isfinite(vectors).all(axis=1)).sum():
                raise ValueError(
                    f"{label}: {bad} vectors are not finite among the texts {start} to "
                    f"{start + len(rows) - 1}; finished chunks are kept"
                )
            store.put(start, vectors)
    return store.close()


def length_buckets(longest):
    """Multiples of 16 to 128, of 32 to 256, of 64 to 512 and so on, up to the first that holds it."""
    found = [16]
    while found[-1] < longest:
        found.append(found[-1] + max(16, 2 ** (found[-1].bit_length() - 1) // 4))
    return tuple(found)


def _encoder(encode, params, dtype):
    """(tokens, where) -> vectors on the devices, the batch spread over them."""
    devices = jax.local_devices()
    if dtype is None and devices[0].platform != "cpu":
        dtype = jnp.bfloat16
    mesh = Mesh(np.array(devices), ("devices",))
    spread = NamedSharding(mesh, PartitionSpec("devices"))
    if dtype is not None:
        params = jax.tree.map(
            lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, params
        )
    params = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))

    def run(tokens, lengths):
        return _vectors(encode, params, *jax.device_put((tokens, lengths), spread))

    run.devices = len(devices)
    return run


@functools.partial(jax.jit, static_argnums=0)
def _vectors(encode, params, tokens, lengths):
    """Compiled once for each encode function and shape, however often a corpus is encoded."""
    where = jnp.arange(tokens.shape[1]) < lengths[:, None]
    return encode(params, {"tokens": tokens, "where": where}).astype(jnp.float32)


def _chunk(run, rows, batch_tokens, buckets, progress):
    """Vectors of some texts' tokens, float32 [rows, dim]."""
    sizes = np.array([len(row) for row in rows])
    buckets = length_buckets(sizes.max()) if buckets is None else buckets
    ends = np.asarray(buckets)[bucket_of(sizes, buckets)]
    # From the longest down: a batch takes what follows, whatever its bucket, and only the last is short.
    order = np.argsort(-sizes, kind="stable")
    running, found, start = [], None, 0

    def fetch():
        nonlocal found
        members, values = running.pop(0)
        values = np.asarray(values)
        if found is None:
            found = np.empty((len(rows), values.shape[1]), np.float32)
        found[members] = values[: len(members)]
        progress.advance(len(members))

    while start < len(order):
        length = int(ends[order[start]])
        batch = max(1, batch_tokens // (length * run.devices)) * run.devices
        members = order[start : start + batch]
        tokens = np.zeros((batch, length), np.int32)
        for place, member in enumerate(members):
            tokens[place, : sizes[member]] = rows[member]
        kept = np.pad(sizes[members], (0, batch - len(members)), constant_values=1)
        running.append((members, run(tokens, kept.astype(np.int32))))
        start += batch
        if len(running) > 2:  # a bounded run-ahead: devices stay busy, memory stays flat
            fetch()
    while running:
        fetch()
    return found


class _Memory:
    """Vectors in memory."""

    begun = 0

    def __init__(self, count):
        self.count, self.vectors = count, None

    def finished(self):
        return None

    def put(self, start, vectors):
        if self.vectors is None:
            self.vectors = np.empty((self.count, vectors.shape[1]), np.float32)
        self.vectors[start : start + len(vectors)] = vectors

    def close(self):
        return self.vectors


class _File:
    """Vectors in a .npy file that grows aside: PATH.part, and PATH.part.json with how far it is."""

    def __init__(self, path, about):
        if path.suffix != ".npy":
            raise ValueError(f"path must end in .npy, got {str(path)!r}")
        self.path, self.about = path, about
        self.part = path.with_name(path.name + ".part")
        self.state = path.with_name(path.name + ".part.json")
        self.told = path.with_name(path.name + ".json")
        self.vectors, self.begun = None, 0
        if self.state.exists() and self.part.exists():
            state = self._known(self.state)
            self.begun = state["done"]
            self.vectors = np.load(self.part, mmap_mode="r+")

    def _known(self, file):
        known = json.loads(file.read_text())
        for name, wanted in self.about.items():
            if known[name] != wanted:
                raise ValueError(
                    f"{self.path}: was written with {name} {known[name]!r}, wanted {wanted!r}; "
                    "remove it or use another path"
                )
        return known

    def finished(self):
        if not self.path.exists():
            return None
        if not self.told.exists():
            raise ValueError(f"{self.path}: was not written by encode_corpus; remove it first")
        self._known(self.told)
        return np.load(self.path, mmap_mode="r")

    def put(self, start, vectors):
        if self.vectors is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            shape = (self.about["texts"], vectors.shape[1])
            self.vectors = np.lib.format.open_memmap(self.part, "w+", np.float32, shape)
        self.vectors[start : start + len(vectors)] = vectors
        self.vectors.flush()
        write_json(self.state, {**self.about, "done": start + len(vectors)})

    def close(self):
        del self.vectors
        write_json(self.told, self.about)
        os.replace(self.part, self.path)
        self.state.unlink()
        return np.load(self.path, mmap_mode="r")
