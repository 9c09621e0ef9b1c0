"""Corpus encoding: sorted by length to avoid padding, batched over devices, and resumable.

texts -> tokenize -> batches of nearly equal lengths -> encode -> float32 [n, dim], in the texts' order
"""

import concurrent.futures
import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsim.numerics import checks, compute_dtype
from jaxsim.numerics._buckets import bucket_of
from jaxsim.numerics.types import Array, ArrayTree, Encode
from jaxsim.storage import bar, check_file, owned, read_object, write_json
from jaxsim.storage._arrays import PIECE
from jaxsim.storage._atomic import errors_named, reserve
from jaxsim.storage._npy import npy_header, read_npy


def encode_corpus(
    encode: Encode,
    params: ArrayTree,
    tokenize: Callable[[list[str]], Sequence],
    texts: Iterable,
    *,
    path: str | os.PathLike | None = None,
    batch_tokens: int = 4096,
    lengths: Sequence[int] | None = None,
    chunk: int = 4096,
    dtype: jax.typing.DTypeLike | None = None,
    fingerprint: Any = "",
    label: str = "encoding",
) -> np.ndarray:
    """Encodes a corpus: the vectors of all texts, in their order.

        vectors = encode_corpus(model.encode, model.params, model.tokens, texts, path="docs.npy")

    A chunk of texts is tokenized (while the devices still work on the chunk before), sorted by length
    and cut into batches of about `batch_tokens` tokens, each padded to one of `lengths`: there is one
    compilation per length that occurs, and next to no padding. Batches are spread over the local
    devices. A vector does not depend on its batch, up to the rounding of float32.

    Args:
      encode: (params, {"tokens" int32 [b, length], "where" bool [b, length]}) -> [b, dim].
      params: its parameters.
      tokenize: list of texts -> list of int [length], each at most the last of `lengths`.
      texts: a sequence of strings.
      path: a .npy file for the vectors, written chunk by chunk and mapped; a killed call resumes where
        it was and ends with the same bytes. PATH.json holds its checksum. None keeps the vectors in
        memory.
      batch_tokens: tokens per batch over all devices, padding included.
      lengths: increasing lengths that batches are padded to; None takes multiples of 16, and larger
        steps beyond 128, at most the attribute `max_length` of an `encode` that has one.
      chunk: texts that are sorted together, and what a kill may lose.
      dtype: that floating parameters are cast to. None leaves them to an `encode` that has the attribute
        `dtype`, as a loaded model's and that of `encoders.as_function`; those of any other are cast to
        bfloat16 on accelerators and are as they are on CPU. Vectors are float32.
      fingerprint: of the model and the texts; a file of another one is refused.
      label: of the progress bar.

    Returns: numpy float32 [n, dim], read-only and memory-mapped where there is a path.
    Raises: ValueError for no texts, vectors that are not finite (finished chunks stay), files of another
    run or damaged ones, by name, and a path that another process fills; OSError naming the file where the
    disk is full.
    """
    if isinstance(texts, (str, bytes)):
        raise ValueError(f"texts must be a sequence of strings, got one: {texts!r:.60}")
    texts = texts if hasattr(texts, "__getitem__") else list(texts)
    for name, value in (("batch_tokens", batch_tokens), ("chunk", chunk)):
        checks.whole(name, value)
    if len(texts) == 0:
        raise ValueError("texts must not be empty, got 0")

    def fill(store):
        if store.begun < len(texts):
            run = _encoder(encode, params, dtype)
            chunks = _chunks(run, tokenize, texts, store.begun, chunk, batch_tokens, lengths, label)
            with contextlib.closing(chunks):
                for start, vectors in chunks:
                    store.put(start, vectors)
        return store.close()

    return _stored(fill, encode, len(texts), path, chunk, fingerprint, dtype)


def encode_images(
    encode: Callable[..., jax.Array],
    params: ArrayTree,
    process: Callable[[list], Array],
    images: Iterable,
    *,
    path: str | os.PathLike | None = None,
    batch: int = 64,
    chunk: int = 1024,
    fingerprint: Any = "",
    label: str = "encoding",
) -> np.ndarray:
    """Encodes a corpus of images: the vectors of all, in their order.

        vectors = encode_images(model.encode_image, model.params, model.process, paths, path="images.npy")

    The next batch is read while the devices work on one. Batches are spread over the local devices.

    Args:
      encode: (params, images float [b, height, width, channels]) -> [b, dim].
      params: its parameters.
      process: list of images -> float [b, height, width, channels], as that of a loaded model.
      images: a sequence of whatever `process` reads, such as paths.
      path: a .npy file for the vectors, as in `encode_corpus`.
      batch: images per batch over all devices; rounded up to a multiple of them.
      chunk: images that a kill may lose; rounded up to a multiple of `batch`.
      fingerprint: of the model and the images; a file of another one is refused.
      label: of the progress bar.

    Returns: numpy float32 [n, dim], read-only and memory-mapped where there is a path.
    Raises: as `encode_corpus`, and whatever `process` raises.
    """
    if isinstance(images, (str, bytes, os.PathLike)):
        raise ValueError(f"images must be a sequence of images or paths, got one: {images!r:.60}")
    images = images if hasattr(images, "__getitem__") else list(images)
    for name, value in (("batch", batch), ("chunk", chunk)):
        checks.whole(name, value)
    if len(images) == 0:
        raise ValueError("images must not be empty, got 0")
    batch = min(batch, len(images))
    batch += -batch % len(jax.local_devices())
    chunk += -chunk % batch

    def fill(store):
        if store.begun < len(images):
            run = _image_encoder(encode, params)
            chunks = _image_chunks(run, process, images, store.begun, chunk, batch, label)
            with contextlib.closing(chunks):
                for start, vectors in chunks:
                    store.put(start, vectors)
        return store.close()

    return _stored(fill, encode, len(images), path, chunk, fingerprint, None)


def _stored(fill, encode, count, path, chunk, fingerprint, dtype):
    """What `fill` makes in a store: in memory, or in the file of a path, which may be finished already."""
    if path is None:
        return fill(_Memory(count))
    about = {"texts": count, "chunk": int(chunk), "fingerprint": fingerprint}
    arithmetic = jnp.dtype(dtype or getattr(encode, "dtype", None) or compute_dtype()).name
    if arithmetic != "float32":  # left out where it is: older files do not have it
        about["dtype"] = arithmetic
    store = _File(Path(path), about)
    if (done := store.finished()) is not None:  # read without owning it, from a read-only disk too
        return done
    check_file("path", path)
    with owned(path, "file"), store:
        if (done := store.finished()) is not None:  # by another process, a moment ago
            return done
        store.resume()
        return fill(store)


def length_buckets(longest: int) -> tuple[int, ...]:
    """Default length buckets: multiples of 16 to 128, of 32 to 256, and so on, up to `longest`."""
    buckets = [16]
    while buckets[-1] < longest:
        buckets.append(buckets[-1] + max(16, 2 ** (buckets[-1].bit_length() - 1) // 4))
    return tuple(buckets)


def _encoder(encode, params, dtype):
    """(tokens, where) -> vectors on the devices, the batch spread over them."""
    devices = jax.local_devices()
    if dtype is None and not hasattr(encode, "dtype") and compute_dtype() != jnp.float32:
        dtype = compute_dtype()
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
    run.longest = getattr(encode, "max_length", None)
    return run


@functools.partial(jax.jit, static_argnums=0)
def _vectors(encode, params, tokens, lengths):
    """Compiled once for each encode function and shape, however often a corpus is encoded."""
    where = jnp.arange(tokens.shape[1]) < lengths[:, None]
    return encode(params, {"tokens": tokens, "where": where}).astype(jnp.float32)


def _image_encoder(encode, params):
    """images -> vectors on the devices, the batch spread over them."""
    mesh = Mesh(np.array(jax.local_devices()), ("devices",))
    spread = NamedSharding(mesh, PartitionSpec("devices"))
    params = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))

    def run(images):
        return _image_vectors(encode, params, jax.device_put(images, spread))

    return run


@functools.partial(jax.jit, static_argnums=0)
def _image_vectors(encode, params, images):
    return encode(params, images).astype(jnp.float32)


def _image_chunks(run, process, images, begun, chunk, batch, label):
    """(start, vectors) of each chunk from `begun` on; the next batch is read while one is encoded."""
    with (
        concurrent.futures.ThreadPoolExecutor(1) as ahead,
        bar(len(images), label, "images") as progress,
    ):
        progress.skip(begun)
        coming = ahead.submit(process, list(images[begun : begun + batch]))
        for start in range(begun, len(images), chunk):
            end, parts = min(start + chunk, len(images)), []
            for first in range(start, end, batch):
                count = min(batch, end - first)
                pixels, after = (
                    np.asarray(coming.result()),
                    images[first + batch : first + 2 * batch],
                )
                if len(pixels) != count:
                    raise ValueError(f"process must return {count} images, got {len(pixels)}")
                coming = ahead.submit(process, list(after)) if len(after) else None
                pads = [(0, batch - count)] + [(0, 0)] * (pixels.ndim - 1)
                parts.append(np.asarray(run(np.pad(pixels, pads)))[:count])
                progress.advance(count)
            vectors = np.concatenate(parts)
            if bad := (~np.isfinite(vectors).all(axis=1)).sum():
                raise ValueError(
                    f"{label}: {bad} vectors are not finite among the images {start} to {end - 1}; finished "
                    "chunks are kept"
                )
            yield start, vectors


def _chunks(run, tokenize, texts, begun, chunk, batch_tokens, lengths, label):
    """(start, vectors) of each chunk from `begun` on; the next is tokenized while one is encoded."""
    starts = range(begun, len(texts), chunk)
    with (
        concurrent.futures.ThreadPoolExecutor(1) as ahead,
        bar(len(texts), label, "texts") as progress,
    ):
        progress.skip(begun)
        coming = ahead.submit(tokenize, list(texts[begun : begun + chunk]))
        for start in starts:
            rows, after = coming.result(), texts[start + chunk : start + 2 * chunk]
            count = min(chunk, len(texts) - start)
            if len(rows) != count:
                raise ValueError(f"tokenize must return a row per text, {count}, got {len(rows)}")
            coming = ahead.submit(tokenize, list(after)) if len(after) else None
            vectors = _chunk(run, rows, batch_tokens, lengths, progress)
            if bad := (~np.isfinite(vectors).all(axis=1)).sum():
                raise ValueError(
                    f"{label}: {bad} vectors are not finite among the texts {start} to "
                    f"{start + len(rows) - 1}; finished chunks are kept"
                )
            yield start, vectors


def _chunk(run, rows, batch_tokens, buckets, progress):
    """Vectors of some texts' tokens, float32 [rows, dim]."""
    sizes = np.array([len(row) for row in rows])
    if buckets is None:
        buckets = length_buckets(sizes.max())
        if run.longest is not None:
            buckets = sorted({min(length, run.longest) for length in buckets})
    ends = np.asarray(buckets)[bucket_of(sizes, buckets)]
    # From the longest down: a batch takes what follows, whatever its bucket, and only the last is short.
    order = np.argsort(-sizes, kind="stable")
    running, vectors, start = [], None, 0

    def fetch():
        nonlocal vectors
        members, values = running.pop(0)
        values = np.asarray(values)
        if values.ndim != 2 or len(values) < len(members):
            raise ValueError(f"encode must return [b, dim], a row per text, got {values.shape}")
        if vectors is None:
            vectors = np.empty((len(rows), values.shape[1]), np.float32)
        vectors[members] = values[: len(members)]
        progress.advance(len(members))

    while start < len(order):
        length = int(ends[order[start]])
        batch = max(1, batch_tokens // (length * run.devices)) * run.devices
        members = order[start : start + batch]
        tokens = np.zeros((batch, length), np.int32)
        for place, member in enumerate(members):
            tokens[place, : sizes[member]] = rows[member]
        true_lengths = np.pad(sizes[members], (0, batch - len(members)), constant_values=1)
        running.append((members, run(tokens, true_lengths.astype(np.int32))))
        start += batch
        if len(running) > 2:  # a bounded run-ahead: devices stay busy, memory stays flat
            fetch()
    while running:
        fetch()
    return vectors


class _Memory:
    """Vectors in memory."""

    begun = 0

    def __init__(self, count):
        self.count, self.vectors = count, None

    def put(self, start, vectors):
        if self.vectors is None:
            self.vectors = np.empty((self.count, vectors.shape[1]), np.float32)
        self.vectors[start : start + len(vectors)] = vectors

    def close(self):
        return self.vectors


class _File:
    """Vectors in a .npy file that grows aside: PATH.part, and PATH.part.json with how far it is.

    Both hold a checksum: PATH.json that of the finished file, PATH.part.json that of the rows so far.
    """

    def __init__(self, path, about):
        if path.suffix != ".npy":
            raise ValueError(f"path must end in .npy, got {str(path)!r}")
        # As it comes back from a file: tuples are lists there.
        self.path, self.about = path, json.loads(json.dumps(about))
        self.part = path.with_name(path.name + ".part")
        self.state = path.with_name(path.name + ".part.json")
        self.record = path.with_name(path.name + ".json")
        self.begun, self.file, self.dim, self.sums = 0, None, None, None

    def finished(self):
        """The vectors of a finished file; None where there is none."""
        if not self.path.exists():
            return None
        if not self.record.exists():
            raise ValueError(f"{self.path}: was not written by encode_corpus; remove it first")
        known = self._known(self.record)
        vectors = read_npy(self.path, mmap=True, sha256=known.text("sha256"))
        if vectors.dtype != np.float32 or len(vectors) != self.about["texts"]:
            raise ValueError(
                f"{self.path}: must hold float32 [{self.about['texts']}, dim], "
                f"got {vectors.dtype} {list(vectors.shape)}"
            )
        if not self.part.exists() and self.state.exists():  # killed before it could
            with contextlib.suppress(OSError):
                self.state.unlink(missing_ok=True)
        return vectors

    def resume(self):
        """Opens what a killed call left, its rows checked."""
        known = self._known(self.state) if self.state.exists() else None
        if known is None:
            if self.part.exists():
                raise ValueError(f"{self.part}: was not written by encode_corpus; move it away")
            return
        texts, chunk = self.about["texts"], self.about["chunk"]
        done = known.whole("done", most=texts)
        if done % chunk and done != texts:
            raise known.wrong("done", f"a multiple of {chunk}, or {texts}")
        dim, digest = known.whole("dim", least=1), known.text("sha256")
        if done == 0 or not self.part.exists():
            return
        header = npy_header((texts, dim))
        whole, left = len(header) + 4 * texts * dim, len(header) + 4 * done * dim
        size = self.part.stat().st_size
        sums = hashlib.sha256()
        self.file = self.part.open("r+b")
        while size >= left > 0 and (piece := self.file.read(min(PIECE, left))):
            sums.update(piece)
            left -= len(piece)
        if left or sums.hexdigest() != digest:
            raise ValueError(
                f"{self.part}: is not what {self.state.name} says of its first {done} rows; the file is "
                "damaged, remove both to begin again"
            )
        with errors_named(self.part, whole):
            reserve(self.file.fileno(), whole)
        self.file.truncate(whole)
        self.begun, self.dim, self.sums = done, dim, sums

    def put(self, start, vectors):
        """Writes the rows that follow; then says so."""
        if self.dim not in (None, vectors.shape[1]):
            raise ValueError(
                f"{self.part}: has vectors of {self.dim} numbers, the model gives {vectors.shape[1]}; "
                "remove it or use another path"
            )
        if self.file is None:
            self._begin(vectors.shape[1])
        with errors_named(self.part):
            self._write(np.ascontiguousarray(vectors, "<f4").data.cast("B"))
        self._note(start + len(vectors))

    def close(self):
        """Gives the finished file its name."""
        self.file.close()
        about = {**self.about, "dim": self.dim, "sha256": self.sums.hexdigest()}
        write_json(self.record, about)
        os.replace(self.part, self.path)
        self.state.unlink()
        return read_npy(self.path, mmap=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.file is not None:
            self.file.close()

    def _begin(self, dim):
        self.dim, self.sums = dim, hashlib.sha256()
        header = npy_header((self.about["texts"], dim))
        self._note(0)  # first, so that what has no such note is somebody else's
        size = len(header) + 4 * self.about["texts"] * dim
        with errors_named(self.part, size):
            self.file = self.part.open("w+b")
            reserve(self.file.fileno(), size)
            self._write(header)

    def _write(self, data):
        self.file.write(data)
        self.file.flush()
        os.fsync(self.file.fileno())
        self.sums.update(data)

    def _note(self, done):
        sums = self.sums.hexdigest()
        write_json(self.state, {**self.about, "done": done, "dim": self.dim, "sha256": sums})

    def _known(self, file):
        known = read_object(file)
        for name, wanted in self.about.items():
            if known.raw(name) != wanted:
                raise ValueError(
                    f"{self.path}: was written with {name} {known.raw(name)!r}, wanted {wanted!r}; "
                    "remove it or use another path"
                )
        return known
