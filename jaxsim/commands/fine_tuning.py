"""What fine-tuning is made of: an objective over pairs, and figures on pairs that are held out."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import data, evaluation, search, training
from jaxsim.numerics import unit
from jaxsim.search.corpus import encode_corpus

MULTIPLE = 16  # what lengths are rounded up to


def with_settings(name, loss, settings):
    """The loss with its settings fixed.

    Raises: ValueError for one that the loss does not have.
    """
    if unknown := set(settings) - set(inspect.signature(loss).parameters):
        raise ValueError(f"{name} has no {unknown.pop()}")
    return functools.partial(loss, **settings)


class Task:
    """A model, a loss, and the pairs to learn from and to look at."""

    def __init__(self, model, loss, pairs, held, batch_size, *, graded, prompts, chunk=None):
        self.model, self.loss, self.held = model, loss, held
        self.batch_size, self.graded, self.prompts = batch_size, graded, prompts
        self.examples = self._tokens(pairs)
        self.scores = None if pairs.scores is None else np.array(pairs.scores, np.float32)
        self.ids = tuple(_numbered(texts) for texts in (pairs.queries, pairs.documents))
        self.of_batch = jax.jit(self._loss_and_hits)  # once for all validations
        self.held_loss = jax.jit(loss)
        self.encode = model.encode
        if chunk is not None:
            self.encode = training.chunked(
                lambda params, texts, key=None: model.encode(params, texts, key=key), chunk
            )

    def batches(self, *, epochs, steps, seed):
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

    def objective(self):
        """The loss of a batch. Equal texts have equal ids, so that no copy is its own negative."""

        def objective(params, batch, *, key, axis_name):
            keys = jax.random.split(key)
            queries = self.encode(params, batch["query"], key=keys[0], axis_name=axis_name)
            documents = batch["documents"]
            rows, each, _ = documents["tokens"].shape
            flat = jax.tree.map(lambda a: a.reshape(rows * each, -1), documents)
            documents = self.encode(params, flat, key=keys[1], axis_name=axis_name)
            where = {"where": batch["where"], "axis_name": axis_name}
            if self.graded:
                return self.loss(
                    queries, documents, jnp.asarray(self.scores)[batch["ids"]], **where
                )
            ids = [jnp.asarray(some)[batch["ids"]] for some in self.ids]
            if each > 1:
                documents = documents.reshape(rows, each, -1)
            return self.loss(queries, documents, query_ids=ids[0], document_ids=ids[1], **where)

        return objective

    def validate(self, params):
        """Figures on the held-out pairs: {name: float}."""
        queries, documents = (
            encode_corpus(
                self.model.encode, params, functools.partial(self._ids, side), texts,
                label="encoding what is held out",
            )
            for side, texts in enumerate((self.held.queries, self.held.documents))
        )  # fmt: skip
        if self.graded:
            cosines = (unit(queries) * unit(documents)).sum(axis=1)
            given = np.array(self.held.scores, np.float32)
            return {
                "loss": float(self.held_loss(queries, documents, given)),
                "spearman": float(evaluation.spearman(cosines, given)),
                "pearson": float(evaluation.pearson(cosines, given)),
            }
        return self._in_batches(queries, documents) | self._retrieval(queries, documents)

    def best(self, figures):
        """What the best checkpoint is chosen by."""
        return figures["spearman" if self.graded else "MRR@10"]

    def _in_batches(self, queries, documents):
        """The loss and accuracy in batches of the training's size, without mined negatives."""
        ids = [_numbered(texts) for texts in (self.held.queries, self.held.documents)]
        total = np.zeros(2)
        for start in range(0, len(queries), self.batch_size):
            part = [a[start : start + self.batch_size] for a in (queries, documents, *ids)]
            missing = self.batch_size - len(part[0])
            where = np.arange(self.batch_size) < len(part[0])
            part = [np.pad(a, [(0, missing)] + [(0, 0)] * (a.ndim - 1)) for a in part]
            total += [float(a) for a in self.of_batch(*part, where)]
        loss, accuracy = total / len(queries)
        return {"loss": loss, "accuracy in batch": accuracy}

    def _loss_and_hits(self, queries, documents, query_ids, document_ids, where):
        """Of the rows that count: the sum of the losses, and how many find their own document."""
        scores = jnp.where(where, unit(queries) @ unit(documents).T, -jnp.inf)
        found = document_ids[scores.argmax(axis=1)] == document_ids
        more = {"query_ids": query_ids, "document_ids": document_ids, "where": where}
        return self.loss(queries, documents, **more) * where.sum(), (found & where).sum()

    def _retrieval(self, queries, documents):
        """How well each query finds its document among all that are held out, each once."""
        ids = _numbered(self.held.documents)
        _, places = np.unique(ids, return_index=True)
        k = min(10, len(places))
        _, found = search.exact(unit(queries), unit(documents[places]), k=k)
        truth = ids[:, None]
        return {
            "recall@1": float(evaluation.recall(found, truth, 1)),
            f"recall@{k}": float(evaluation.recall(found, truth, k)),
            "MRR@10": float(evaluation.reciprocal_rank(found, truth)),
        }

    def _tokens(self, pairs):
        queries = self._ids(0, pairs.queries)
        documents = self._ids(1, pairs.documents)
        if pairs.negatives is None:
            each = [[] for _ in queries]
        else:
            flat = iter(self._ids(1, [text for some in pairs.negatives for text in some]))
            each = [[next(flat) for _ in some] for some in pairs.negatives]
        return [
            {"query": q, "documents": [d, *more]}
            for q, d, more in zip(queries, documents, each, strict=True)
        ]

    def _ids(self, side, texts):
        return self.model.tokens(texts, prompt_name=self.prompts[side])


def _numbered(texts):
    """An int for each text, equal for equal texts, in the order of their first places."""
    numbers = {}
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int32)


def _ends(lengths):
    """Two lengths to pad to: one that holds three quarters of the texts, and the longest."""
    ends = {int(np.quantile(lengths, part, method="higher")) for part in (0.75, 1.0)}
    return tuple(sorted({-(-end // MULTIPLE) * MULTIPLE for end in ends}))
