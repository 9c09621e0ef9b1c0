"""Quantization: small codes of vectors for a first stage, and exact rescoring of its candidates.

    int8     one byte per dimension, 4 times smaller; queries stay float
    binary   one bit per dimension, 32 times smaller; compared by how many bits differ

What a quantizer has fitted is stored with its codes. Both stages follow the similarity that is asked for.
Rescoring takes the true vectors, from memory or from a file, or the codes decoded: never raw codes, whose
dimensions have different scales.
"""

import functools
import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import block_entries, checks
from jaxsim.numerics._topk import top_k
from jaxsim.numerics.types import Array, Similarity
from jaxsim.search._brute_force import EUCLIDEAN, exact
from jaxsim.search._files import fitting
from jaxsim.search._matrices import like_sizes
from jaxsim.similarity import (
    dot,
    negative_hamming,
    negative_squared_euclidean,
    pack,
    unpack,
)
from jaxsim.storage import Fields, load_arrays, save_arrays

VERSION = 1  # of the file
ROWS = 2**16  # rows encoded at once
ENTRIES = 2**24  # decoded numbers, or scores, alive at once, on accelerators at least: 64 MiB
QUERIES = 128  # that a block of decoded items meets at once


class Int8(NamedTuple):
    """Int8 scalar quantizer: a code c is low + (c + 128) * step."""

    low: np.ndarray  # float32 [dim]
    step: np.ndarray  # float32 [dim]


class Binary(NamedTuple):
    """Binary quantizer: bits above a threshold. Decoded, a bit is the mean of its side."""

    threshold: np.ndarray  # float32 [dim]
    below: np.ndarray  # float32 [dim], mean of what is not above
    above: np.ndarray  # float32 [dim]


class Quantized(NamedTuple):
    """Quantized corpus: a quantizer and the codes."""

    quantizer: Int8 | Binary
    codes: np.ndarray  # int8 [n, dim], or uint32 [n, ceil(dim / 32)]


SHAPES = {  # of the arrays in the file: n vectors, d dimensions, w words of 32 bits
    Int8: {"codes": ("int8", "nd"), "low": ("float", "d"), "step": ("float", "d")},
    Binary: {
        "codes": ("uint32", "nw"),
        "threshold": ("float", "d"),
        "below": ("float", "d"),
        "above": ("float", "d"),
    },
}


def fit_int8(vectors: Array, *, fewest: int = 100) -> Int8:
    """Fits an int8 quantizer: the min and max of each dimension; values outside are clipped.

    Args:
      vectors: [rows, dim], of the corpus.
      fewest: rows that a calibration needs: on a few, ranges are accidents (on one, all codes are equal).

    Returns: `Int8`.
    Raises: ValueError for too few rows, vectors that are not finite, a row a million times as large as the
    others, whose range would give all others one code.
    """
    vectors = _calibration(vectors, fewest)
    low, high = vectors.min(axis=0), vectors.max(axis=0)
    return Int8(low, np.where(high > low, (high - low) / 255, 1).astype(np.float32))


def fit_binary(
    vectors: Array, *, threshold: Array | float | None = None, fewest: int = 100
) -> Binary:
    """Fits a binary quantizer: a threshold per dimension, and the mean of each side.

    Args:
      vectors: [rows, dim], of the corpus.
      threshold: [dim] or a number; None takes each dimension's median, which makes every bit say most.
        0 is the sign, which needs no calibration but for decoding.
      fewest: as in `fit_int8`.

    Returns: `Binary`.
    Raises: ValueError for too few rows, or vectors that are not finite.
    """
    vectors = _calibration(vectors, fewest)
    if threshold is None:
        threshold = np.median(vectors, axis=0)
    checks.finite("threshold", threshold)
    if np.shape(threshold) not in ((), vectors.shape[1:]):
        checks.shaped("threshold", threshold, vectors.shape[1:], "one per dimension")
    threshold = np.broadcast_to(np.asarray(threshold, np.float32), vectors.shape[1:])
    bits = vectors > threshold
    means = []
    for side in (~bits, bits):
        count = side.sum(axis=0)
        mean = np.where(side, vectors, 0).sum(axis=0) / np.maximum(count, 1)
        means.append(np.where(count > 0, mean, threshold).astype(np.float32))
    return Binary(threshold.copy(), *means)


def encoded(quantizer: Int8 | Binary, vectors: Array) -> np.ndarray:
    """Encodes vectors: int8 [n, dim] or uint32 [n, ceil(dim / 32)]. A file's vectors are read in blocks.

    Raises: ValueError for another dim, or vectors that are not finite, which have no code.
    """
    _known_quantizer("quantizer", quantizer)
    vectors = vectors if hasattr(vectors, "shape") else checks.one_array("vectors", vectors)
    checks.shaped("vectors", vectors, (None, len(quantizer[0])), "of the quantizer's dim")
    if len(vectors) == 0:
        raise ValueError("vectors must not be empty, got 0 rows")
    encode = _INT8 if isinstance(quantizer, Int8) else _BINARY
    codes = []
    for start in range(0, len(vectors), ROWS):
        block = checks.reals("vectors", np.asarray(vectors[start : start + ROWS]))
        checks.finite_rows(f"vectors (from row {start} on)" if start else "vectors", block)
        codes.append(np.asarray(encode(quantizer, block)))
    return np.concatenate(codes)


def decoded(quantizer: Int8 | Binary, codes: Array) -> jax.Array:
    """Decodes codes to vectors float32 [n, dim]."""
    _known_quantizer("quantizer", quantizer)
    wanted = np.int8 if isinstance(quantizer, Int8) else np.uint32
    if not hasattr(codes, "dtype") or codes.dtype != wanted:
        got = getattr(codes, "dtype", type(codes).__name__)
        raise ValueError(f"codes must be {wanted.__name__}, as `encoded` gives them, got {got}")
    width = len(quantizer[0]) if wanted is np.int8 else -(-len(quantizer[0]) // 32)
    checks.shaped("codes", codes, (*codes.shape[:-1], width), "of the quantizer's dim")
    return _decoded(quantizer, codes)


def _decoded(quantizer, codes):
    if isinstance(quantizer, Int8):
        return quantizer.low + (jnp.asarray(codes, jnp.float32) + 128) * quantizer.step
    bits = unpack(codes, len(quantizer.threshold))
    return jnp.where(bits, quantizer.above, quantizer.below)


def quantized(quantizer: Int8 | Binary, vectors: Array) -> Quantized:
    """Quantizes a corpus, vectors float [n, dim]: the codes with their quantizer."""
    return Quantized(quantizer, encoded(quantizer, vectors))


def coarse_to_fine(
    queries: Array,
    corpus: Quantized,
    k: int,
    *,
    items: Array | None = None,
    oversample: int = 4,
    similarity: Similarity = dot,
    where: Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Search with rescoring: the k best by exact similarity among the k * oversample best by codes.

    The first stage is under the same similarity as the second. Under the dot product int8 codes meet the
    float query as they are, and bits its bits, by Hamming distance; for any other, codes are decoded block
    by block, which takes about as long as a search among vectors. Bits know directions better than norms:
    for cosines by Hamming distance give rows of norm 1 and the dot product.

    Args:
      queries: float [m, dim].
      corpus: `Quantized`, of n items.
      k: how many, at most n.
      items: [n, dim] to rescore with, often a `numpy.memmap`, of which only the candidates are read;
        None decodes the codes.
      oversample: candidates per wanted item, at least 1; what exceeds n is not used.
      similarity: of both stages, of vectors.
      where: bool [n], False for items that must not be found.

    Returns: (scores [m, k], ids int32 [m, k]), closest first; -inf and -1 where fewer are kept. An item
    whose score is NaN is not found.
    Raises: ValueError for shapes that do not fit, queries that are not finite.
    """
    if not isinstance(corpus, Quantized):
        raise ValueError(
            f"corpus must be `Quantized`, as search.quantized gives it, got {checks.shown(corpus)}"
        )
    quantizer, codes = corpus
    _known_quantizer("corpus.quantizer", quantizer)
    checks.function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    queries = checks.vectors("queries", queries)
    checks.shaped("queries", queries, (None, len(quantizer[0])), "of the quantizer's dim")
    checks.at_most("k", k, len(codes), "the number of items")
    checks.whole("oversample", oversample)
    checks.finite_rows("queries", queries, squares=similarity in EUCLIDEAN)
    if items is not None:
        items = items if hasattr(items, "shape") else checks.one_array("items", items)
        checks.shaped("items", items, (len(codes), len(quantizer[0])), "the corpus' own vectors")
        if np.dtype(items.dtype).kind in "USOMmc":
            raise ValueError(f"items must be real numbers, got {items.dtype}")
    if len(queries) == 0:
        return jnp.zeros((0, k)), jnp.zeros((0, k), jnp.int32)
    wanted = min(k * oversample, len(codes))
    ids = _candidates(queries, corpus, wanted, similarity, where)
    ids = np.sort(np.asarray(ids), axis=1)  # so that ties go to the lowest id
    known = ids >= 0
    if items is None:
        candidates = _decoded(quantizer, np.asarray(codes)[np.maximum(ids, 0)])
    else:
        candidates = np.asarray(items[np.maximum(ids, 0).ravel()]).reshape(*ids.shape, -1)
    best, places = _RESCORED(queries, candidates, known, similarity, k)
    return best, jnp.where(places < 0, -1, jnp.take_along_axis(jnp.asarray(ids), places, axis=1))


def _candidates(queries, corpus, wanted, similarity, where):
    """The items whose codes are closest to each query: ids [m, wanted]."""
    quantizer, codes = corpus
    if similarity is dot and isinstance(quantizer, Int8):
        # q . (low + (c + 128) step) is (q step) . c and a constant
        return exact(queries * quantizer.step, codes, wanted, where=where)[1]
    if similarity is dot:
        bits = _BINARY(quantizer, queries)
        return exact(bits, codes, wanted, similarity=negative_hamming, where=where)[1]
    if similarity in EUCLIDEAN:
        # Both sides shifted to the middle of the codes: no block of items has another center.
        middle = quantizer[0]
        if isinstance(quantizer, Int8):
            middle = quantizer.low + 127.5 * quantizer.step
        queries, quantizer = queries - middle, _shifted(quantizer, middle)
        similarity = _SQUARED
    # What decodes goes along with every query, for the search knows arrays of queries and of items alone.
    every = [jnp.broadcast_to(a, (len(queries), a.size)) for a in quantizer]
    block = max(wanted, block_entries(ENTRIES) // max(queries.shape[1], QUERIES))
    return exact(
        (queries, type(quantizer)(*every)),
        codes,
        wanted,
        similarity=_of_codes(similarity),
        where=where,
        block=block,
        query_block=QUERIES,
    )[1]


@functools.cache
def _of_codes(similarity):
    """A similarity of (queries, quantizer) with codes, decoded; one function for each, compiled once."""

    def of_codes(x, codes):
        queries, quantizer = x
        return similarity(queries, _decoded(jax.tree.map(lambda a: a[0], quantizer), codes))

    return of_codes


_SQUARED = functools.partial(negative_squared_euclidean, center=0)


def _shifted(quantizer, middle):
    if isinstance(quantizer, Int8):
        return quantizer._replace(low=quantizer.low - middle)
    return Binary(*(part - middle for part in quantizer))


def save_quantized(path: str | os.PathLike, corpus: Quantized) -> None:
    """Saves a `Quantized` corpus to one checksummed file, written atomically.

    Raises: ValueError for another class, arrays that do not fit each other, or a path that another process
    writes; OSError naming the file.
    """
    if not isinstance(corpus, Quantized) or type(corpus.quantizer) not in SHAPES:
        raise ValueError(f"corpus must be Quantized by Int8 or Binary, got {corpus!r:.60}")
    quantizer, codes = corpus
    arrays = {"codes": codes, **quantizer._asdict()}
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    fitting("corpus", arrays, SHAPES[type(quantizer)], _misfit)
    meta = {"quantizer": type(quantizer).__name__.lower()}
    save_arrays(path, arrays, kind="quantized", version=VERSION, meta=meta)


def load_quantized(path: str | os.PathLike, *, mmap: bool = False) -> Quantized:
    """Loads what `save_quantized` wrote; with mmap=True codes stay in the file and are streamed.

    Raises: ValueError naming a file that is damaged, of another kind or version, or whose arrays do not fit
    each other.
    """
    arrays, meta = load_arrays(path, kind="quantized", version=VERSION, mmap=mmap)
    kinds = {kind.__name__.lower(): kind for kind in SHAPES}
    kind = kinds[Fields(path, meta, "meta").text("quantizer", choices=tuple(kinds))]
    fitting(path, arrays, SHAPES[kind], _misfit)
    codes = arrays.pop("codes")
    return Quantized(kind(**{name: np.asarray(array) for name, array in arrays.items()}), codes)


def _misfit(arrays, lengths):
    """What is wrong with the numbers of a stored quantizer; None where nothing is."""
    if "w" in lengths and lengths["w"] != -(-lengths["d"] // 32):
        return f"codes of {lengths['d']} bits must be [{lengths['n']}, {-(-lengths['d'] // 32)}], got {lengths['w']} words"
    for name, array in arrays.items():
        if name != "codes" and not np.isfinite(array).all():
            return f"{name} must be finite, got values that are not"
    if "step" in arrays and not (arrays["step"] > 0).all():
        return f"step must be > 0, got {arrays['step'].min()}"
    return None


def _int8(quantizer, vectors):
    scaled = (jnp.asarray(vectors, jnp.float32) - quantizer.low) / quantizer.step - 128
    return jnp.clip(jnp.round(scaled), -128, 127).astype(jnp.int8)


def _binary(quantizer, vectors):
    return pack(jnp.asarray(vectors, jnp.float32) > quantizer.threshold)


def _rescored(queries, candidates, known, similarity, k):
    scores = jax.vmap(lambda q, c: similarity(q[None], c)[0])(queries, candidates)
    return top_k(scores, k, where=known)


_INT8, _BINARY = jax.jit(_int8), jax.jit(_binary)
_RESCORED = jax.jit(_rescored, static_argnums=(3, 4))


def _known_quantizer(name, quantizer):
    if not isinstance(quantizer, Int8 | Binary):
        raise ValueError(
            f"{name} must be what search.fit_int8 or fit_binary gives, got {checks.shown(quantizer)}"
        )


def _calibration(vectors, fewest):
    checks.whole("fewest", fewest)
    vectors = np.asarray(checks.reals("vectors", vectors), np.float32)
    checks.shaped("vectors", vectors, (None, None), "of the corpus")
    if len(vectors) < fewest:
        raise ValueError(
            f"vectors must have at least {fewest} rows to calibrate on, got {len(vectors)}"
        )
    checks.finite_rows("vectors", vectors)
    like_sizes("vectors", np.abs(vectors).max(axis=1, initial=0))
    return vectors
