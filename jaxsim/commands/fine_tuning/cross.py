"""Fine-tuning a cross-encoder: on graded pairs, on lists of a query's documents, or on a teacher's scores."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import data, evaluation
from jaxsim.commands.fine_tuning.batches import ends_of, padded_to, row_batches
from jaxsim.commands.fine_tuning.cuts import WHOLE
from jaxsim.commands.fine_tuning.pairs import columns_of, listed, most_negatives, numbered, usable
from jaxsim.numerics.types import ArrayTree, Loss, Objective


class CrossTask:
    """A fine-tuning task of a cross-encoder, which scores each query with each of its row's documents.

    Args:
      model: of `pretrained.load`.
      loss: (scores, targets, *, candidate_where, where, axis_name) -> loss, both [rows, documents]. Targets are
        the teacher's scores, the pairs' scores or else 1 for the document and 0 for a negative.
      pairs, held: `Pairs`, to train and to validate on.
      batch_size: rows.
      teacher: its scores of the rows that are trained on [rows, documents], or None.
    """

    mined, cuts, prompts = None, WHOLE, (None, None)

    def __init__(
        self,
        model: Any,
        loss: Loss,
        pairs: Any,
        held: Any,
        batch_size: int,
        *,
        teacher: np.ndarray | None = None,
    ) -> None:
        self.model, self.loss, self.held, self.batch_size = model, loss, held, batch_size
        self.documents, self.counts = listed(pairs), counts_of(pairs)
        self.targets = targets_of(pairs) if teacher is None else np.asarray(teacher, np.float32)
        self.shows_loss = teacher is None
        trained_on = set(pairs.queries)
        self.seen = sum(query in trained_on for query in held.queries)
        self.negatives = list(map(len, pairs.negatives or ()))
        there = list(map(len, self.documents))
        self.left_out = sum(there) - int(self.counts.sum())
        queries = [
            query for query, each in zip(pairs.queries, there, strict=True) for _ in range(each)
        ]
        self.sides = model.tokenizer.pairs(queries, [d for row in self.documents for d in row])
        # The place of each document among all, -1 where a row has fewer.
        self.places = columns_of(self.documents, np.arange(len(queries)), -1)
        self.ends = [ends_of(list(map(len, side))) for side in self.sides]
        self.graded = pairs.scores is not None
        self.figure = "spearman" if self.graded else "MRR"
        self.held_loss = jax.jit(loss)

    @property
    def count(self) -> int:
        """How many rows are trained on."""
        return len(self.counts)

    def batches(self, *, epochs: int, steps: int | None, seed: int) -> data.Planned:
        """Batches of rows, each with all its documents."""
        settings = {"batch_size": self.batch_size, "epochs": epochs, "steps": steps, "seed": seed}
        return row_batches(self.count, self.columns, **settings)

    def columns(self, rows: np.ndarray, step: int) -> dict[str, Any]:
        """The columns of a batch: "queries" and "documents", {"tokens", "where"} [batch, documents, length]."""
        del step
        each = self.counts.shape[1]
        places = np.where(rows[:, None] >= 0, self.places[rows], -1).ravel()
        found = {}
        for name, side, ends in zip(("queries", "documents"), self.sides, self.ends, strict=True):
            texts = padded_to([side[place] if place >= 0 else [] for place in places], ends)
            found[name] = {part: a.reshape(len(rows), each, -1) for part, a in texts.items()}
        return found

    def objective(self) -> Objective:
        """The loss of a batch."""

        def objective(params, batch, *, key, axis_name):
            rows, each, _ = batch["queries"]["tokens"].shape
            sides = (
                jax.tree.map(lambda a: a.reshape(rows * each, -1), batch[name])
                for name in ("queries", "documents")
            )
            scores = self.model.score(params, *sides, key=key, axis_name=axis_name)
            return self.loss(
                scores.reshape(rows, each),
                jnp.asarray(self.targets)[batch["ids"]],
                candidate_where=jnp.asarray(self.counts)[batch["ids"]],
                where=batch["where"],
                axis_name=axis_name,
            )

        return objective

    def validate(self, params: ArrayTree) -> dict[str, float]:
        """Figures on the held-out rows: {name: float}."""
        documents, counts = listed(self.held), counts_of(self.held)
        scores = self._scores(params, documents)
        targets = targets_of(self.held)
        found = {}
        if self.shows_loss:
            where = np.ones(len(scores), bool)
            loss = self.held_loss(scores, targets, candidate_where=counts, where=where)
            found["loss"] = float(loss)
        if self.graded:
            return found | {
                "spearman": float(evaluation.spearman(scores[:, 0], targets[:, 0])),
                "pearson": float(evaluation.pearson(scores[:, 0], targets[:, 0])),
            }
        # Of equal scores the right document is the last.
        ranks = 1 + (counts[:, 1:] & (scores[:, 1:] >= scores[:, :1])).sum(axis=1)
        ranks = ranks[counts[:, 1:].any(axis=1)]  # of rows that have something to rank
        return found | {"first": float((ranks == 1).mean()), "MRR": float((1 / ranks).mean())}

    def _scores(self, params, documents):
        """The scores of what is held out: [rows, documents]."""
        return scores_of(self.model, self.held.queries, documents, params)


def scores_of(
    model: Any, queries: list, documents: list, params: ArrayTree | None = None
) -> np.ndarray:
    """A cross-encoder's scores of queries, each with its own documents: float32 [rows, documents].

    0 is where a row has fewer.
    """
    texts = list(dict.fromkeys(document for row in documents for document in row))
    (numbers,) = numbered(texts)
    place = dict(zip(texts, numbers.tolist(), strict=True))
    score = model.scorer(queries, texts, params=params)
    rows = np.repeat(np.arange(len(queries)), list(map(len, documents)))
    found = score(rows, np.array([place[document] for row in documents for document in row]))
    return columns_of(documents, np.asarray(found, np.float32), 0)


def counts_of(pairs: Any) -> np.ndarray:
    """Which documents of each row count: bool [rows, documents]."""
    return np.ones((len(pairs.queries), 1), bool) if pairs.negatives is None else usable(pairs)


def targets_of(pairs: Any) -> np.ndarray:
    """What the documents of each row should score: float32 [rows, documents]."""
    if pairs.scores is not None:
        return np.float32(pairs.scores)[:, None]
    targets = np.zeros((len(pairs.queries), 1 + most_negatives(pairs)), np.float32)
    targets[:, 0] = 1
    return targets
