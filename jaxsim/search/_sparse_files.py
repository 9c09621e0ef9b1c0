"""Inverted indexes in folders: saved, loaded, and filled block by block from texts."""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._encoding import batch_of_tokens, text_chunks, text_encoder, tokens_of_batch
from jaxsim.numerics.types import ArrayTree, Encode
from jaxsim.search._corpus import arithmetic_of, written_with
from jaxsim.search._sparse import BLOCK, TILE, Postings, SparseIndex, a_sparse_index, csr, postings
from jaxsim.storage import (
    Fields,
    bar,
    check_place,
    load_arrays,
    owned,
    read_object,
    write_folder,
    write_json,
)
from jaxsim.storage._arrays import write_arrays

MARK, VERSION = "sparse.json", 1
CHUNK = 512  # texts whose dense vectors are alive at once
SETTINGS = ("count", "dim", "block")


def save_sparse_index(path: str | os.PathLike, index: SparseIndex) -> None:
    """Saves an index to a folder: a checksummed file for each block, and what they are.

    Args:
      path: of the folder: a new one, or that of a saved index, which is replaced.
      index: as `sparse_index` gives it.

    Raises: ValueError for a folder that holds anything else, or that another process writes; OSError naming the
    file.
    """
    a_sparse_index("index", index)
    about = {name: getattr(index, name) for name in SETTINGS}
    with write_folder(path, kind="sparse index") as aside:
        for number, one in enumerate(index.blocks):
            _write(aside, number, one, about)
        write_json(aside / MARK, {"version": VERSION, **about, "finished": True})


def load_sparse_index(path: str | os.PathLike, *, mmap: bool = False) -> SparseIndex:
    """Loads what `save_sparse_index` or `encode_sparse_corpus` wrote.

    Args:
      path: the folder.
      mmap: leave the postings in the files, mapped: a search reads those of its queries' dimensions.

    Returns: `SparseIndex`.
    Raises: FileNotFoundError; ValueError naming a file that is damaged, of another kind, or of an index that is
    not finished.
    """
    path = Path(path)
    known = read_object(path / MARK)
    if known.whole("version") != VERSION:
        raise known.wrong("version", f"{VERSION}; rebuild it")
    if not known.flag("finished", False):
        raise ValueError(f"{path}: the index is not finished: run again what wrote it")
    return _loaded(path, {name: known.whole(name, least=1) for name in SETTINGS}, mmap)


def encode_sparse_corpus(
    encode: Encode,
    params: ArrayTree,
    tokenize: Callable[[list[str]], Sequence],
    texts: Iterable,
    *,
    path: str | os.PathLike | None = None,
    batch_tokens: int | None = None,
    lengths: Sequence[int] | None = None,
    block: int = BLOCK,
    dtype: jax.typing.DTypeLike | None = None,
    fingerprint: Any = "",
    label: str = "encoding",
) -> SparseIndex:
    """Encodes a corpus with a sparse encoder into an inverted index, for `sparse_exact`.

        index = encode_sparse_corpus(model.encode, model.params, model.tokens, texts, path="docs.sparse")

    As `encode_corpus`; dense vectors of at most 512 texts are alive at once.

    Args:
      encode, params, tokenize, texts, batch_tokens, lengths, dtype, label: as for `encode_corpus`.
      path: of a folder, filled block by block and mapped: a killed call resumes after the last finished block. None
        keeps the index in memory.
      block: items of a block, and what a kill may lose.
      fingerprint: of the model and the texts; a folder of another one is refused.

    Returns: `SparseIndex`.
    Raises: as `encode_corpus`; finished blocks stay.
    """
    if isinstance(texts, (str, bytes)):
        raise ValueError(f"texts must be a sequence of strings, got one: {texts!r:.60}")
    rows: Any = texts if hasattr(texts, "__getitem__") else list(texts)
    batch_tokens = tokens_of_batch(batch_tokens)
    checks.whole("block", block)
    if len(rows) == 0:
        raise ValueError("texts must not be empty, got 0")
    one = {
        "tokens": jax.ShapeDtypeStruct((1, 1), jnp.int32),
        "where": jax.ShapeDtypeStruct((1, 1), jnp.bool_),
    }
    dim = jax.eval_shape(encode, params, one).shape[1]
    about = {"count": len(rows), "dim": dim, "block": min(block, len(rows))}

    def encoded(missing: Sequence[int]) -> Iterator[tuple[int, Postings]]:
        run = text_encoder(encode, params, dtype)
        size = about["block"]
        with bar(len(rows), label, "texts") as progress:
            progress.skip(len(rows) - sum(len(rows[n * size : (n + 1) * size]) for n in missing))
            for number in missing:
                chunks: Any = text_chunks(
                    run,
                    tokenize,
                    rows[number * size : (number + 1) * size],
                    begun=0,
                    chunk=CHUNK,
                    batch_of=batch_of_tokens(batch_tokens, run.devices),
                    lengths=lengths,
                    label=label,
                    advance=progress.advance,
                )
                with contextlib.closing(chunks):
                    yield number, postings(_stacked([csr("vectors", v) for _, v in chunks]), size)

    numbers = range(-(-about["count"] // about["block"]))
    if path is None:
        return SparseIndex(tuple(one for _, one in encoded(numbers)), **about)
    # As it comes back from a file: tuples are lists there.
    run = {"fingerprint": fingerprint, "dtype": arithmetic_of(encode, dtype)}
    settings = json.loads(json.dumps(run))
    path = Path(path)
    if _finished(path, about | settings):
        return _loaded(path, about, True)
    with owned(path):
        if not _finished(path, about | settings):
            write_json(path / MARK, {"version": VERSION, **about, **settings, "finished": False})
            missing = [number for number in numbers if not _named(path, number).exists()]
            for number in set(numbers) - set(missing):
                _read(path, number, about, True)  # what is there is whole
            for number, one in encoded(missing) if missing else ():
                _write(path, number, one, about)
            write_json(path / MARK, {"version": VERSION, **about, **settings, "finished": True})
    return _loaded(path, about, True)


def _stacked(parts):
    from scipy.sparse import csr_array, vstack  # comes with jax

    return parts[0] if len(parts) == 1 else csr_array(vstack(parts, format="csr"))


def _finished(path, about):
    """Whether a folder is whole; refuses one of something else, or of other texts."""
    check_place("path", path, mark=MARK, kind="a sparse index")
    if not (path / MARK).exists():
        return False
    return written_with(read_object(path / MARK), about, path).flag("finished", False)


def _loaded(path, about, mmap):
    numbers = range(-(-about["count"] // about["block"]))
    return SparseIndex(tuple(_read(path, number, about, mmap) for number in numbers), **about)


def _named(path, number):
    return path / f"block-{number:06d}"


def _write(path, number, one, about):
    arrays = {name: np.asarray(array) for name, array in one._asdict().items()}
    meta = {**about, "number": number}
    write_arrays(_named(path, number), arrays, kind="sparse block", version=VERSION, meta=meta)


def _read(path, number, about, mmap):
    """The postings of a block, checked."""
    file = _named(path, number)
    arrays, meta = load_arrays(file, kind="sparse block", version=VERSION, mmap=mmap)
    known = Fields(file, meta, "meta")
    for name, wanted in {**about, "number": number}.items():
        if known.raw(name) != wanted:
            raise known.wrong(name, f"{wanted}, as the index has it")
    fitting = set(arrays) == set(Postings._fields)
    if fitting:
        starts, items, values = (arrays[name] for name in Postings._fields)
        tiles = items.shape[0] if items.ndim else -1
        fitting = (
            starts.shape == (about["dim"] + 1,)
            and items.shape == values.shape == (tiles, TILE)
            and (starts.dtype, items.dtype, values.dtype) == (np.int32, np.int32, np.float32)
            and starts[0] == 0
            and starts[-1] == tiles
            and not (np.diff(starts) < 0).any()
        )
    if not fitting:
        raise ValueError(f"{file}: must hold the postings of a block; rebuild it")
    return Postings(np.array(arrays["starts"]), arrays["items"], arrays["values"])
