"""Teachers of text embeddings, and the texts that students learn from."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.workbench.vectors import unit_rows
from jaxsim import data, encoders, losses, pretrained, search, training
from jaxsim.numerics.types import ArrayTree, Encode, Objective

SHORT = 16  # tokens of the queries that neural teachers learn from
Encoder = Callable[[list[str]], np.ndarray]  # texts -> unit rows, float32 [texts, dim]


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
    """The texts of a collection with `count` others: "docstrings" needs no data, the rest JAXSIM_DATA.

    Short texts serve as queries: titles, words that glosses define, queries of other collections.
    """
    if name.startswith("docstrings"):
        return _docstrings("all" if name == "docstrings" else "small", count)
    collection = data.retrieval(name)
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


def _docstrings(config: str, count: int) -> Texts:
    """`texts` of docstrings: each summary line asks for the body below it."""
    sides = {}
    for split in ("train", "test"):
        source = data.docstrings(split, config=config)
        rows = [source[i] for i in range(min(len(source), count))]
        sides[split] = [row["query"] for row in rows], [row["document"] for row in rows]
    (train_queries, train_documents), (queries, documents) = sides["train"], sides["test"]
    return Texts(
        documents,
        queries,
        truth=np.arange(len(queries))[:, None],
        grades=np.ones((len(queries), 1)),
        train_documents=train_documents,
        train_queries=train_queries,
        labeled=list(zip(train_queries, train_documents, strict=True)),
        sts=None,
    )


def linear(texts: Texts, settings: Settings, workdir: Path) -> Encoder:
    """TF-IDF of words and pairs of words, projected on its leading directions."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, stop_words="english", max_features=30_000)
    counts = words.fit_transform([*texts.train_documents, *texts.train_queries])
    projection = TruncatedSVD(settings.dim, random_state=0).fit(counts)
    return lambda batch: unit_rows(projection.transform(words.transform(batch)))


def neural(
    texts: Texts, settings: Settings, workdir: Path, *, dims: tuple[int, ...] | None = None
) -> Encoder:
    """A transformer trained by InfoNCE on labeled pairs; with `dims` by that of its first coordinates too."""
    words = tokenizer(texts, settings.vocabulary)
    module = encoders.TextEncoder(
        encoders.Transformer(
            vocabulary=settings.vocabulary,
            dim=settings.dim,
            layers=settings.layers,
            heads=4,
            hidden=4 * settings.dim,
            max_length=settings.length,
            norm="pre",
            dropout=0.0,
        )
    )
    encode = encoders.as_function(module)
    queries, documents = zip(*texts.labeled, strict=True)
    sides = tokens(words, queries, SHORT), tokens(words, documents, settings.length)
    examples = [{"q": q, "d": d} for q, d in zip(*sides, strict=True)]

    def objective(params, batch, *, key, axis_name):
        both = {side: encode(params, batch[side]) for side in ("q", "d")}

        def loss(z):
            return losses.info_nce(z["q"], z["d"], where=batch["where"], axis_name=axis_name)

        return loss(both) if dims is None else losses.matryoshka(loss, dims=dims)(both)

    params = fitted(
        module,
        objective,
        examples,
        {"q": (SHORT,), "d": ends(settings.length)},
        steps=settings.steps,
        batch=64,
        rate=1e-3,
        seed=0,
        workdir=workdir,
        label="teacher",
        about=str((settings, dims, data.fingerprint([texts.train_documents, texts.train_queries]))),
    )
    return encoder(encode, params, words, settings.length)


def folder(texts: Texts, settings: Settings, workdir: Path) -> Encoder:
    """A pretrained model, such as all-MiniLM-L6-v2's folder."""
    if not settings.folder:
        raise ValueError(
            "teacher_folder must name a model's folder for the teacher 'folder', got ''"
        )
    model = pretrained.load(Path(settings.folder))
    return lambda batch: unit_rows(
        search.encode_corpus(model.encode, model.params, model.tokens, batch, label="teacher")
    )


def remembered(encode: Encoder) -> Encoder:
    """The same with a memory: all arms ask for the same texts."""
    known: dict[tuple[str, ...], np.ndarray] = {}

    def encode_once(batch: list[str]) -> np.ndarray:
        key = tuple(batch)
        if key not in known:
            known[key] = encode(batch)
        return known[key]

    return encode_once


TEACHERS: dict[str, Callable[[Texts, Settings, Path], Encoder]] = {
    "linear": linear,
    "neural": neural,
    "matryoshka": functools.partial(neural, dims=(256, 64, 16)),
    "folder": folder,
}


def tokenizer(texts: Texts, size: int) -> Any:
    """A WordPiece tokenizer of the texts learned from."""
    return data.train_wordpiece([*texts.train_documents, *texts.train_queries], size=size)


def tokens(words: Any, texts: Sequence[str], length: int) -> list[np.ndarray]:
    """Token ids of texts, cut."""
    return data.text_tokens(words, list(texts), max_length=length)


def encoder(encode: Encode, params: ArrayTree, words: Any, length: int) -> Encoder:
    """Texts to unit rows by a model and its tokenizer."""

    def encode_texts(texts: list[str]) -> np.ndarray:
        ids = functools.partial(tokens, words, length=length)
        return unit_rows(search.encode_corpus(encode, params, ids, list(texts), label="encoding"))

    return encode_texts


def ridge(
    module: Any,
    words: Any,
    ids: list[np.ndarray],
    targets: np.ndarray,
    *,
    length: int,
    ridge: float,
    seed: int,
) -> Encoder:
    """A student without training: the best linear map of an untrained network's pooled words.

        W = T'P (P'P + cI)^-1

    Args:
      module: the student's network, whose heads are left out.
      words: the tokenizer.
      ids: token ids of the texts learned from.
      targets: float [texts, dim], the teacher's vectors of these.
      length: tokens of a text, at most.
      ridge: c as a part of the mean square of P.
      seed: of the network's start.

    Returns: function of texts to unit rows.
    """
    bare = module.clone(heads=())
    params = jax.jit(bare.init)(jax.random.key(seed), data.padded(ids[:1], length))
    encode = encoders.as_function(bare)
    pooled = search.encode_corpus(encode, params, lambda rows: rows, ids, label="features")
    square = pooled.T @ pooled
    strength = ridge * np.trace(square) / len(square)
    weights = np.linalg.solve(square + strength * np.eye(len(square)), pooled.T @ targets)

    def encode_texts(texts: list[str]) -> np.ndarray:
        cut = functools.partial(tokens, words, length=length)
        features = search.encode_corpus(encode, params, cut, list(texts), label="encoding")
        return unit_rows(features @ weights)

    return encode_texts


def ends(length: int) -> tuple[int, ...]:
    """What documents are padded to: most definitions are short."""
    return (24, length) if length > 24 else (length,)


def fitted(
    module: Any,
    objective: Objective,
    examples: list[dict],
    buckets: dict[str, tuple[int, ...]],
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    workdir: Path,
    label: str,
    about: str,
) -> ArrayTree:
    """Parameters trained by AdamW with warm-up and linear decay."""
    text = data.padded([np.ones(2, np.int32)], 16)
    return training.fit(
        objective,
        jax.jit(module.init)(jax.random.key(seed), text),
        data.batches(examples, batch_size=batch, buckets=buckets, seed=seed, steps=steps),
        optimizer=training.adamw(training.linear_warmup_decay(rate, steps=steps)),
        key=jax.random.key(seed),
        workdir=workdir,
        fingerprint=about,
        save_every=steps,
        label=label,
    )
