"""Teachers of text embeddings, and the texts that students learn from."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.networks import models, sentences, tfidf
from experiments.workbench.sets import sources
from jaxsim import data, losses, pretrained

SHORT = 16  # tokens of the queries that neural teachers learn from
DATA = (*sources.DOCSTRINGS, *sources.COLLECTIONS)
Encoder = Callable[[Sequence[str]], np.ndarray]  # texts -> unit rows, float32 [texts, dim]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How large teachers are, and how long neural ones are trained."""

    dim: int  # of the teachers made here
    vocabulary: int  # word pieces
    length: int  # tokens of a text, at most
    layers: int  # of a neural teacher
    steps: int  # of its training
    folder: str = ""  # of a pretrained one


class Texts(NamedTuple):
    """What is searched, and what is learnt from: no query that is searched with is among it."""

    documents: list[str]
    queries: list[str]  # to test with
    truth: np.ndarray  # int [queries, most], rows of documents; -1 fills up
    grades: np.ndarray  # float [queries, most]
    train_documents: list[str]
    train_queries: list[str]
    labeled: list[tuple[str, str]]  # queries and the documents that belong to them
    sts: data.GradedPairs | None


@functools.cache
def texts(name: str, count: int, seed: int) -> Texts:
    """The texts of a name of `DATA` with `count` others: docstrings need no data, the rest JAXSIM_DATA.

    Short texts serve as queries: titles, words that glosses define, queries of other collections.
    """
    if name in sources.DOCSTRINGS:
        return _docstrings(name, count)
    collection = sources.chosen(sources.COLLECTIONS, name)()
    glosses = data.glosses()
    chosen = np.random.default_rng(seed).permutation(len(glosses))[:count]
    glosses = [glosses[i] for i in chosen]
    pairs = [(row["title"], row["document"]) for row in glosses]
    others = [data.retrieval(n) for n in ("cacm", "cisi", "npl", "cranfield") if n != name]
    short = [title for title in collection.titles if title]
    short += [query for other in others for query in other.queries]
    return Texts(
        collection.documents,
        collection.queries,
        collection.truth,
        collection.grades,
        [*collection.documents, *(document for _, document in pairs)],
        [*short, *(query for query, _ in pairs[: count // 3])],
        pairs,
        data.sts_benchmark("validation"),
    )


def _docstrings(name: str, count: int) -> Texts:
    """`texts` of docstrings: each summary line asks for the body below it."""
    train, test = (
        sources.chosen(sources.DOCSTRINGS, name)(split)[:count] for split in ("train", "test")
    )
    queries, documents = zip(*test, strict=True)
    train_queries, train_documents = zip(*train, strict=True)
    return Texts(
        list(documents),
        list(queries),
        truth=np.arange(len(queries))[:, None],
        grades=np.ones((len(queries), 1)),
        train_documents=list(train_documents),
        train_queries=list(train_queries),
        labeled=train,
        sts=None,
    )


def linear(texts: Texts, words: Any, settings: Settings, workdir: Path) -> Encoder:
    """TF-IDF of words and pairs of words, projected on its leading directions."""
    return tfidf.encoder([*texts.train_documents, *texts.train_queries], dim=settings.dim)


def neural(
    texts: Texts,
    words: Any,
    settings: Settings,
    workdir: Path,
    *,
    dims: tuple[int, ...] | None = None,
) -> Encoder:
    """A transformer trained by InfoNCE on labeled pairs; with `dims` by that of its first coordinates too.

    Args:
      texts: to learn from.
      words: the tokenizer.
      settings: of the transformer.
      workdir: for the checkpoints.
      dims: numbers of first coordinates; None trains on all alone.
    """
    sizes = sentences.Sizes(
        settings.vocabulary, settings.dim, settings.layers, heads=4, length=settings.length
    )
    module = sentences.network(sizes, norm="pre")
    encode = sentences.function_of(module)
    queries, documents = zip(*texts.labeled, strict=True)
    columns = {
        "query": data.text_tokens(words, queries, max_length=SHORT),
        "document": data.text_tokens(words, documents, max_length=settings.length),
    }

    def objective(params, batch, *, key, axis_name):
        both = {side: encode(params, batch[side]) for side in columns}

        def loss(z):
            where = {"where": batch["where"], "axis_name": axis_name}
            return losses.info_nce(z["query"], z["document"], **where)

        return loss(both) if dims is None else losses.matryoshka(loss, dims=dims)(both)

    buckets = {"query": (SHORT,), "document": ends(settings.length)}
    params = sentences.trained(
        module,
        objective,
        sentences.batches(columns, batch=64, steps=settings.steps, seed=0, buckets=buckets),
        rate=1e-3,
        seed=0,
        workdir=workdir,
        label="teacher",
    )
    return sentences.Encoder(module, params, words, settings.length)


def folder(texts: Texts, words: Any, settings: Settings, workdir: Path) -> Encoder:
    """A pretrained model: all-MiniLM-L6-v2 where its package is, or another one's folder."""
    model = pretrained.load(models.folder(settings.folder))
    return lambda batch: unit_rows(models.vectors(model, list(batch), workdir, label="teacher"))


def remembered(encode: Encoder) -> Encoder:
    """The same with a memory: all arms ask for the same texts."""
    known: dict[tuple[str, ...], np.ndarray] = {}

    def encode_once(batch: Sequence[str]) -> np.ndarray:
        key = tuple(batch)
        if key not in known:
            known[key] = encode(batch)
        return known[key]

    return encode_once


TEACHERS: dict[str, Callable[[Texts, Any, Settings, Path], Encoder]] = {
    "linear": linear,
    "neural": neural,
    "matryoshka": functools.partial(neural, dims=(256, 64, 16)),
    "folder": folder,
}


def ends(length: int) -> tuple[int, ...]:
    """What texts are padded to: most definitions are short."""
    return (24, length) if length > 24 else (length,)
