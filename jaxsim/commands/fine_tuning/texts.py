"""Fine-tuning on pairs: the objective, and figures on held-out pairs."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import data, evaluation, losses, pretrained, search
from jaxsim.commands.fine_tuning.batches import (
    Packer,
    ends_of,
    filled_up,
    packer,
    padded_to,
    row_batches,
)
from jaxsim.commands.fine_tuning.cuts import WHOLE, Cuts, encoder_of, over_dims
from jaxsim.commands.fine_tuning.mining import Mined
from jaxsim.commands.fine_tuning.pairs import documents_of, ids_of, numbered, usable
from jaxsim.numerics.types import ArrayTree, Loss, Objective
from jaxsim.search._corpus import encode_corpus
from jaxsim.similarity import paired

NOTHING = np.zeros(0, np.int32)  # the token ids of no text


class Teacher(NamedTuple):
    """A teacher's vectors of the texts that are trained on: of each row's query, of each different document."""

    queries: np.ndarray  # [rows, dim]
    documents: np.ndarray  # [documents, dim], by the ids of `ids_of`


class Task:
    """A fine-tuning task: a model, a loss, and the pairs to train and to validate on.

    Texts are compared by the model's own similarity. Equal texts have equal ids, negatives too, so that no
    text is the negative of its own query; a negative that is the row's query or one of the query's
    documents in any row is left out. Rows may have different numbers of negatives.

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
      teacher, guide: the vectors that the loss takes after queries and documents, as teacher= or guide=.
      alone: whether the loss is shown of pairs that are held out, without negatives of their own.
      mined: negatives that are mined as the training continues, or None.
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
        guide: Teacher | None = None,
        alone: bool = True,
        mined: Mined | None = None,
    ) -> None:
        self.model, self.loss, self.held, self.pairs = model, loss, held, pairs
        self.cuts, self.mined = cuts, mined
        self.taught = {
            name: vectors
            for name, vectors in (("teacher", teacher), ("guide", guide))
            if vectors is not None
        }
        self.alone = alone and not self.taught
        self.batch_size, self.graded, self.prompts = batch_size, graded, prompts
        self.ids = ids_of(pairs)
        self.queries, self.documents = self._ids(0, pairs.queries), self._documents()
        self.scores = None if pairs.scores is None else np.array(pairs.scores, np.float32)
        self.document_where = None if pairs.negatives is None else usable(pairs)
        self.negatives = list(map(len, pairs.negatives or ()))
        self.held_ids = numbered(held.queries)[0], numbered(held.documents)[0]
        trained_on = set(pairs.queries)
        self.seen = sum(query in trained_on for query in held.queries)
        self.figure = "spearman" if graded else "MRR@10"  # what the best checkpoint is chosen by
        self.of_batch = jax.jit(self._loss_and_nearest)  # once for all validations
        self.held_loss = jax.jit(loss)
        self.encode = encoder_of(model, cuts, chunk)
        self.ends = {
            "query": ends_of(list(map(len, self.queries))),
            "documents": ends_of([max(map(len, row)) for row in self._rows()]),
        }

    @property
    def count(self) -> int:
        """How many rows are trained on."""
        return len(self.queries)

    @property
    def left_out(self) -> int:
        """How many negatives are left out."""
        if self.document_where is None:
            return 0
        return int(((self.ids[1] >= 0) & ~self.document_where).sum())

    def batches(self, *, epochs: int, steps: int | None, seed: int) -> data.Planned:
        """Batches of token ids, packed where the encoder takes that, else padded to one of two lengths: few shapes
        are compiled."""
        settings = {"batch_size": self.batch_size, "epochs": epochs, "steps": steps, "seed": seed}
        if self.mined is not None or self.packer is not None:
            return row_batches(self.count, self.columns, **settings)
        examples = [
            {"query": query, "documents": documents}
            for query, documents in zip(self.queries, self._rows(), strict=True)
        ]
        return data.batches(examples, buckets=self.ends, **settings)

    def columns(self, rows: np.ndarray, step: int) -> dict[str, Any]:
        """The columns of a batch.

        Args:
          rows: int [batch], -1 for padding.
          step: of the training, whose mined negatives the rows get.

        Returns: "texts", packed, of each row its query and then its documents, or "query" and "documents" as
        `data.batches` has them; "document_ids" int, -1 for none, [batch] or, with negatives, [batch, documents] and
        "document_where" bool of that shape.
        """
        ids, where = self._document_ids(rows, None if self.mined is None else self.mined.at(step))
        if self.packer is not None:
            found = {"texts": self.packer(self._texts(rows, ids))}
        else:
            queries = [self.queries[row] if row >= 0 else NOTHING for row in rows]
            documents = padded_to(self._texts_of(ids.ravel()), self.ends["documents"])
            found = {
                "query": padded_to(queries, self.ends["query"]),
                "documents": {
                    name: array.reshape(*ids.shape, -1) for name, array in documents.items()
                },
            }
        if ids.shape[1] == 1:
            return found | {"document_ids": ids[:, 0]}
        return found | {"document_ids": ids, "document_where": where}

    @functools.cached_property
    def packer(self) -> Packer | None:
        """What packs the texts of a batch; None where they are padded."""
        random = np.random.default_rng(0)

        def texts_of(rows):
            rows = filled_up(rows)
            shape = 0 if self.mined is None else self.mined.mining.count
            drawn = random.integers(len(self.documents), size=(len(self.queries), shape))
            return self._texts(rows, self._document_ids(rows, drawn if shape else None)[0])

        longest = max(map(len, [*self.queries, *self.documents]))
        sizes = {"count": self.count, "size": self.batch_size}
        return packer(self.encode, texts_of, longest=longest, **sizes)

    def _document_ids(self, rows, mined):
        """The documents of a batch's rows and which of them count, [batch, documents]; `mined` is of all rows."""
        places, counts = np.maximum(rows, 0), (rows >= 0)[:, None]
        ids = self.ids[1].reshape(len(self.queries), -1)[places]
        where = counts & np.ones_like(ids, bool)
        if self.document_where is not None:
            where = counts & self.document_where[places]
        if mined is not None:
            negatives = mined[places]
            ids = np.concatenate([ids, negatives], axis=1)
            where = np.concatenate([where, counts & (negatives >= 0)], axis=1)
        return np.where(counts, ids, -1).astype(np.int32), where

    def _texts(self, rows, ids):
        """The texts of a batch row by row, the query before its documents."""
        texts = []
        for row, documents in zip(rows, ids, strict=True):
            texts += [self.queries[row] if row >= 0 else NOTHING, *self._texts_of(documents)]
        return texts

    def _texts_of(self, ids):
        return [self.documents[number] if number >= 0 else NOTHING for number in ids]

    def mine(self, params: ArrayTree, step: int) -> None:
        """Mines the negatives of the steps from `step` with the model of these parameters."""
        if self.mined.known(step):
            return
        texts, rows = documents_of(self.pairs), len(self.queries)
        queries, documents = (
            self._vectors(params, side, of_side, "mining negatives")
            for side, of_side in enumerate((self.pairs.queries, texts))
        )
        place = {text: number for number, text in enumerate(texts)}
        itself = np.array([place.get(query, -1) for query in self.pairs.queries])
        of_rows = self.ids[1].reshape(rows, -1)
        self.mined.mine(
            queries,
            documents,
            query_ids=self.ids[0],
            positives=of_rows[:, 0],
            own=np.concatenate([itself[:, None], of_rows[:, 1:]], axis=1),
            similarity=self.model.similarity,
            step=step,
        )

    def objective(self) -> Objective:
        """The loss of a batch. Equal texts have equal ids, so that no copy is its own negative."""

        def objective(params, batch, *, key, axis_name):
            queries, documents = self._encoded(params, batch, key, axis_name)
            if self.cuts.layers:
                loss = functools.partial(self._of_embeddings, batch, axis_name, key)
                states = {"queries": jnp.stack(queries), "documents": jnp.stack(documents)}
                return self._over_layers(loss, states, jax.random.fold_in(key, 2), batch, axis_name)
            return self._of_both(queries, documents, batch, axis_name, key)

        return objective

    def _encoded(self, params, batch, key, axis_name):
        """The vectors of a batch's queries [rows, dim] and documents [rows, dim] or [rows, documents, dim]."""
        rows = batch["where"].shape[0]
        keys = jax.random.split(key)
        if "texts" in batch:
            of_row = batch["document_ids"].shape[1:]
            each = 1 + (of_row[0] if of_row else 1)
            both = self.encode(params, batch["texts"], key=keys[0], axis_name=axis_name)
            both = jax.tree.map(lambda a: a.reshape(rows, each, -1), both)
            queries = jax.tree.map(lambda a: a[:, 0], both)
            documents = jax.tree.map(lambda a: a[:, 1] if each == 2 else a[:, 1:], both)
            return queries, documents
        queries = self.encode(params, batch["query"], key=keys[0], axis_name=axis_name)
        each = batch["documents"]["tokens"].shape[1]
        flat = jax.tree.map(lambda a: a.reshape(rows * each, -1), batch["documents"])
        documents = self.encode(params, flat, key=keys[1], axis_name=axis_name)
        if each > 1:
            documents = jax.tree.map(lambda a: a.reshape(rows, each, *a.shape[1:]), documents)
        return queries, documents

    def _of_both(self, queries, documents, batch, axis_name, key):
        """The loss of a batch's embeddings, of the whole and of the cuts."""
        loss = functools.partial(self._of_embeddings, batch, axis_name, key)
        both = {"queries": queries, "documents": documents}
        return over_dims(loss, self.cuts, queries.shape[-1])(both)

    def _of_embeddings(self, batch, axis_name, key, both):
        """The loss of a batch's embeddings {"queries", "documents"}."""
        queries, documents = both["queries"], both["documents"]
        rows, named = batch["ids"], {"where": batch["where"], "axis_name": axis_name}
        if self.graded:
            return self.loss(queries, documents, jnp.asarray(self.scores)[rows], **named)
        query_ids, document_ids = (jnp.asarray(ids)[rows] for ids in self.ids)
        if "document_ids" in batch:
            document_ids = batch["document_ids"]
        if "document_where" in batch:
            named["document_where"] = batch["document_where"]
        elif self.document_where is not None and not self.document_where.all():
            named["document_where"] = jnp.asarray(self.document_where)[rows]
        if "ramp" in batch:
            ramp = batch["ramp"].max()  # one number in every row
            named["ramp"] = ramp if axis_name is None else jax.lax.pmax(ramp, axis_name)
        if "key" in getattr(self.loss, "takes", ()):
            named["key"] = jax.random.fold_in(key, 3)
        for name, vectors in self.taught.items():
            named[name] = (
                jnp.asarray(vectors.queries)[rows],
                jnp.asarray(vectors.documents)[document_ids],
            )
        if "teacher" not in named:
            named |= {"query_ids": query_ids, "document_ids": document_ids}
        return self.loss(queries, documents, **named)

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
            self._vectors(params, side, texts, "encoding what is held out")
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
        if isinstance(self.model, pretrained.SparseTextModel):
            found |= {
                f"active dims of {side}": float(evaluation.sparsity(vectors).active_dims)
                for side, vectors in (("queries", queries), ("documents", documents))
            }
        if self.alone:
            found = self._in_batches(queries, documents) | found
        for dim in self.cuts.dims:
            cut = self._retrieval(queries[:, :dim], documents[:, :dim])
            found[f"MRR@10 of {dim}"] = cut["MRR@10"]
        return found

    def _in_batches(self, queries, documents):
        """The loss and accuracy in batches of the training's size, without mined negatives.

        A query may find any document that is its own in some row.
        """
        right = {*zip(*(ids.tolist() for ids in self.held_ids), strict=True)}
        loss = hits = 0.0
        rows = len(self.held_ids[0])
        for start in range(0, rows, self.batch_size):
            count = min(self.batch_size, rows - start)
            where = np.arange(self.batch_size) < count
            columns = queries, documents, *self.held_ids
            part = jax.tree.map(functools.partial(rows_from, start, self.batch_size), columns)
            value, predicted = self.of_batch(*part, where)
            loss += float(value) * count
            pairs = zip(
                part[2][:count].tolist(), np.asarray(predicted)[:count].tolist(), strict=True
            )
            hits += sum(pair in right for pair in pairs)
        return {"loss": loss / rows, "accuracy in batch": hits / rows}

    def _loss_and_nearest(self, queries, documents, query_ids, document_ids, where):
        """The loss of the rows that count, and the id of the document that each query finds."""
        scores = jnp.where(where, self.model.similarity(queries, documents), -jnp.inf)
        inputs = {"query_ids": query_ids, "document_ids": document_ids, "where": where}
        return self.loss(queries, documents, **inputs), document_ids[scores.argmax(axis=1)]

    def _retrieval(self, queries, documents, ids=None):
        """How well each query finds its documents among all that are held out, each text once."""
        query_ids, document_ids = ids = self.held_ids if ids is None else ids
        places = [np.unique(of_side, return_index=True)[1] for of_side in ids]
        k = min(10, len(places[1]))
        sides = [
            jax.tree.map(lambda a, rows=rows: a[rows], side)
            for side, rows in zip((queries, documents), places, strict=True)
        ]
        _, hits = search.exact(*sides, k=k, similarity=self.model.similarity)
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

    def _vectors(self, params, side, texts, label):
        tokens = functools.partial(self._ids, side)
        return encode_corpus(self.model.encode, params, tokens, texts, label=label)

    def _documents(self):
        """The token ids of each different document, by its id."""
        return self._ids(1, documents_of(self.pairs))

    def _rows(self):
        """The token ids of each row's documents, the positive first, none where a row has fewer."""
        return [
            [self.documents[number] if number >= 0 else NOTHING for number in row]
            for row in self.ids[1].reshape(len(self.queries), -1)
        ]

    def _ids(self, side, texts):
        return self.model.tokens(texts, prompt=self.prompts[side])


def rows_from(start: int, count: int, array: np.ndarray) -> np.ndarray:
    """`count` rows of an array from `start` on, filled up with zeros."""
    part = array[start : start + count]
    return np.pad(part, [(0, count - len(part))] + [(0, 0)] * (part.ndim - 1))
