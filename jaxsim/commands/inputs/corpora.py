"""A corpus, of texts or pictures, with its vectors in a folder: what `index` builds and `search` reads."""

import argparse
import contextlib
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsim import data, search, similarity, storage
from jaxsim.commands.inputs import models, pictures
from jaxsim.commands.inputs.columns import column_of, ids_of
from jaxsim.commands.options.usual import DOCUMENT_PROMPTS
from jaxsim.numerics.types import Array, Similarity
from jaxsim.search._sparse_files import MARK as SPARSE_MARK

VERSION = 2
MARK = "index.json"  # in every index: what it was built from
SPARSE = "sparse"  # the folder of a sparse encoder's vectors in it


class Corpus(NamedTuple):
    """Texts and their ids, as the file has them, or pictures."""

    texts: list  # of pictures: what they are called
    ids: list  # of strings
    images: list | None = None  # paths


class TokenVectors(NamedTuple):
    """The vectors of all tokens of a corpus one after the other, and where each text begins."""

    vectors: np.ndarray  # [tokens, dim]
    offsets: np.ndarray  # int [texts + 1]

    @property
    def shape(self) -> tuple[int, int]:
        """How many texts, and the size of a vector."""
        return len(self.offsets) - 1, self.vectors.shape[1]


def folder_of(chosen: argparse.Namespace) -> Path:
    """The folder of the index."""
    return Path(chosen.index or f"{Path(chosen.corpus)}.index")


def read(chosen: argparse.Namespace, *, words: bool = False) -> Corpus:
    """The corpus, checked; the folder of its index too. No model is needed for it.

    Args:
      chosen: the options.
      words: whether white space in an id is refused.

    Raises: ValueError for texts or ids that do not fit, a folder that is not an index, or one of another
    corpus.
    """
    folder = folder_of(chosen)
    storage.check_place(
        "--index", folder, mark=MARK, kind="an index that jaxsim wrote", writing=False
    )
    corpus = _read(chosen, words)
    if corpus.images is not None and chosen.document_prompt is not None:
        raise ValueError("--document-prompt has no effect on pictures")
    _check_settings(folder, _of_corpus(corpus))
    if not _whole(folder):
        storage.check_place("--index", folder, mark=MARK, kind="an index that jaxsim wrote")
    return corpus


def _read(chosen, words):
    if Path(chosen.corpus).is_dir():
        for name, value in (("--image-column", chosen.image_column), ("--id", chosen.id)):
            if value is not None:
                raise ValueError(
                    f"{name} is for a table, and --corpus={chosen.corpus!r} is a folder"
                )
        images = pictures.in_folder(chosen.corpus)
        names = pictures.names_in(chosen.corpus, images)
        if words and (bad := [name for name in names if name.split() != [name]]):
            raise ValueError(
                f"--run needs names without white space, got the picture {bad[0]!r} in {chosen.corpus}"
            )
        return Corpus(names, names, images)
    rows = data.read_records(chosen.corpus)
    ids = ids_of(rows, chosen.corpus, chosen.id, words=words)
    if chosen.image_column is None:
        return Corpus(column_of(rows, chosen.corpus, chosen.column), ids)
    images = pictures.in_column(rows, chosen.corpus, chosen.image_column)
    return Corpus(column_of(rows, chosen.corpus, chosen.image_column), ids, images)


def vectors_of(
    chosen: argparse.Namespace, corpus: Corpus, model: Any
) -> np.ndarray | search.SparseIndex | TokenVectors:
    """The vectors of a corpus, float32 [texts, dim]: of its index, which is built or continued if needed.

    Those of a sparse encoder are an inverted index, those of late interaction of tokens.

    Raises: ValueError for an index of another model, prompt or similarity, by name, and for a sparse encoder that
    does not compare by the dot product.
    """
    folder = folder_of(chosen)
    if models.is_sparse(model) and model.similarity is not similarity.dot:
        raise ValueError(
            f"--model must compare sparse vectors by dot to be searched, got {model.similarity.__name__}"
        )
    about = _of_corpus(corpus) | {
        "model": models.identity(model),
        "similarity": model.similarity.__name__,
    }
    prompt = None
    if corpus.images is None:
        prompt = models.prompt_of(
            model, chosen.document_prompt, option="--document-prompt", usual=DOCUMENT_PROMPTS
        )
        about["prompt"] = model.default_prompt if prompt is None else prompt
        about["max_length"] = model.max_length
    _check_settings(folder, about)
    with contextlib.ExitStack() as stack:
        if not _whole(folder):  # a finished index needs no lock
            stack.enter_context(storage.owned(folder))
            _check_settings(folder, about)
            storage.write_json(folder / MARK, about)
        settings = {
            "path": folder / "vectors.npy",
            "fingerprint": about["corpus"],
            "label": f"indexing {chosen.corpus}",
        }
        if corpus.images is not None:
            return search.encode_images(
                model.encode_image, model.params, model.process, corpus.images, **settings
            )
        if models.is_late(model):
            rows = functools.partial(model.rows, prompt=prompt)
            found = search.encode_tokens(model.encode, model.params, rows, corpus.texts, **settings)
            return TokenVectors(*found)
        encode = search.encode_corpus
        if models.is_sparse(model):
            encode, settings["path"] = search.encode_sparse_corpus, folder / SPARSE
        return encode(
            models.encode_of(model),
            model.params,
            lambda texts: model.tokens(texts, prompt=prompt),
            corpus.texts,
            **settings,
        )


def queries_of(model: Any, texts: Sequence[str], prompt: str | None) -> Any:
    """The vectors of queries, as `nearest` takes them: float32 [queries, dim], of a sparse encoder a sparse matrix.

    Of late interaction {"vectors" [queries, length, dim], "where"}.
    """
    if models.is_late(model):
        return model.embed(texts, side="query", prompt=prompt)
    if models.is_sparse(model):
        return model.embed_sparse(texts, prompt=prompt)
    return search.encode_corpus(
        model.encode,
        model.params,
        lambda texts: model.tokens(texts, prompt=prompt),
        texts,
        label="encoding queries",
    )


def nearest(
    queries: Any,
    vectors: Array | search.SparseIndex | TokenVectors,
    k: int,
    similarity: Similarity,
    exclude: Array | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest texts of each query: numpy (scores [queries, k], ids int [queries, k]).

    Where fewer than k are left, ids are -1.
    """
    if isinstance(vectors, search.SparseIndex):
        hits = search.sparse_exact(queries, vectors, k, exclude=exclude)
    elif isinstance(vectors, TokenVectors):
        hits = search.exact_tokens(queries, *vectors, k, similarity=similarity, exclude=exclude)
    else:
        hits = search.exact(queries, vectors, k=k, similarity=similarity, exclude=exclude)
    return tuple(np.asarray(one) for one in hits)


def _whole(folder):
    """Whether the vectors of an index are finished."""
    if (folder / "vectors.npy").exists():
        return True
    mark = folder / SPARSE / SPARSE_MARK
    return mark.exists() and storage.read_object(mark).flag("finished", False)


def _of_corpus(corpus):
    if corpus.images is not None:
        names = [f"{name} {text}" for name, text in zip(corpus.ids, corpus.texts, strict=True)]
        return {"version": VERSION, "corpus": pictures.digest(names, corpus.images)}
    texts = json.dumps([corpus.ids, corpus.texts]).encode()
    return {"version": VERSION, "corpus": hashlib.sha256(texts).hexdigest()[:16]}


def _check_settings(folder, about):
    """Refuses an index that was built with other settings than `about`, naming them."""
    if not (folder / MARK).exists():
        return
    known = storage.read_object(folder / MARK)
    changed = storage.changed_settings({name: known.raw(name) for name in about}, about)
    if changed:
        raise ValueError(
            f"{folder / MARK}: the index was built with another {changed}: remove the folder, or choose "
            "another with --index"
        )
