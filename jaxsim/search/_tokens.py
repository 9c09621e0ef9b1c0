"""Late interaction over a corpus (ColBERT): token vectors of ragged documents without padding, searched exactly.

    vectors float [tokens, dim] of all documents one after the other, offsets int [n + 1]

Document i has the vectors from offsets[i] to offsets[i + 1]. Both may be memory-mapped.
"""

import dataclasses
import functools
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsim.numerics import checks
from jaxsim.numerics._encoding import batch_of_tokens, tokens_of_batch
from jaxsim.numerics._token_encoding import TokenBatches
from jaxsim.numerics._topk import top_k
from jaxsim.numerics.types import Array, ArrayTree, Devices, Similarity
from jaxsim.search._brute_force import AXIS, chosen, excluded, filtered
from jaxsim.search._corpus import stored
from jaxsim.similarity import max_sim
from jaxsim.storage import bar, write_bytes

PIECE = 4096  # texts that are tokenized at once
KINDS = 8  # lengths that documents are padded to, at most: a program is compiled for each
LENGTHS = 256  # that are told apart when these are chosen


def encode_tokens(
    encode: Callable[..., Any],
    params: ArrayTree,
    rows: Callable[[list[str]], Sequence],
    texts: Sequence[str],
    *,
    path: str | os.PathLike | None = None,
    batch_tokens: int | None = None,
    chunk: int = 2**16,
    fingerprint: Any = "",
    label: str = "encoding",
) -> tuple[np.ndarray, np.ndarray]:
    """Encodes a corpus for late interaction: the vectors of all tokens that count, and where each text begins.

        vectors, offsets = search.encode_tokens(model.encode, model.params, model.rows, texts, path="docs.npy")

    Args:
      encode: (params, {"tokens", "where", "seen", "scored"}) -> {"vectors" [b, length, dim], "where"}.
      params: its parameters.
      rows: list of texts -> list of rows with `tokens`, `seen` and `scored`, as `MultiVectorModel.rows`.
      texts: a sequence of strings.
      path: a .npy file for the vectors, written chunk by chunk and mapped, with the offsets next to it
        (docs.offsets.npy); a killed call resumes where it was. None keeps them in memory.
      batch_tokens: tokens per batch over all devices, padding included; None takes 4,096, and 1,024 of each CPU.
      chunk: vectors that are written together, and what a kill may lose.
      fingerprint: of the model and the texts; a file of another one is refused.
      label: of the progress bar.

    Returns: (numpy float32 [tokens, dim], read-only and memory-mapped where there is a path; int64 [n + 1]).
    Raises: ValueError for no texts, no tokens that count and vectors that are not finite, and as `encode_corpus`.
    """
    if isinstance(texts, (str, bytes)):
        raise ValueError(f"texts must be a sequence of strings, got one: {texts!r:.60}")
    texts = texts if hasattr(texts, "__getitem__") else list(texts)
    checks.function("rows", rows, "(texts) -> rows of tokens, such as model.rows")
    batch_tokens = tokens_of_batch(batch_tokens)
    checks.whole("chunk", chunk)
    if len(texts) == 0:
        raise ValueError("texts must not be empty, got 0")
    counts = [
        int(row.scored.sum())
        for start in range(0, len(texts), PIECE)
        for row in rows(list(texts[start : start + PIECE]))
    ]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    total = int(offsets[-1])
    if total == 0:
        raise ValueError("texts must have tokens that count, got none")

    def fill(store):
        if store.begun < total:
            batch_of = batch_of_tokens(batch_tokens, len(jax.local_devices()))
            run = TokenBatches(encode, params, batch_of)
            with bar(total, label, "tokens") as progress:
                progress.skip(store.begun)
                for start in range(store.begun, total, chunk):
                    end = min(start + chunk, total)
                    store.put(start, _between(run, rows, texts, offsets, start, end, label))
                    progress.advance(end - start)
        return store.close()

    digest = hashlib.sha256(offsets.tobytes()).hexdigest()[:16]
    vectors = stored(fill, encode, total, path, chunk, [fingerprint, digest], None)
    if path is not None:
        file = io.BytesIO()
        np.save(file, offsets)
        write_bytes(offsets_of(path), file.getvalue())
    return vectors, offsets


def offsets_of(path: str | os.PathLike) -> Path:
    """The file of the offsets of a file of vectors: docs.npy -> docs.offsets.npy."""
    return Path(path).with_suffix(".offsets.npy")


def _between(run, rows, texts, offsets, start, end, label):
    """The vectors of the tokens from `start` to `end`: of the texts that they belong to, cut."""
    first = int(np.searchsorted(offsets, start, side="right")) - 1
    last = int(np.searchsorted(offsets, end, side="left"))
    vectors = np.concatenate(run(rows(list(texts[first:last]))))
    if bad := (~np.isfinite(vectors).all(axis=1)).sum():
        raise ValueError(
            f"{label}: {bad} vectors are not finite among the texts {first} to {last - 1}; finished chunks "
            "are kept"
        )
    return vectors[start - offsets[first] : end - offsets[first]]


def exact_tokens(
    queries: Mapping[str, Array],
    vectors: Array,
    offsets: Array,
    k: int,
    *,
    similarity: Similarity = max_sim,
    where: Array | None = None,
    exclude: Array | None = None,
    block: int = 2**15,
    query_block: int = 32,
    devices: Devices = None,
) -> tuple[jax.Array, jax.Array]:
    """Exact late interaction search (MaxSim, ColBERT) of ragged documents: the k most similar of each query.

    Documents of nearly equal lengths are padded together and scored block by block, spread over the devices; the
    vectors are read in that order and never held as a whole. `search.exact` does the same for documents
    that are padded already, {"vectors" [n, length, dim], "where"}. Ties go to the lowest id.

    Args:
      queries: {"vectors" [m, length, dim], "where" bool [m, length]}.
      vectors: float [tokens, dim], of all documents one after the other; may be memory-mapped.
      offsets: int [n + 1], where each document begins, from 0 to the number of tokens.
      k: how many, at most n.
      similarity: `similarity.max_sim` or `similarity.mean_max_sim`, or another of such texts.
      where: bool [n], False for documents that must not be found.
      exclude: int [m, e], documents that a query must not find; -1 means nothing.
      block: tokens per block over all devices, padding included.
      query_block: queries per block.
      devices: the devices to use; None takes all of this process.

    Returns: (scores [m, k], ids int32 [m, k]), closest first. Where fewer than k documents have a score, the rest
    are -inf with id -1; a document without a token is not found.
    Raises: ValueError for shapes that do not fit, offsets that do not increase, and k above n.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import search
      >>> query = {"vectors": np.eye(2)[None], "where": np.ones((1, 2), bool)}
      >>> documents = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 0.5]])  # of one token, and of two
      >>> scores, ids = search.exact_tokens(query, documents, np.array([0, 1, 3]), k=2)
      >>> print(scores, ids)
      [[1. 1.]] [[0 1]]
    """
    checks.shaped("vectors", vectors, (None, None), "one row per token")
    offsets = _checked_offsets(offsets, vectors.shape[0])
    count = len(offsets) - 1
    checks.whole("block", block)
    allowed = filtered(where, count)
    mesh = Mesh(np.array(chosen(devices)), (AXIS,))

    def blocks():
        return _placed(_blocks(vectors, offsets, allowed, block, mesh.size), mesh)

    return _best(queries, blocks, mesh, count, k, similarity, None, exclude, query_block)


@dataclasses.dataclass(frozen=True)
class TokenIndex:
    """Documents of token vectors, padded and in the memory of devices. `token_index` makes them."""

    blocks: tuple[
        tuple[jax.Array, dict[str, jax.Array]], ...
    ]  # (ids, documents) of nearly equal lengths
    count: int  # of documents
    mesh: Mesh  # of the devices


def token_index(
    vectors: Array, offsets: Array, *, block: int = 2**15, devices: Devices = None
) -> TokenIndex:
    """Index of token vectors (ColBERT) for `token_exact`: documents padded once, and kept in the memory of devices.

        index = search.token_index(*search.encode_tokens(model.encode, model.params, model.rows, texts))

    For one query after another: `exact_tokens` pads what it reads in every call, and needs memory for two blocks.

    Args:
      vectors: float [tokens, dim], of all documents one after the other.
      offsets: int [n + 1], where each document begins, from 0 to the number of tokens.
      block: tokens per block over all devices, padding included.
      devices: which hold the documents, each a part of every block; None takes all of this process.

    Returns: `TokenIndex`; a tenth or so more numbers than vectors has.
    Raises: ValueError for shapes that do not fit and offsets that do not increase.
    """
    checks.shaped("vectors", vectors, (None, None), "one row per token")
    offsets = _checked_offsets(offsets, vectors.shape[0])
    checks.whole("block", block)
    mesh = Mesh(np.array(chosen(devices)), (AXIS,))
    blocks = _placed(_blocks(vectors, offsets, None, block, mesh.size, reuse=False), mesh)
    return TokenIndex(tuple(blocks), len(offsets) - 1, mesh)


def token_exact(
    queries: Mapping[str, Array],
    index: TokenIndex,
    k: int,
    *,
    similarity: Similarity = max_sim,
    where: Array | None = None,
    exclude: Array | None = None,
    query_block: int = 32,
) -> tuple[jax.Array, jax.Array]:
    """Exact late interaction search (MaxSim, ColBERT) in an index: what `exact_tokens` finds, without its padding.

    Args:
      queries: {"vectors" [m, length, dim], "where" bool [m, length]}.
      index: of the documents.
      k: how many, at most n.
      similarity, where, exclude, query_block: as of `exact_tokens`.

    Returns: (scores [m, k], ids int32 [m, k]), as of `exact_tokens`.
    Raises: ValueError for what is not an index, masks that do not fit, and k above n.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import search
      >>> documents = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 0.5]])  # of one token, and of two
      >>> index = search.token_index(documents, np.array([0, 1, 3]))
      >>> query = {"vectors": np.eye(2)[None], "where": np.ones((1, 2), bool)}
      >>> scores, ids = search.token_exact(query, index, k=1, where=np.array([False, True]))
      >>> print(scores, ids)
      [[1.]] [[1]]
    """
    if not isinstance(index, TokenIndex):
        raise ValueError(
            f"index must be a `TokenIndex`, as search.token_index gives it, got {checks.shown(index)}"
        )
    allowed = filtered(where, index.count)
    return _best(
        queries,
        lambda: index.blocks,
        index.mesh,
        index.count,
        k,
        similarity,
        allowed,
        exclude,
        query_block,
    )


def _best(queries, blocks, mesh, count, k, similarity, allowed, exclude, query_block):
    """The k best of all blocks of documents, (ids, documents) on the devices of a mesh."""
    checks.function("similarity", similarity, "of token vectors, such as similarity.max_sim")
    rows = checks.rows_of("queries", queries)
    checks.at_most("k", k, count, "the number of documents")
    checks.whole("query_block", query_block)
    exclude = np.full((rows, 1), -1) if exclude is None else excluded(exclude, rows, count)
    whole = NamedSharding(mesh, PartitionSpec())
    parts = [slice(start, start + query_block) for start in range(0, rows, query_block)]
    sides = [
        jax.device_put(({n: np.asarray(a)[part] for n, a in queries.items()}, exclude[part]), whole)
        for part in parts
    ]
    none = np.full((rows, k), -np.inf, np.float32), np.full((rows, k), -1, np.int32)
    best = [jax.device_put(tuple(a[part] for a in none), whole) for part in parts]
    allowed = None if allowed is None else jax.device_put(np.asarray(allowed), whole)
    for ids, documents in blocks():
        for part, side in enumerate(sides):
            # One program at a time: what is read runs one block ahead of the devices, no more.
            jax.block_until_ready(best)
            best[part] = _better(similarity, k, mesh, *side, documents, ids, allowed, best[part])
    if not best:
        return jnp.asarray(none[0]), jnp.asarray(none[1])
    return tuple(
        jnp.asarray(np.concatenate([np.asarray(a) for a in side]))
        for side in zip(*best, strict=True)
    )


def _placed(blocks, mesh):
    """Blocks on the devices of a mesh: all ids on each, and a part of the documents."""
    whole, spread = (NamedSharding(mesh, spec) for spec in (PartitionSpec(), PartitionSpec(AXIS)))
    for ids, documents in blocks:
        yield jax.device_put(ids, whole), jax.device_put(documents, spread)


def _checked_offsets(offsets, tokens):
    offsets = checks.one_array("offsets", offsets)
    checks.shaped("offsets", offsets, (None,), "where each document begins, and the end")
    checks.integers("offsets", offsets)
    fits = len(offsets) > 1 and offsets[0] == 0 and offsets[-1] == tokens
    if not fits or (np.diff(offsets) < 0).any():
        raise ValueError(
            f"offsets must increase from 0 to the {tokens} rows of vectors, got {checks.shown(offsets)}"
        )
    return offsets.astype(np.int64)


def _blocks(
    vectors, offsets, allowed, block, devices, reuse=True
) -> Iterator[tuple[np.ndarray, dict]]:
    """Documents of nearly equal lengths: (ids int32 [b], {"vectors" [b, length, dim], "where"}), -1 for padding.

    With `reuse` a block's arrays hold until the one after the next is asked for.
    """
    lengths = np.diff(offsets)
    ends = _ends(lengths, block)
    kinds = np.searchsorted(ends, lengths)
    found = lengths > 0 if allowed is None else allowed & (lengths > 0)
    dim, spaces = vectors.shape[1], []
    if reuse:
        # One is filled while the other is scored: memory that is written for the first time costs more than the scores.
        most = block + 2 * devices * int(ends[-1])
        spaces = [np.empty((most, dim), vectors.dtype) for _ in range(2)]
    for kind, length in enumerate(ends.tolist()):
        of_kind = np.flatnonzero((kinds == kind) & found)
        if len(of_kind) == 0:
            continue
        size = _size(
            ((kinds == kind) & (lengths > 0)).sum(), len(of_kind), block // length, devices
        )
        for start in range(0, len(of_kind), size):
            ids = np.full(size, -1, np.int32)
            members = of_kind[start : start + size]
            ids[: len(members)] = members
            where = np.zeros((size, length), bool)
            where[: len(members)] = np.arange(length) < lengths[members, None]
            spaces.reverse()
            space = spaces[0] if reuse else np.empty((size * length, dim), vectors.dtype)
            documents = space[: size * length].reshape(size, length, dim)
            for place, member in enumerate(members):
                begin, end = offsets[member], offsets[member + 1]
                documents[place, : end - begin] = vectors[begin:end]
                documents[place, end - begin :] = 0
            documents[len(members) :] = 0
            yield ids, {"vectors": documents, "where": where}


def _ends(lengths, block):
    """At most KINDS lengths to pad documents to, by which the least is padded: few where all fit into a few blocks.

    Those of all documents, so that a filter has the same.
    """
    found, counts = np.unique(lengths[lengths > 0], return_counts=True)
    if len(found) == 0:
        return np.ones(1, int)
    if len(found) > LENGTHS:  # the longest within each of so many steps, equal by their ratio
        steps = np.ceil(np.log(found / found[0]) / np.log(found[-1] / found[0]) * (LENGTHS - 1))
        last = np.append(steps[1:] > steps[:-1], True)
        counts, found = (
            np.add.reduceat(counts, np.append(0, np.flatnonzero(last)[:-1] + 1)),
            found[last],
        )
    kinds = min(KINDS, len(found), 1 + int(counts.sum() * found[-1] // (block // KINDS + 1)))
    upto = np.cumsum(counts)
    # Tokens of the documents longer than the i-th length, up to the j-th, all padded to the j-th.
    padded = np.where(upto[:, None] < upto, (upto - upto[:, None]) * found, np.inf)
    least, shorter = upto * found, []
    for _ in range(kinds - 1):
        sums = least[:, None] + padded
        shorter.append(sums.argmin(axis=0))
        least = sums.min(axis=0)
    places = [len(found) - 1]
    for of_place in reversed(shorter):
        places.append(of_place[places[-1]])
    return found[places[::-1]]


def _size(count, left, most, devices):
    """Documents of a block, of all of one length or of those that a filter has left.

    Without a filter all blocks are of one size, with one they are the same or, where the last would not be half
    full, a power of two: few are compiled.
    """
    size = -(-count // -(-count // max(most, 1)))
    if left <= size // 2:
        size = 1 << (int(left) - 1).bit_length()
    return size + -size % devices


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _better(similarity, k, mesh, queries, exclude, documents, ids, allowed, best):
    """The k best of what is known and of a block of documents; of equal scores the lowest ids."""
    specs = PartitionSpec(), PartitionSpec(AXIS)
    # Unchecked: a similarity of anybody's need not say what varies over devices.
    scores = jax.shard_map(
        similarity,
        mesh=mesh,
        in_specs=specs,
        out_specs=PartitionSpec(None, AXIS),
        check_vma=False,
    )(queries, documents).astype(jnp.float32)
    wanted = (ids >= 0) & (exclude[:, :, None] != ids).all(axis=1)
    if allowed is not None:
        wanted &= allowed[ids]
    scores, places = top_k(scores, min(k, len(ids)), where=wanted)
    hits = jnp.where(places < 0, -1, ids[jnp.maximum(places, 0)])
    scores = jnp.concatenate([best[0], scores], axis=1)
    # What is not found comes after every document of the same score.
    hits = jnp.concatenate([best[1], hits], axis=1)
    order = jnp.where(hits < 0, jnp.iinfo(jnp.int32).max, hits)
    negative, _, hits = jax.lax.sort((-scores, order, hits), num_keys=2)
    return -negative[:, :k], hits[:, :k]
