"""A corpus with its vectors in a folder: what `index` builds and `search` reads."""

import argparse
import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsim import data, pretrained, search, storage
from jaxsim.commands import arguments, models
from jaxsim.commands.columns import IDS, column_of, ids_of
from jaxsim.numerics.types import Array, Similarity

VERSION = 2
MARK = "index.json"  # in every index: what it was built from


class Corpus(NamedTuple):
    """Texts and their ids, as the file has them."""

    texts: list
    ids: list  # of strings


def options(add: Callable[..., Any]) -> None:
    """The options of both commands."""
    models.options(add)
    add(
        "--corpus",
        required=True,
        type=arguments.path,
        help="file of the texts: .jsonl, .csv, .tsv or .parquet",
    )
    add(
        "--column",
        default="text",
        help="column of the texts, or several to join: title,text (text)",
    )
    add(
        "--id",
        help=f"column of the ids; default: {', '.join(IDS)} or the row's number, which '' selects",
    )
    add("--index", type=arguments.path, help="folder of the index; default: CORPUS.index")
    add(
        "--document-prompt",
        help="name of the model's prompt for documents, '' for none; default: "
        f"{', '.join(models.DOCUMENT_PROMPTS)} where the model has one",
    )


def folder_of(chosen: argparse.Namespace) -> Path:
    """The folder of the index."""
    return Path(chosen.index or f"{chosen.corpus}.index")


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
    rows = data.read_records(chosen.corpus)
    texts = column_of(rows, chosen.corpus, chosen.column)
    corpus = Corpus(texts, ids_of(rows, chosen.corpus, chosen.id, words=words))
    _check_settings(folder, _of_corpus(corpus))
    if not (folder / "vectors.npy").exists():
        storage.check_place("--index", folder, mark=MARK, kind="an index that jaxsim wrote")
    return corpus


def vectors_of(
    chosen: argparse.Namespace, corpus: Corpus, model: pretrained.TextModel
) -> np.ndarray:
    """The vectors of a corpus, float32 [texts, dim]: of its index, which is built or continued if needed.

    Raises: ValueError for an index of another model, prompt or similarity, by name.
    """
    folder = folder_of(chosen)
    prompt = models.prompt_of(
        model, chosen.document_prompt, option="--document-prompt", usual=models.DOCUMENT_PROMPTS
    )
    about = _of_corpus(corpus) | {
        "model": models.identity(model),
        "similarity": model.similarity.__name__,
        "prompt": model.default_prompt if prompt is None else prompt,
        "max_length": model.max_length,
    }
    _check_settings(folder, about)
    with contextlib.ExitStack() as stack:
        if not (folder / "vectors.npy").exists():  # a finished index needs no lock
            stack.enter_context(storage.owned(folder))
            _check_settings(folder, about)
            storage.write_json(folder / MARK, about)
        return search.encode_corpus(
            model.encode,
            model.params,
            lambda texts: model.tokens(texts, prompt=prompt),
            corpus.texts,
            path=folder / "vectors.npy",
            fingerprint=about["corpus"],
            label=f"indexing {chosen.corpus}",
        )


def nearest(
    queries: Array, vectors: Array, k: int, similarity: Similarity, exclude: Array | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest texts of each query: numpy (scores [queries, k], ids int [queries, k]).

    Where fewer than k are left, ids are -1.
    """
    hits = search.exact(queries, vectors, k=k, similarity=similarity, exclude=exclude)
    return tuple(np.asarray(one) for one in hits)


def _of_corpus(corpus):
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
