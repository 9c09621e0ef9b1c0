"""A dual encoder and a cross-encoder trained on the same pairs from scratch, and all scores of the latter."""

import dataclasses
import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.networks import sentences
from experiments.workbench.sets import entities
from experiments.workbench.training import fits
from jaxsim import data, encoders, losses, search, similarity, storage
from jaxsim.numerics import mean
from jaxsim.numerics.types import ArrayTree

HEADS = {
    "emb": functools.partial(encoders.EmbCrossEncoder, **entities.MARKERS),
    "cls": encoders.ClsCrossEncoder,
}


class Scored(NamedTuple):
    """All scores of some queries with all items, and a dual encoder's vectors of both."""

    corpus: entities.Corpus
    scores: np.ndarray  # [queries, items]
    query_vectors: np.ndarray  # [queries, dim], unit
    item_vectors: np.ndarray  # [items, dim], unit
    # Scores of all items with fixed ones [items, fixed], and which these are [fixed].
    item_scores: tuple[np.ndarray, np.ndarray] | None = None


class Pairs(NamedTuple):
    """Token ids of queries and items, and the item of each query."""

    queries: list[np.ndarray]
    items: list[np.ndarray]
    gold: np.ndarray  # int [queries]


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


def scored(
    train: entities.Corpus,
    test: entities.Corpus,
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
      train, test: as `entities.corpora` returns them.
      queries: test queries, drawn.
      sizes: of both encoders.
      dual, cross: how each is trained.
      temperature: of the dual encoder's InfoNCE.
      mined: hard negatives mined per query.
      negatives, head: of the cross-encoder.
      seed: of the encoders' start and the queries drawn.
      workdir: for the checkpoints and the scores; a killed run resumes.
    """
    words = sentences.tokenizer(
        entities.joined([*train.queries, *train.items]),
        workdir / "tokenizer.json",
        size=sizes.vocabulary,
    )
    lengths = {"query_length": sizes.query_length, "item_length": sizes.item_length}
    query_ids, item_ids = entities.tokenized(train, words, **lengths)
    pairs = Pairs(query_ids, item_ids, train.gold)
    module, params = dual_encoder(
        pairs,
        sizes=sizes,
        training=dual,
        temperature=temperature,
        seed=seed,
        workdir=workdir / "dual_encoder",
    )
    hard = hard_negatives(
        sentences.vectors(module, params, pairs.queries),
        sentences.vectors(module, params, pairs.items),
        pairs.gold,
        count=mined,
    )
    cross_module, cross_params = cross_encoder(
        pairs,
        hard,
        sizes=sizes,
        training=cross,
        negatives=negatives,
        head=head,
        seed=seed,
        workdir=workdir / "cross_encoder",
    )

    query_ids, item_ids = entities.tokenized(test, words, **lengths)
    chosen = np.random.default_rng(seed).permutation(len(query_ids))[:queries]
    query_ids = [query_ids[i] for i in chosen]
    scorer = search.scorer(
        sentences.function_of(cross_module),
        cross_params,
        data.padded(query_ids, sizes.query_length),
        data.padded(item_ids, sizes.item_length),
        query_buckets=(sizes.query_length // 2, sizes.query_length),
        item_buckets=(sizes.item_length,),  # nearly all items are cut
    )
    scores = search.anchor_scores(
        scorer,
        len(query_ids),
        len(item_ids),
        path=workdir / "scores",
        fingerprint=storage.checksum(cross_params),
        label="scoring pairs",
    )
    corpus = entities.Corpus([test.queries[i] for i in chosen], test.items, test.gold[chosen])
    query_vectors, item_vectors = (
        unit_rows(sentences.vectors(module, params, ids)) for ids in (query_ids, item_ids)
    )
    return Scored(corpus, scores, query_vectors, item_vectors)


def dual_encoder(
    pairs: Pairs,
    *,
    sizes: Sizes,
    training: Training,
    temperature: float,
    seed: int,
    workdir: Path,
) -> tuple[Any, ArrayTree]:
    """One encoder for queries and items, trained by InfoNCE with in-batch negatives.

    Args:
      pairs: to learn from.
      sizes, training: of the encoder.
      temperature: of InfoNCE.
      seed: of its start and its batches.
      workdir: for the checkpoints.

    Returns: (module, parameters), whose vectors are to be compared by cosine.
    """
    module = encoders.TextEncoder(transformer(sizes, dropout=training.dropout))
    encode = sentences.function_of(module)

    def objective(params, batch, *, key, axis_name):
        query_key, item_key = jax.random.split(key)
        return losses.info_nce(
            encode(params, batch["query"], key=query_key, axis_name=axis_name),
            encode(params, batch["item"], key=item_key, axis_name=axis_name),
            temperature=temperature,
            document_ids=batch["gold"],  # an item that several queries mean is nobody's negative
            where=batch["where"],
            axis_name=axis_name,
        )

    columns = {
        "query": pairs.queries,
        "item": [pairs.items[place] for place in pairs.gold],
        "gold": np.asarray(pairs.gold, np.int32),
    }
    params = _trained(
        module,
        objective,
        columns,
        {"query": (sizes.query_length,), "item": (sizes.item_length,)},
        (data.padded(pairs.queries[:1]),),
        training=training,
        seed=seed,
        workdir=workdir,
        label="dual encoder",
        about={"temperature": temperature},
    )
    return module, params


def cross_encoder(
    pairs: Pairs,
    mined: np.ndarray,
    *,
    sizes: Sizes,
    training: Training,
    negatives: int,
    head: str,
    seed: int,
    workdir: Path,
) -> tuple[Any, ArrayTree]:
    """A cross-encoder trained by softmax over one positive and N negatives, half of them mined.

    The paper's are all mined, by an encoder that has read more than these pairs: without any that
    are easy this one, from scratch, has nothing to begin with.

    Args:
      pairs: to learn from.
      mined: int [queries, most], items that are hard for each; some of them are drawn.
      sizes, training, seed, workdir: as for `dual_encoder`.
      negatives: per query, half of them mined.
      head: emb or cls.

    Returns: (module, parameters); the module's function scores (params, queries, candidates) -> [pairs].
    """
    module = HEADS[head](transformer(sizes, dropout=training.dropout))
    score_lists = encoders.score_lists(sentences.function_of(module))
    random = np.random.default_rng(seed)
    gold, items = np.asarray(pairs.gold), pairs.items
    hard = random.permuted(mined, axis=1)[:, : negatives // 2]
    easy = random.integers(len(items) - 1, size=(len(gold), negatives - hard.shape[1]))
    easy += easy >= gold[:, None]  # any item but the query's
    lists = np.concatenate([gold[:, None], hard, easy], axis=1)
    candidates = [_at(items, row) for row in lists]

    def objective(params, batch, *, key, axis_name):
        scores = score_lists(
            params, batch["query"], batch["candidates"], key=key, axis_name=axis_name
        )
        hit = (scores.argmax(axis=1) == 0).astype(scores.dtype)
        metrics = {"accuracy": mean(hit, batch["where"].astype(hit.dtype), axis_name)}
        return losses.list_softmax(scores, where=batch["where"], axis_name=axis_name), metrics

    params = _trained(
        module,
        objective,
        {"query": pairs.queries, "candidates": candidates},
        {"query": (sizes.query_length,), "candidates": (sizes.item_length,)},
        (data.padded(pairs.queries[:1]), data.padded(items[:1])),
        training=training,
        seed=seed,
        workdir=workdir,
        label="cross-encoder",
        about={"negatives": negatives, "head": head},
    )
    return module, params


def transformer(sizes: Sizes, *, dropout: float) -> encoders.Transformer:
    """The transformer of both encoders: before-norm, and equal tokens attend to each other at the start.

    The paper starts from BERT. From scratch on some thousand pairs a cross-encoder ends where it began,
    at equal scores for all (measured: the loss of 8 candidates stays at log 8), unless equal
    words matter from the start.
    """
    return sentences.transformer(
        sentences.Sizes(
            vocabulary=sizes.vocabulary,
            dim=sizes.dim,
            layers=sizes.layers,
            heads=sizes.heads,
            length=sizes.query_length + sizes.item_length,
        ),
        norm="pre",
        dropout=dropout,
        initial=sizes.dim**-0.5,
        matching=1.0,
    )


def hard_negatives(
    query_vectors: np.ndarray, item_vectors: np.ndarray, gold: np.ndarray, *, count: int
) -> np.ndarray:
    """The items closest to each query by cosine, without its right one: int [queries, count]."""
    _, ids = search.exact(
        jnp.asarray(query_vectors),
        jnp.asarray(item_vectors),
        k=count + 1,
        similarity=similarity.cosine,
    )
    ids, right = np.asarray(ids), np.asarray(gold)[:, None]
    # The right item where it is among them, the last one where it is not, moves to the end.
    order = np.argsort(ids == right, axis=1, kind="stable")
    return np.take_along_axis(ids, order, axis=1)[:, :count]


def _at(items, places):
    return [items[place] for place in places]


def _trained(module, objective, columns, buckets, inputs, *, training, seed, **settings):
    """Parameters of a module, started for its inputs and trained on columns."""
    batches = sentences.batches(
        columns, batch=training.batch, steps=training.steps, seed=seed, buckets=buckets
    )
    return sentences.trained(
        module,
        objective,
        batches,
        rate=training.rate,
        seed=seed,
        params=fits.initial(module, seed, *inputs),
        **settings,
    )
