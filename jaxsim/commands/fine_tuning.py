"""Fine-tuning on pairs: the objective, and figures on held-out pairs."""

import functools
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import data, evaluation, losses, search, training
from jaxsim.numerics import unit
from jaxsim.numerics.types import ArrayTree, Loss, Objective
from jaxsim.search._corpus import encode_corpus
from jaxsim.similarity import paired

MULTIPLE = 16  # what lengths are rounded up to


def check_settings(name: str, loss: Loss, settings: Iterable[str]) -> None:
    """Refuses a setting that the loss does not have."""
    if unknown := set(settings) - set(inspect.signature(loss).parameters):
        raise ValueError(f"{name} has no {unknown.pop()}")


class Cuts(NamedTuple):
    """What of a model is trained to be used by itself."""

    dims: tuple[int, ...] = ()  # sizes of first coordinates below the whole
    layers: bool = False  # every cut of the transformer too


WHOLE = Cuts()


class Teacher(NamedTuple):
    """A teacher's vectors of the texts that are trained on: [rows, dim] and [rows, documents, dim]."""

    queries: np.ndarray
    documents: np.ndarray


class Task:
    """A fine-tuning task: a model, a loss, and the pairs to train and to validate on.

    Texts are compared by the model's own similarity. Equal texts have equal ids, negatives too, so that no
    text is the negative of its own query; a negative that is the row's query or one of the query's
    documents in any row is left out.

    Args:
      model: of `pretrained.load`.
      loss: (queries, documents, *, query_ids, document_ids, where, axis_name) -> loss; of graded pairs
        (queries, documents, scores, *, where, axis_name) -> loss.
      pairs, held: `Pairs`, to train and to validate on.
      batch_size: rows.
      graded: which of the two kinds of loss it is.
      prompts: what goes before queries and before documents; None is the model's default.
      chunk: rows encoded at once, or None for all.
      cuts: what is trained to be used by itself.
      teacher: the vectors that the loss takes after queries and documents, as teacher=.
    """

    def __init__(
        self,
        model: Any,
        loss: Loss,
        pairs: Any,
        held: Any,
        batch_size: int,
        *,
        graded: bool,
        prompts: tuple[str | None, str | None],
        chunk: int | None = None,
        cuts: Cuts = WHOLE,
        teacher: Teacher | None = None,
    ) -> None:
        self.model, self.loss, self.held = model, loss, held
        self.cuts, self.teacher = cuts, teacher
        self.batch_size, self.graded, self.prompts = batch_size, graded, prompts
        self.examples = self._tokens(pairs)
        self.scores = None if pairs.scores is None else np.array(pairs.scores, np.float32)
        self.ids = ids_of(pairs)
        self.document_where = None if pairs.negatives is None else usable(pairs)
        self.held_ids = numbered(held.queries)[0], numbered(held.documents)[0]
        trained_on = set(pairs.queries)
        self.seen = sum(query in trained_on for query in held.queries)
        self.figure = "spearman" if graded else "MRR@10"  # what the best checkpoint is chosen by
        self.of_batch = jax.jit(self._loss_and_nearest)  # once for all validations
        self.held_loss = jax.jit(loss)
        self.encode = model.encode_layers if cuts.layers else model.encode
        if chunk is not None:
            self.encode = training.chunked(
                lambda params, texts, key=None: model.encode(params, texts, key=key), chunk
            )

    @property
    def left_out(self) -> int:
        """How many negatives are left out."""
        return 0 if self.document_where is None else int((~self.document_where).sum())

    def batches(self, *, epochs: int, steps: int | None, seed: int) -> data.Planned:
        """Batches of token ids; lengths are cut in two, so that few shapes are compiled."""
        columns = {
            "query": [len(e["query"]) for e in self.examples],
            "documents": [max(map(len, e["documents"])) for e in self.examples],
        }
        return data.batches(
            self.examples,
            batch_size=self.batch_size,
            buckets={name: _ends(lengths) for name, lengths in columns.items()},
            seed=seed,
            epochs=epochs,
            steps=steps,
        )

    def objective(self) -> Objective:
        """The loss of a batch. Equal texts have equal ids, so that no copy is its own negative."""

        def objective(params, batch, *, key, axis_name):
            keys = jax.random.split(key)
            queries = self.encode(params, batch["query"], key=keys[0], axis_name=axis_name)
            documents = batch["documents"]
            rows, each, _ = documents["tokens"].shape
            flat = jax.tree.map(lambda a: a.reshape(rows * each, -1), documents)
            documents = self.encode(params, flat, key=keys[1], axis_name=axis_name)
            if each > 1:
                documents = jax.tree.map(lambda a: a.reshape(rows, each, -1), documents)
            loss = functools.partial(self._of_embeddings, batch, axis_name)
            if self.cuts.layers:
                states = {"queries": jnp.stack(queries), "documents": jnp.stack(documents)}
                return self._over_layers(loss, states, jax.random.fold_in(key, 2), batch, axis_name)
            both = {"queries": queries, "documents": documents}
            return self._over_dims(loss, queries.shape[-1])(both)

        return objective

    def _of_embeddings(self, batch, axis_name, both):
        """The loss of a batch's embeddings {"queries", "documents"}."""
        queries, documents = both["queries"], both["documents"]
        where = {"where": batch["where"], "axis_name": axis_name}
        if self.graded:
            return self.loss(queries, documents, jnp.asarray(self.scores)[batch["ids"]], **where)
        if self.left_out:
            where["document_where"] = jnp.asarray(self.document_where)[batch["ids"]]
        if self.teacher is not None:
            taught = (jnp.asarray(vectors)[batch["ids"]] for vectors in self.teacher)
            return self.loss(queries, documents, teacher=tuple(taught), **where)
        query_ids, document_ids = (jnp.asarray(ids)[batch["ids"]] for ids in self.ids)
        return self.loss(
            queries, documents, query_ids=query_ids, document_ids=document_ids, **where
        )

    def _over_dims(self, loss, dim):
        """A loss of embeddings, summed over the whole and the cuts."""
        if not self.cuts.dims:
            return loss
        return losses.matryoshka(loss, dims=(dim, *self.cuts.dims))

    def _over_layers(self, loss, states, key, batch, axis_name):
        """2D Matryoshka: the last layer and another, each whole and cut, as drawn for the step."""
        layers, dim = states["queries"].shape[0], states["queries"].shape[-1]
        layer, cut = losses.parts.draw_layer_dim(
            key, num_layers=layers, dims=self.cuts.dims or (dim,)
        )
        over = losses.matryoshka_2d(loss, where=batch["where"], axis_name=axis_name)
        return over(states, layer, cut)

    def validate(self, params: ArrayTree) -> dict[str, float]:
        """Figures on the held-out pairs: {name: float}."""
        queries, documents = (
            encode_corpus(
                self.model.encode,
                params,
                functools.partial(self._ids, side),
                texts,
                label="encoding what is held out",
            )
            for side, texts in enumerate((self.held.queries, self.held.documents))
        )
        if self.graded:
            scores = paired(self.model.similarity)(queries, documents)
            labels = np.array(self.held.scores, np.float32)
            return {
                "loss": float(self.held_loss(queries, documents, labels)),
                "spearman": float(evaluation.spearman(scores, labels)),
                "pearson": float(evaluation.pearson(scores, labels)),
            }
        found = self._retrieval(queries, documents)
        if self.teacher is None:
            found = self._in_batches(queries, documents) | found
        for dim in self.cuts.dims:
            cut = self._retrieval(queries[:, :dim], documents[:, :dim])
            found[f"MRR@10 of {dim}"] = cut["MRR@10"]
        return found

    def best(self, figures: Mapping[str, float]) -> float:
        """What the best checkpoint is chosen by."""
        return figures[self.figure]

    def _in_batches(self, queries, documents):
        """The loss and accuracy in batches of the training's size, without mined negatives.

        A query may find any document that is its own in some row.
        """
        right = {*zip(*(ids.tolist() for ids in self.held_ids), strict=True)}
        loss = hits = 0.0
        for start in range(0, len(queries), self.batch_size):
            columns = queries, documents, *self.held_ids
            part = [a[start : start + self.batch_size] for a in columns]
            count = len(part[0])
            missing = self.batch_size - count
            where = np.arange(self.batch_size) < count
            part = [np.pad(a, [(0, missing)] + [(0, 0)] * (a.ndim - 1)) for a in part]
            value, predicted = self.of_batch(*part, where)
            loss += float(value) * count
            pairs = zip(
                part[2][:count].tolist(), np.asarray(predicted)[:count].tolist(), strict=True
            )
            hits += sum(pair in right for pair in pairs)
        return {"loss": loss / len(queries), "accuracy in batch": hits / len(queries)}

    def _loss_and_nearest(self, queries, documents, query_ids, document_ids, where):
        """The loss of the rows that count, and the id of the document that each query finds."""
        scores = jnp.where(where, self.model.similarity(queries, documents), -jnp.inf)
        inputs = {"query_ids": query_ids, "document_ids": document_ids, "where": where}
        return self.loss(queries, documents, **inputs), document_ids[scores.argmax(axis=1)]

    def _retrieval(self, queries, documents):
        """How well each query finds its documents among all that are held out, each text once."""
        query_ids, document_ids = self.held_ids
        places = [np.unique(ids, return_index=True)[1] for ids in self.held_ids]
        k = min(10, len(places[1]))
        _, hits = search.exact(
            queries[places[0]], documents[places[1]], k=k, similarity=self.model.similarity
        )
        right = [set() for _ in places[0]]
        for query, document in zip(query_ids, document_ids, strict=True):
            right[query].add(document)
        truth = np.full((len(right), max(map(len, right))), -1, np.int32)
        for row, documents_of_query in enumerate(right):
            truth[row, : len(documents_of_query)] = sorted(documents_of_query)
        return {
            "recall@1": float(evaluation.recall(hits, truth, 1)),
            f"recall@{k}": float(evaluation.recall(hits, truth, k)),
            "MRR@10": float(evaluation.reciprocal_rank(hits, truth)),
        }

    def _tokens(self, pairs):
        queries = self._ids(0, pairs.queries)
        documents = self._ids(1, pairs.documents)
        if pairs.negatives is None:
            each = [[] for _ in queries]
        else:
            flat = iter(self._ids(1, [text for texts in pairs.negatives for text in texts]))
            each = [[next(flat) for _ in texts] for texts in pairs.negatives]
        return [
            {"query": q, "documents": [d, *more]}
            for q, d, more in zip(queries, documents, each, strict=True)
        ]

    def _ids(self, side, texts):
        return self.model.tokens(texts, prompt=self.prompts[side])


def both_sides(
    queries: jax.Array,
    documents: jax.Array,
    *,
    teacher: tuple[jax.Array, jax.Array],
    where: jax.Array,
    document_where: jax.Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Embedding distillation of the queries and of their documents, half each, all of norm 1."""
    loss = functools.partial(losses.embedding_distillation, axis_name=axis_name)
    of_documents = jnp.broadcast_to(
        where.reshape(-1, *[1] * (documents.ndim - 2)), documents.shape[:-1]
    )
    flat = (unit(side).reshape(-1, side.shape[-1]) for side in (documents, teacher[1]))
    of_queries = loss(unit(queries), unit(teacher[0]), where=where)
    return (of_queries + loss(*flat, where=of_documents.ravel())) / 2


def numbered(*columns: Iterable[Any]) -> list[np.ndarray]:
    """An int for each text of some columns, equal for equal texts, in the order of their first places."""
    numbers = {}
    return [
        np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int32)
        for texts in columns
    ]


def ids_of(pairs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Ids by text: of queries int [rows], of documents int [rows] or, with negatives, [rows, 1 + negatives]."""
    (queries,) = numbered(pairs.queries)
    if pairs.negatives is None:
        return queries, *numbered(pairs.documents)
    listed = [
        [document, *rest] for document, rest in zip(pairs.documents, pairs.negatives, strict=True)
    ]
    (documents,) = numbered([text for row in listed for text in row])
    return queries, documents.reshape(len(listed), -1)


def usable(pairs: Any) -> np.ndarray:
    """Which documents may be compared with their query, bool [rows, 1 + negatives].

    Not a negative that is the query itself, or a document of the same query in any row.
    """
    right = {}
    for query, document in zip(pairs.queries, pairs.documents, strict=True):
        right.setdefault(query, {query}).add(document)
    rows = zip(pairs.queries, pairs.negatives, strict=True)
    return np.array(
        [[True, *(text not in right[query] for text in texts)] for query, texts in rows]
    )


def _ends(lengths):
    """Two lengths to pad to: one that holds three quarters of the texts, and the longest."""
    ends = {int(np.quantile(lengths, part, method="higher")) for part in (0.75, 1.0)}
    return tuple(sorted({-(-end // MULTIPLE) * MULTIPLE for end in ends}))
