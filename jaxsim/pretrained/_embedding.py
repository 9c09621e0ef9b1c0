"""Vectors of strings and pictures in one call: tokenized, encoded by length over the devices, as one numpy array."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._encoding import (
    batch_of_tokens,
    image_chunks,
    image_encoder,
    text_chunks,
    text_encoder,
    tokens_of_batch,
)
from jaxsim.numerics.types import ArrayTree
from jaxsim.pretrained._image_processor import opened
from jaxsim.storage import bar

CHUNK = 4096  # texts that are sorted by length together
SMALLEST = 1e-12  # what a norm is at least, where vectors are divided by it


def embed_texts(
    encode: Callable,
    params: ArrayTree,
    tokenize: Callable[[list[str]], Sequence],
    texts: Sequence[str],
    *,
    batch_size: int | None,
    normalize: bool,
    truncate_dim: int | None,
    progress: bool,
) -> np.ndarray:
    """Embeds texts; see `TextModel.embed`.

    Args:
      encode, params, tokenize: as for `search.encode_corpus`.
      texts: a list of strings.
      batch_size, normalize, truncate_dim, progress: of `TextModel.embed`.
    """
    if batch_size is not None:
        checks.whole("batch_size", batch_size)
    shapes = {"tokens": (jnp.int32, (1, 1)), "where": (jnp.bool_, (1, 1))}
    batch = {name: jax.ShapeDtypeStruct(shape, dtype) for name, (dtype, shape) in shapes.items()}
    dim = _dim(encode, params, batch, truncate_dim)
    if not texts:
        return np.zeros((0, dim), np.float32)
    run = text_encoder(encode, params)
    budget = tokens_of_batch()
    by_tokens = batch_of_tokens(budget, run.devices)
    fixed = None if batch_size is None else batch_size + -batch_size % run.devices
    most = batch_rows(len(texts), run.devices)

    def batch_of(length):
        return min(most, by_tokens(length) if fixed is None else fixed)

    with progress_bar(progress, len(texts), "texts") as advance:
        chunks = text_chunks(
            run,
            tokenize,
            texts,
            begun=0,
            chunk=CHUNK,
            batch_of=batch_of,
            lengths=None,
            pack=budget if batch_size is None else None,
            label="embed",
            advance=advance,
        )
        return _vectors(chunks, len(texts), dim, normalize)


def embed_images(
    encode: Callable,
    params: ArrayTree,
    processor: Callable,
    images: Any,
    *,
    batch_size: int,
    normalize: bool,
    truncate_dim: int | None,
    progress: bool,
) -> np.ndarray:
    """Embeds pictures; see `VisionModel.embed_images`.

    Args:
      encode, params: as for `search.encode_images`.
      processor: an `ImageProcessor`.
      images: a list of pictures, or one.
      batch_size, normalize, truncate_dim, progress: of `VisionModel.embed_images`.
    """
    checks.whole("batch_size", batch_size)
    one = _is_picture(images)
    pictures: Any = [images] if one else images
    if not isinstance(pictures, (Sequence, np.ndarray)):
        pictures = opened(pictures)
    shape = jax.ShapeDtypeStruct((1, *processor.shape, 3), jnp.float32)
    dim = _dim(encode, params, shape, truncate_dim)
    if len(pictures) == 0:
        return np.zeros((0, dim), np.float32)
    devices = len(jax.local_devices())
    batch = min(batch_size + -batch_size % devices, batch_rows(len(pictures), devices))
    with progress_bar(progress, len(pictures), "images") as advance:
        chunks = image_chunks(
            image_encoder(encode, params),
            processor,
            pictures,
            begun=0,
            chunk=batch,
            batch=batch,
            label="embed_images",
            advance=advance,
        )
        vectors = _vectors(chunks, len(pictures), dim, normalize)
    return vectors[0] if one else vectors


@functools.lru_cache(maxsize=32)
def with_inputs(encode: Callable, prompt: int, domain: int | None) -> Callable:
    """Returns an encode function of texts that begin with a prompt that is not pooled, or are of one domain.

    The same arguments give the same function, for which nothing is compiled again.

    Args:
      encode: (params, texts) -> vectors.
      prompt: the number of tokens that are not pooled.
      domain: of the texts; None for a model without domains.
    """
    if not prompt and domain is None:
        return encode

    @functools.wraps(encode)
    def inner(params, texts):
        texts = dict(texts)
        if prompt:
            places = texts.get("positions", jnp.arange(texts["where"].shape[1]))
            texts["pooled"] = texts["where"] & (places >= prompt)
        if domain is not None:
            texts["domain"] = jnp.int32(domain)
        return encode(params, texts)

    return inner


def _dim(encode, params, inputs, truncate_dim):
    """The length of the vectors that come out."""
    dim = jax.eval_shape(encode, params, inputs).shape[1]
    if truncate_dim is None:
        return dim
    checks.at_most("truncate_dim", truncate_dim, dim, "the dimension of the model")
    return truncate_dim


def _is_picture(images: Any) -> bool:
    """Whether this is one picture and not a list: a path, a Pillow image, an array of one picture."""
    if isinstance(images, (str, os.PathLike)) or hasattr(images, "tobitmap"):
        return True
    shape = getattr(images, "shape", ())
    return len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)


def batch_rows(count: int, devices: int) -> int:
    """The next power of two, or a multiple of the devices: few shapes are compiled for few inputs."""
    rows = 1 << (count - 1).bit_length()
    return rows + -rows % devices


def _vectors(chunks, count, dim, normalize):
    """The vectors of chunks, cut to `dim`, then normalized: float32 [count, dim]."""
    result = np.empty((count, dim), np.float32)
    with contextlib.closing(chunks):
        for start, vectors in chunks:
            vectors = vectors[:, :dim]
            if normalize:
                norms = np.linalg.norm(vectors, axis=1, keepdims=True)
                vectors = vectors / np.maximum(norms, SMALLEST)
            result[start : start + len(vectors)] = vectors
    return result


@contextlib.contextmanager
def progress_bar(progress: bool, count: int, unit: str) -> Iterator[Callable[[int], None]]:
    """What is called with the number of those that are done: a bar's, or nothing."""
    if not progress:
        yield lambda count: None
        return
    with bar(count, "embedding", unit) as line:
        yield line.advance
