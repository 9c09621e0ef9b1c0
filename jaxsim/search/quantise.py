"""Small codes of vectors for a first stage, and the exact rescoring behind it.

    int8     one byte per dimension, 4 times smaller; queries stay float
    binary   one bit per dimension, 32 times smaller; compared by how many bits differ

What a quantiser has fitted is stored with its codes. Rescoring takes the true vectors, from memory or
from a file, or the codes decoded: never raw codes, whose dimensions have different scales.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.topk import top_k
from jaxsim.search.brute_force import exact
from jaxsim.similarity import dot, negative_hamming, pack, unpack
from jaxsim.storage import load_arrays, save_arrays

VERSION = 1  # of the file
ROWS = 2**16  # rows encoded at once


class Int8(NamedTuple):
    """Codes c of vectors: low + (c + 128) * step."""

    low: np.ndarray  # float32 [dim]
    step: np.ndarray  # float32 [dim]


class Binary(NamedTuple):
    """Bits of vectors: above the threshold or not. Decoded, a bit is the mean of its side."""

    threshold: np.ndarray  # float32 [dim]
    below: np.ndarray  # float32 [dim], mean of what is not above
    above: np.ndarray  # float32 [dim]


class Quantised(NamedTuple):
    """A quantiser and the codes of a corpus."""

    quantiser: Int8 | Binary
    codes: np.ndarray  # int8 [n, dim], or uint32 [n, ceil(dim / 32)]


def fit_int8(vectors, *, fewest=100):
    """The ranges of each dimension: min and max of the calibration vectors; what is outside is clipped.

    Args:
      vectors: [rows, dim], of the corpus.
      fewest: rows that a calibration needs: on a few, ranges are accidents (on one, all codes are equal).

    Returns: `Int8`.
    Raises: ValueError for too few rows, or vectors that are not finite.
    """
    vectors = _calibration(vectors, fewest)
    low, high = vectors.min(axis=0), vectors.max(axis=0)
    return Int8(low, np.where(high > low, (high - low) / 255, 1).astype(np.float32))


def fit_binary(vectors, *, threshold=None, fewest=100):
    """Thresholds, and what a bit stands for.

    Args:
      vectors: [rows, dim], of the corpus.
      threshold: [dim] or a number; None takes each dimension's median, which makes every bit say most.
        0 is the sign, which needs no calibration but for decoding.
      fewest: as in `fit_int8`.

    Returns: `Binary`.
    Raises: ValueError for too few rows, or vectors that are not finite.
    """
    vectors = _calibration(vectors, fewest)
    threshold = np.median(vectors, axis=0) if threshold is None else threshold
    threshold = np.broadcast_to(np.asarray(threshold, np.float32), vectors.shape[1:])
    bits = vectors > threshold
    means = []
    for side in (~bits, bits):
        count = side.sum(axis=0)
        mean = np.where(side, vectors, 0).sum(axis=0) / np.maximum(count, 1)
        means.append(np.where(count > 0, mean, threshold).astype(np.float32))
    return Binary(threshold.copy(), *means)


def encoded(quantiser, vectors):
    """Codes of vectors: int8 [n, dim] or uint32 [n, ceil(dim / 32)]. A file's vectors are read in blocks."""
    checks.shaped("vectors", vectors, (None, len(quantiser[0])), "of the quantiser's dim")
    encode = _INT8 if isinstance(quantiser, Int8) else _BINARY
    return np.concatenate(
        [np.asarray(encode(quantiser, vectors[s : s + ROWS])) for s in range(0, len(vectors), ROWS)]
    )


def decoded(quantiser, codes):
    """Vectors float32 [n, dim] that codes stand for."""
    if isinstance(quantiser, Int8):
        return quantiser.low + (jnp.asarray(codes, jnp.float32) + 128) * quantiser.step
    bits = unpack(codes, len(quantiser.threshold))
    return jnp.where(bits, quantiser.above, quantiser.below)


def quantised(quantiser, vectors):
    """`Quantised`: the codes of a corpus, vectors float [n, dim], with their quantiser."""
    return Quantised(quantiser, encoded(quantiser, vectors))


def coarse_to_fine(queries, corpus, k, *, items=None, oversample=4, similarity=dot, where=None):
    """The k best by exact similarity among the k * oversample best by codes.

    Int8 codes are compared with the float query (their decoded inner product); bits by Hamming distance
    with the query's bits.

    Args:
      queries: float [m, dim].
      corpus: `Quantised`, of n items.
      k: how many, at most n.
      items: [n, dim] to rescore with, often a `numpy.memmap`, of which only the candidates are read;
        None decodes the codes.
      oversample: candidates per wanted item, at least 1.
      similarity: of the rescoring.
      where: bool [n], False for items that must not be found.

    Returns: (scores [m, k], ids int32 [m, k]), closest first; -inf and -1 where fewer are kept.
    Raises: ValueError for shapes that do not fit.
    """
    quantiser, codes = corpus
    queries = jnp.asarray(queries)
    checks.shaped("queries", queries, (None, len(quantiser[0])), "of the quantiser's dim")
    checks.at_most("k", k, len(codes), "the number of items")
    checks.whole("oversample", oversample)
    if items is not None:
        checks.shaped("items", items, (len(codes), len(quantiser[0])), "the corpus' own vectors")
    if isinstance(quantiser, Int8):  # q . (low + (c + 128) step) is (q step) . c and a constant
        coarse, kernel = queries * quantiser.step, dot
    else:
        coarse, kernel = _BINARY(quantiser, queries), negative_hamming
    wanted = min(k * oversample, len(codes))
    _, ids = exact(coarse, codes, wanted, similarity=kernel, where=where)
    ids = np.sort(np.asarray(ids), axis=1)  # so that ties go to the lowest id
    known = ids >= 0
    if items is None:
        candidates = decoded(quantiser, np.asarray(codes)[np.maximum(ids, 0)])
    else:
        candidates = np.asarray(items[np.maximum(ids, 0).ravel()]).reshape(*ids.shape, -1)
    best, places = _RESCORED(queries, candidates, known, similarity, k)
    return best, jnp.where(places < 0, -1, jnp.take_along_axis(jnp.asarray(ids), places, axis=1))


def save_quantised(path, corpus):
    """Writes a `Quantised` corpus to one checksummed file, aside and then renamed."""
    quantiser, codes = corpus
    kind = "int8" if isinstance(quantiser, Int8) else "binary"
    arrays = {"codes": codes, **quantiser._asdict()}
    save_arrays(path, arrays, kind="quantised", version=VERSION, meta={"quantiser": kind})


def load_quantised(path, *, mmap=False):
    """Reads what `save_quantised` wrote; with mmap=True codes stay in the file and are streamed."""
    arrays, meta = load_arrays(path, kind="quantised", version=VERSION, mmap=mmap)
    codes = arrays.pop("codes")
    kind = {"int8": Int8, "binary": Binary}[meta["quantiser"]]
    return Quantised(kind(**{name: np.asarray(array) for name, array in arrays.items()}), codes)


def _int8(quantiser, vectors):
    scaled = (jnp.asarray(vectors, jnp.float32) - quantiser.low) / quantiser.step - 128
    return jnp.clip(jnp.round(scaled), -128, 127).astype(jnp.int8)


def _binary(quantiser, vectors):
    return pack(jnp.asarray(vectors, jnp.float32) > quantiser.threshold)


def _rescored(queries, candidates, known, similarity, k):
    scores = jax.vmap(lambda q, c: similarity(q[None], c)[0])(queries, candidates)
    return top_k(scores, k, where=known)


_INT8, _BINARY = jax.jit(_int8), jax.jit(_binary)
_RESCORED = jax.jit(_rescored, static_argnums=(3, 4))


def _calibration(vectors, fewest):
    vectors = np.asarray(vectors, np.float32)
    checks.shaped("vectors", vectors, (None, None), "of the corpus")
    if len(vectors) < fewest:
        raise ValueError(f"vectors must have at least {fewest} rows to calibrate on, got {len(vectors)}")  # fmt: skip
    if not np.isfinite(vectors).all():
        raise ValueError("vectors must be finite, got some that are not")
    return vectors
