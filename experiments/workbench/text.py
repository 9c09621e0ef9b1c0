"""Text for search: corpora of queries and items, and the dual and cross-encoders trained on them."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.workbench.vectors import unit_rows
from jaxsim import data, encoders, losses, search, similarity, storage
from jaxsim.numerics import mean
from jaxsim.numerics.types import ArrayTree, Encode, Objective
from jaxsim.training import adamw, fit, linear_warmup_decay

MARKERS = {
    "query_markers": (data.SPECIAL["[unused0]"], data.SPECIAL["[unused1]"]),
    "candidate_marker": data.SPECIAL["[unused2]"],
}


class Corpus(NamedTuple):
    """Queries, items, and which item each query is about."""

    queries: list[tuple[str, str, str]]  # left context, mention, right context
    items: list[tuple[str, str]]  # title, text
    gold: np.ndarray  # int [queries]


class Model(NamedTuple):
    """A trained encoder: its plain function and its parameters."""

    function: Encode
    params: ArrayTree


class Scored(NamedTuple):
    """All scores of some queries with all items, and a dual encoder's vectors of both."""

    corpus: Corpus
    scores: np.ndarray  # [queries, items]
    query_vectors: np.ndarray  # [queries, dim], unit
    item_vectors: np.ndarray  # [items, dim], unit
    # Scores of all items with fixed ones [items, fixed], and which these are [fixed].
    item_scores: tuple[np.ndarray, np.ndarray] | None = None


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The size of both encoders."""

    vocabulary: int  # word pieces
    dim: int
    layers: int
    heads: int
    query_length: int  # tokens of a query, at most
    item_length: int  # tokens of an item, at most


@dataclasses.dataclass(frozen=True)
class Training:
    """How an encoder is trained."""

    steps: int
    batch: int  # queries per step
    rate: float  # of AdamW, at its highest
    dropout: float


def docstrings(split: str, *, config: str) -> Corpus:
    """Summary lines as mentions without context, bodies as items without a title."""
    source = data.docstrings(split, config=config)
    rows = [source[place] for place in range(len(source))]
    return Corpus(
        [("", row["query"], "") for row in rows],
        [("", row["document"]) for row in rows],
        np.arange(len(rows)),
    )


@functools.cache
def entities(split: str, *, queries: int, items: int, seed: int) -> Corpus:
    """Mentions in SemCor and WordNet's glosses, some of each: the glosses that are meant come first.

    A test mention's gloss may occur in training, its sentence's genre does not.
    """
    random = np.random.default_rng([seed, ("train", "validation", "test").index(split)])
    mentions = data.entity_mentions(split)
    mentions = [mentions[i] for i in random.permutation(len(mentions))[:queries]]
    glosses = {row["id"]: row for row in data.glosses()}
    meant = dict.fromkeys(row["synset"] for row in mentions)
    if lost := [name for name in meant if name not in glosses]:
        raise ValueError(
            f"the prepared datasets semcor and wordnet do not fit together: synset {lost[0]!r} has no "
            "gloss"
        )
    others = [name for name in glosses if name not in meant]
    chosen = [*meant, *(others[i] for i in random.permutation(len(others)))]
    chosen = chosen[: max(items, len(meant))]
    place = {name: number for number, name in enumerate(chosen)}
    return Corpus(
        [(row["left"], row["mention"], row["right"]) for row in mentions],
        [(glosses[name]["title"], glosses[name]["document"]) for name in chosen],
        np.array([place[row["synset"]] for row in mentions]),
    )


def corpora(name: str, *, queries: int, items: int, training_queries: int) -> tuple[Corpus, Corpus]:
    """(training, test) of a data set, the test side with so many items.

    Args:
      name: docstrings, docstrings-small, or entities.
      queries: how many of the test side are drawn, of entities; docstrings have as many as items.
      items: of the test side.
      training_queries: of entities, at most.

    Raises: ValueError for unknown data or too many items; FileNotFoundError without JAXSIM_DATA.
    """
    if name == "entities":
        train = entities("train", queries=training_queries, items=0, seed=0)
        return train, entities("test", queries=queries, items=items, seed=0)
    known = {"docstrings": "all", "docstrings-small": "small"}
    if name not in known:
        raise ValueError(f"data must be one of {(*known, 'entities', 'maxsim')}, got {name!r}")
    train, test = (docstrings(split, config=known[name]) for split in ("train", "test"))
    if len(test.items) < items:
        raise ValueError(f"items must be at most {len(test.items)}, got {items}")
    return train, Corpus(test.queries[:items], test.items[:items], test.gold[:items])


def scored(
    train: Corpus,
    test: Corpus,
    *,
    queries: int,
    sizes: Sizes,
    dual: Training,
    cross: Training,
    temperature: float,
    mined: int,
    negatives: int,
    head: str,
    seed: int,
    workdir: Path,
) -> Scored:
    """Both encoders trained, and the cross-encoder's scores of some test queries with all items.

    Args:
      train, test: as `corpora` returns them.
      queries: test queries, drawn.
      sizes: of both encoders.
      dual, cross: how each is trained.
      temperature: of the dual encoder's InfoNCE.
      mined: hard negatives mined per query.
      negatives, head: of the cross-encoder.
      seed: of the encoders' start and the queries drawn.
      workdir: for the checkpoints and the scores; a killed run resumes.
    """
    words = tokenizer(train, workdir / "tokenizer.json", vocabulary=sizes.vocabulary)
    sides = tokenized(train, words, sizes)
    dual_model = dual_encoder(
        *sides,
        train.gold,
        sizes=sizes,
        training=dual,
        temperature=temperature,
        seed=seed,
        workdir=workdir / "dual_encoder",
    )
    cross_model = cross_encoder(
        *sides,
        train.gold,
        hard_negatives(dual_model, *sides, train.gold, count=mined),
        sizes=sizes,
        training=cross,
        negatives=negatives,
        head=head,
        seed=seed,
        workdir=workdir / "cross_encoder",
    )

    query_ids, item_ids = tokenized(test, words, sizes)
    chosen = np.random.default_rng(seed).permutation(len(query_ids))[:queries]
    padded_queries = data.padded([query_ids[i] for i in chosen], sizes.query_length)
    padded_items = data.padded(item_ids, sizes.item_length)
    scorer = search.scorer(
        cross_model.function,
        cross_model.params,
        padded_queries,
        padded_items,
        query_buckets=(sizes.query_length // 2, sizes.query_length),
        item_buckets=(sizes.item_length,),  # nearly all items are cut
    )
    scores = search.anchor_scores(
        scorer,
        len(chosen),
        len(item_ids),
        path=workdir / "scores",
        fingerprint=storage.checksum(cross_model.params),
        label="scoring pairs",
    )
    corpus = Corpus([test.queries[i] for i in chosen], test.items, test.gold[chosen])
    query_vectors = unit_rows(embedded(dual_model, padded_queries))
    return Scored(corpus, scores, query_vectors, unit_rows(embedded(dual_model, padded_items)))


def tokenizer(corpus: Corpus, path: Path, *, vocabulary: int) -> Any:
    """A WordPiece tokenizer of a corpus' words, from its file where that is there."""
    if not path.exists():
        texts = [" ".join(parts) for parts in (*corpus.queries, *corpus.items)]
        data.save_tokenizer(path, data.train_wordpiece(texts, size=vocabulary))
    return data.load_tokenizer(path)


def tokenized(
    corpus: Corpus, tokenizer: Any, sizes: Sizes
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Token ids of all queries and all items: two lists of int arrays."""
    queries = data.mention_tokens(
        tokenizer, *zip(*corpus.queries, strict=True), max_length=sizes.query_length
    )
    items = data.entity_tokens(
        tokenizer, *zip(*corpus.items, strict=True), max_length=sizes.item_length
    )
    return queries, items


def dual_encoder(
    queries: list[np.ndarray],
    items: list[np.ndarray],
    gold: np.ndarray,
    *,
    sizes: Sizes,
    training: Training,
    temperature: float,
    seed: int,
    workdir: Path,
) -> Model:
    """One encoder for queries and items, trained by InfoNCE with in-batch negatives.

    Args:
      queries, items: token ids, as `tokenized` returns them.
      gold: int [queries], the item of each.
      sizes, training: of the encoder.
      temperature: of InfoNCE.
      seed: of its start and its batches.
      workdir: for the checkpoints.

    Returns: `Model`, encode(params, texts) -> [rows, dim], to be compared by cosine.
    """
    module = encoders.TextEncoder(transformer(sizes, dropout=training.dropout))
    encode = encoders.as_function(module)
    examples = [
        {"query": query, "item": items[item]} for query, item in zip(queries, gold, strict=True)
    ]
    copies = np.asarray(gold, np.int32)  # an item that several queries mean is nobody's negative

    def objective(params, batch, *, key, axis_name):
        query_key, item_key = jax.random.split(key)
        return losses.info_nce(
            encode(params, batch["query"], key=query_key, axis_name=axis_name),
            encode(params, batch["item"], key=item_key, axis_name=axis_name),
            temperature=temperature,
            document_ids=jax.numpy.asarray(copies)[batch["ids"]],
            where=batch["where"],
            axis_name=axis_name,
        )

    params = fitted(
        module,
        objective,
        examples,
        {"query": (sizes.query_length,), "item": (sizes.item_length,)},
        (padded_one(queries),),
        training=training,
        seed=seed,
        about={"temperature": temperature},
        workdir=workdir,
        label="dual encoder",
    )
    return Model(encode, params)


def cross_encoder(
    queries: list[np.ndarray],
    items: list[np.ndarray],
    gold: np.ndarray,
    mined: np.ndarray,
    *,
    sizes: Sizes,
    training: Training,
    negatives: int,
    head: str,
    seed: int,
    workdir: Path,
) -> Model:
    """A cross-encoder trained by softmax over one positive and N negatives, half of them mined.

    The paper's are all mined, by an encoder that has read more than these pairs: without any that
    are easy this one, from scratch, has nothing to begin with.

    Args:
      queries, items, gold: as for `dual_encoder`.
      mined: int [queries, most], items that are hard for each; some of them are drawn.
      sizes, training, seed, workdir: as for `dual_encoder`.
      negatives: per query, half of them mined.
      head: emb or cls.

    Returns: `Model`, score(params, queries, candidates) -> [pairs].
    """
    heads = {
        "emb": functools.partial(encoders.EmbCrossEncoder, **MARKERS),
        "cls": encoders.ClsCrossEncoder,
    }
    module = heads[head](transformer(sizes, dropout=training.dropout))
    score = encoders.as_function(module)
    random = np.random.default_rng(seed)
    hard = random.permuted(mined, axis=1)[:, : negatives // 2]
    easy = random.integers(len(items) - 1, size=(len(queries), negatives - hard.shape[1]))
    easy += easy >= np.asarray(gold)[:, None]  # any item but the query's own
    drawn = np.concatenate([hard, easy], axis=1)
    examples = []
    for query, right, wrong in zip(queries, gold, drawn, strict=True):
        candidates = [items[place] for place in (right, *wrong)]
        examples.append({"query": query, "candidates": candidates})

    def objective(params, batch, *, key, axis_name):
        scores = encoders.score_lists(score)(
            params, batch["query"], batch["candidates"], key=key, axis_name=axis_name
        )
        hit = (scores.argmax(axis=1) == 0).astype(scores.dtype)
        metrics = {"accuracy": mean(hit, batch["where"].astype(hit.dtype), axis_name)}
        return losses.list_softmax(scores, where=batch["where"], axis_name=axis_name), metrics

    params = fitted(
        module,
        objective,
        examples,
        {"query": (sizes.query_length,), "candidates": (sizes.item_length,)},
        (padded_one(queries), padded_one(items)),
        training=training,
        seed=seed,
        about={},
        workdir=workdir,
        label="cross-encoder",
    )
    return Model(score, params)


def transformer(sizes: Sizes, *, dropout: float) -> encoders.Transformer:
    """The transformer of both encoders: before-norm, and equal tokens attend to each other at the start.

    The paper starts from BERT. From scratch on some thousand pairs a cross-encoder ends where it began,
    at equal scores for all (measured: the loss of 8 candidates stays at log 8), unless equal
    words matter from the start.
    """
    return encoders.Transformer(
        vocabulary=sizes.vocabulary,
        dim=sizes.dim,
        layers=sizes.layers,
        heads=sizes.heads,
        hidden=4 * sizes.dim,
        max_length=sizes.query_length + sizes.item_length,
        norm="pre",
        dropout=dropout,
        initial=sizes.dim**-0.5,
        place_initial=0.02,
        matching=1.0,
    )


def fitted(
    module: Any,
    objective: Objective,
    examples: list[dict],
    buckets: dict[str, tuple[int, ...]],
    inputs: tuple[ArrayTree, ...],
    *,
    training: Training,
    seed: int,
    about: dict,
    workdir: Path,
    label: str,
) -> ArrayTree:
    """Parameters trained by AdamW with linear warm-up and decay, in a workdir that knows its run."""
    steps, batch, rate = training.steps, training.batch, training.rate
    about = [str(module), seed, about, len(examples), steps, batch, rate]
    digest = hashlib.sha256(json.dumps(about).encode())
    for example in examples:
        for column in example.values():
            for text in column if isinstance(column, list) else [column]:
                digest.update(text.tobytes())
    first, key = jax.random.split(jax.random.key(seed))
    params = jax.jit(module.init)(first, *inputs)
    return fit(
        objective,
        params,
        data.batches(examples, batch_size=batch, buckets=buckets, seed=seed, steps=steps),
        optimizer=adamw(linear_warmup_decay(rate, steps=steps)),
        key=key,
        workdir=workdir,
        fingerprint=digest.hexdigest()[:16],
        label=label,
    )


def embedded(model: Model, texts: dict[str, np.ndarray], *, batch: int = 512) -> np.ndarray:
    """Embeddings of all texts, as one array [texts, dim]."""
    encode = jax.jit(model.function)
    rows = []
    for start in range(0, len(texts["tokens"]), batch):
        block = {name: column[start : start + batch] for name, column in texts.items()}
        count = len(block["tokens"])
        block = {n: np.pad(c, ((0, batch - count), (0, 0))) for n, c in block.items()}
        rows.append(np.asarray(encode(model.params, block))[:count])
    return np.concatenate(rows)


def hard_negatives(
    model: Model,
    queries: list[np.ndarray],
    items: list[np.ndarray],
    gold: np.ndarray,
    *,
    count: int,
) -> np.ndarray:
    """The items closest to each query by a dual encoder, without its own: int [queries, count]."""
    sides = [embedded(model, data.padded(texts)) for texts in (queries, items)]
    _, ids = search.exact(*sides, k=count + 1, similarity=similarity.cosine)
    ids, right = np.asarray(ids), np.asarray(gold)[:, None]
    # Its own item where it was found, the last one where it was not, moves to the end.
    order = np.argsort(ids == right, axis=1, kind="stable")
    return np.take_along_axis(ids, order, axis=1)[:, :count]


def tfidf_scores(
    queries: Sequence[tuple[str, ...]], items: Sequence[tuple[str, ...]]
) -> np.ndarray:
    """TF-IDF similarities [queries, items]: scikit-learn's defaults, fitted on the items."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    # scikit-learn's default is float64, of which its own sources make the only type.
    vectorizer = TfidfVectorizer(dtype=np.float32)  # pyright: ignore[reportArgumentType]
    columns = vectorizer.fit_transform(" ".join(item) for item in items)
    return (vectorizer.transform(" ".join(query) for query in queries) @ columns.T).toarray()


def padded_one(texts: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The first text, as a batch of one: what a module is initialized with."""
    return data.padded(texts[:1])
