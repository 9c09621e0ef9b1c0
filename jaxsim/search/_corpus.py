"""Corpus encoding: packed or sorted by length to avoid padding, batched over devices, and resumable.

texts -> tokenize -> rows of several texts, or batches of nearly equal lengths -> encode -> float32 [n, dim], in the texts' order
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks, compute_dtype
from jaxsim.numerics._encoding import (
    batch_of_tokens,
    image_chunks,
    image_encoder,
    text_chunks,
    text_encoder,
    tokens_of_batch,
)
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
    batch_tokens: int | None = None,
    lengths: Sequence[int] | None = None,
    chunk: int = 4096,
    dtype: jax.typing.DTypeLike | None = None,
    fingerprint: Any = "",
    label: str = "encoding",
) -> np.ndarray:
    """Encodes a corpus: the vectors of all texts, in their order.

        vectors = encode_corpus(model.encode, model.params, model.tokens, texts, path="docs.npy")

    A chunk of texts is tokenized (while the devices still work on the chunk before) and cut into batches of about
    `batch_tokens` tokens, which are spread over the local devices. An `encode` with the attribute `packs`, such as a
    loaded model's, gets several texts in a row of 128 or 256 tokens, each length compiled once or twice. Any other,
    and texts that are longer or too few for a batch, get texts sorted by length, padded to one of `lengths`: one
    compilation per length that occurs. A vector does not depend on its batch, up to the rounding of float32.

    Args:
      encode: (params, {"tokens" int32 [b, length], "where" bool [b, length]}) -> [b, dim].
      params: its parameters.
      tokenize: list of texts -> list of int [length], each at most the last of `lengths`.
      texts: a sequence of strings.
      path: a .npy file for the vectors, written chunk by chunk and mapped; a killed call resumes where
        it was and ends with the same bytes. PATH.json holds its checksum. None keeps the vectors in
        memory.
      batch_tokens: tokens per batch over all devices, padding included; None takes 4,096, and 1,024 of each CPU.
      lengths: increasing lengths that batches are padded to, and no text is packed; None takes multiples of 16, and
        larger steps beyond 128, at most the attribute `max_length` of an `encode` that has one.
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
    batch_tokens = tokens_of_batch(batch_tokens)
    checks.whole("chunk", chunk)
    if len(texts) == 0:
        raise ValueError("texts must not be empty, got 0")

    def fill(store):
        if store.begun < len(texts):
            run = text_encoder(encode, params, dtype)
            with bar(len(texts), label, "texts") as progress:
                progress.skip(store.begun)
                chunks = text_chunks(
                    run,
                    tokenize,
                    texts,
                    begun=store.begun,
                    chunk=chunk,
                    batch_of=batch_of_tokens(batch_tokens, run.devices),
                    lengths=lengths,
                    pack=batch_tokens if lengths is None else None,
                    label=label,
                    advance=progress.advance,
                )
                _put(store, chunks)
        return store.close()

    return stored(fill, encode, len(texts), path, chunk, fingerprint, dtype)


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
            with bar(len(images), label, "images") as progress:
                progress.skip(store.begun)
                chunks = image_chunks(
                    image_encoder(encode, params),
                    process,
                    images,
                    begun=store.begun,
                    chunk=chunk,
                    batch=batch,
                    label=label,
                    advance=progress.advance,
                )
                _put(store, chunks)
        return store.close()

    return stored(fill, encode, len(images), path, chunk, fingerprint, None)


def _put(store, chunks):
    """Puts the vectors of chunks into a store, and closes what reads ahead."""
    with contextlib.closing(chunks):
        for start, vectors in chunks:
            store.put(start, vectors)


def stored(fill, encode, count, path, chunk, fingerprint, dtype):
    """What `fill` makes in a store: in memory, or in the file of a path, which may be finished already."""
    if path is None:
        return fill(_Memory(count))
    about = {"texts": count, "chunk": int(chunk), "fingerprint": fingerprint}
    arithmetic = arithmetic_of(encode, dtype)
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


def arithmetic_of(encode, dtype):
    """The name of the type that an encoder computes in: the argument's, its own, or the device's."""
    return jnp.dtype(dtype or getattr(encode, "dtype", None) or compute_dtype()).name


def written_with(known, about, path):
    """The record of a file, which is refused where it is of another run."""
    for name, wanted in about.items():
        if known.raw(name) != wanted:
            raise ValueError(
                f"{path}: was written with {name} {known.raw(name)!r}, wanted {wanted!r}; "
                "remove it or use another path"
            )
    return known


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
    """Vectors in a .npy file that grows under another name: PATH.part, with its progress in PATH.part.json.

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
        return written_with(read_object(file), self.about, self.path)
