"""Paragraph vectors: tables trained side by side on terms of documents, and rows fitted to new documents."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import data, encoders, losses, training
from jaxsim.numerics import total
from jaxsim.numerics.types import ArrayTree, PRNGKey

Tables = dict[str, Any]
ORDERS = 1, 2  # words, and pairs of neighbors


class Occurrences(NamedTuple):
    """Terms of documents, one row each, with the words around them where a model reads those."""

    size: int  # documents
    documents: np.ndarray  # int32 [occurrences]
    terms: np.ndarray  # int32 [occurrences]
    contexts: np.ndarray | None = None  # int32 [occurrences, words]
    context_where: np.ndarray | None = None  # bool [occurrences, words]


class Corpus(NamedTuple):
    """Documents to train on, new ones to infer, and how often the first have each term."""

    known: Occurrences
    new: Occurrences
    counts: np.ndarray  # int64 [terms], 0 for the unknown one


class Model(NamedTuple):
    """What a model of paragraphs is: its tables before training, and its loss of the rows that a batch reads."""

    tables: Callable[[PRNGKey, int, int], Tables]  # (key, documents, terms)
    loss: Callable[..., jax.Array]  # (rows, batch, targets, negatives, **settings)


class Training(NamedTuple):
    """How tables are trained, equally for all models."""

    batch: int  # occurrences per step
    steps: int
    negatives: int  # terms drawn for each step, by their frequency


def bags(known: Sequence[list[str]], new: Sequence[list[str]], *, min_count: int) -> Corpus:
    """Words and pairs of neighbors in documents, lists of words; terms that the known ones have too seldom are dropped."""
    terms = data.document_terms(known, orders=ORDERS, min_count=min_count)
    other = data.document_terms(new, orders=ORDERS)
    ids = terms.vocabulary.ids(other.vocabulary.words)[other.terms]
    return Corpus(
        Occurrences(len(known), terms.documents, terms.terms),
        Occurrences(len(new), other.documents[ids > 0], ids[ids > 0]),
        _counts(terms.vocabulary),
    )


def windows(
    known: Sequence[list[str]], new: Sequence[list[str]], *, min_count: int, window: int
) -> Corpus:
    """Words of documents with those around them, `window` on either side; rare words are left out before."""
    vocabulary = data.vocabulary(known, min_count=min_count)

    def of(documents: Sequence[list[str]]) -> Occurrences:
        ids = [vocabulary.ids(document) for document in documents]
        ids = [row[row > 0] for row in ids]
        places = data.windows(ids, window)
        numbers = np.repeat(np.arange(len(ids), dtype=np.int32), [len(row) for row in ids])
        return Occurrences(len(ids), numbers, *places)

    return Corpus(of(known), of(new), _counts(vocabulary))


def binary(bits: int) -> Model:
    """Binary PV-DBOW: a code predicts the document's terms."""

    def loss(rows, batch, *drawn, **settings):
        return losses.binary_pv_dbow(rows["documents"], *drawn, **settings)

    return Model(functools.partial(_tables, dim=bits), loss)


def real(dim: int) -> Model:
    """PV-DBOW (Le and Mikolov 2014): a real vector predicts the document's terms."""

    def loss(rows, batch, *drawn, **settings):
        return losses.sampled_softmax(rows["documents"], *drawn, **settings)

    return Model(functools.partial(_tables, dim=dim), loss)


def sigmoid(dim: int) -> Model:
    """Binary PV-DBOW without rounding: the sigmoids themselves predict."""

    def loss(rows, batch, *drawn, **settings):
        return losses.sampled_softmax(jax.nn.sigmoid(rows["documents"]), *drawn, **settings)

    return Model(functools.partial(_tables, dim=dim), loss)


def real_binary(dim: int, bits: int) -> Model:
    """Real-Binary PV-DBOW: the projection of a real vector to a code predicts."""

    def loss(rows, batch, *drawn, **settings):
        bias = rows["projection_bias"]
        return losses.real_binary_pv_dbow(
            rows["documents"], rows["projection"], *drawn, projection_bias=bias, **settings
        )

    return Model(functools.partial(_tables, dim=dim, bits=bits), loss)


def binary_dm(bits: int, word_dim: int) -> Model:
    """Binary PV-DM: a code next to the mean of the words around predicts the word between them."""

    def tables(key, documents, terms):
        return _tables(key, documents, terms, dim=bits, words=terms, word_dim=word_dim)

    def loss(rows, batch, *drawn, **settings):
        where = batch["context_where"]
        around = rows["words"].reshape(*where.shape, word_dim)
        return losses.binary_pv_dm(
            rows["documents"], around, *drawn, context_where=where, **settings
        )

    return Model(tables, loss)


def trained(
    model: Model,
    corpus: Corpus,
    rates: Sequence[float],
    seeds: Sequence[int],
    how: Training,
    *,
    snapshots: int,
    label: str,
) -> Tables:
    """The tables of a model for several runs at once, by row-sparse AdaGrad.

    Args:
      model: such as `binary(32)`.
      corpus: what it reads.
      rates: of AdaGrad, of each run.
      seeds: of the start and the batches, of each run.
      how: the batches and steps.
      snapshots: how many are kept, in equal distances.
      label: of the progress bar.

    Returns: leaves [snapshots, runs, ...].
    """
    keys = jax.vmap(jax.random.key)(np.asarray(seeds, np.uint32))
    documents, terms = corpus.known.size, len(corpus.counts)
    start = jax.vmap(lambda key: model.tables(key, documents, terms))(keys)
    return _fitted(
        model, corpus.known, corpus.counts, start, {}, rates, keys, how, snapshots, label
    )


def infer_codes(
    model: Model,
    occurrences: Occurrences,
    counts: np.ndarray,
    tables: Tables,
    rates: Sequence[float],
    seeds: Sequence[int],
    how: Training,
    *,
    label: str = "inference",
) -> np.ndarray:
    """Rows of new documents: fitted to their terms by the model's loss while its other tables stay as they are.

    Args:
      model, rates, seeds, label: as in `trained`.
      occurrences: of the new documents.
      counts: how often the documents trained on have each term: of the negatives.
      tables: leaves [runs, ...] that `trained` gave; the rows of its documents are not read.
      how: the batches and steps.

    Returns: float32 [runs, documents, dim]; a code is [row > 0]. A document without any term has the row
    that it began with.
    """
    keys = jax.vmap(jax.random.key)(np.asarray(seeds, np.uint32))
    keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
    start = jax.vmap(lambda key: model.tables(key, occurrences.size, len(counts))["documents"])(
        keys
    )
    if not len(occurrences.terms):
        return np.asarray(start)
    frozen = {name: jnp.asarray(table) for name, table in tables.items() if name != "documents"}
    rows = _fitted(
        model, occurrences, counts, {"documents": start}, frozen, rates, keys, how, 1, label
    )
    return rows["documents"][0]


def _fitted(
    model: Model,
    occurrences: Occurrences,
    counts: np.ndarray,
    start: Tables,
    frozen: Tables,
    rates: Sequence[float],
    keys: PRNGKey,
    how: Training,
    snapshots: int,
    label: str,
) -> Tables:
    """Tables from their start, beside others that are read and not trained."""
    size, most, runs = how.batch, how.negatives, len(rates)
    columns = {
        name: jnp.asarray(column)
        for name, column in occurrences._asdict().items()
        if name != "size" and column is not None
    }
    noise = data.negatives.count_power(counts, 1.0)
    settings = {
        "rate": jnp.asarray(rates, jnp.float32),
        "noise": jnp.broadcast_to(noise, (runs, len(noise))),
        "frozen": frozen,
    }

    def draw(setting: ArrayTree) -> Callable[[PRNGKey], ArrayTree]:
        def of(key):
            rows = jax.random.randint(key, (size,), 0, len(columns["terms"]))
            batch = {name: column[rows] for name, column in columns.items()}
            return batch | {"where": jnp.ones(size, bool), "ids": rows}

        return of

    def ids(setting, tables, batch, key):
        """The rows of each table that a batch reads, its negatives behind its terms."""
        terms = jnp.concatenate(
            [batch["terms"], data.negatives.draw(key, setting["noise"], (most,))]
        )
        rows = {"documents": batch["documents"], "out": terms, "bias": terms}
        if "words" in tables:
            rows["words"] = batch["contexts"].ravel()
        for name in ("projection", "projection_bias"):  # read whole
            if name in tables:
                rows[name] = jnp.arange(len(tables[name]))
        return rows

    def optimizer(setting: Any) -> training.RowOptimizer:
        def lookup(batch, key):
            named = ids(setting, start_of_one | setting["frozen"], batch, key)
            return {name: named[name] for name in start}

        return training.adagrad_rows(setting["rate"], lookup)

    def objective(setting: Any) -> Any:
        def loss(rows, batch, *, key, axis_name):
            tables = setting["frozen"]
            named = ids(setting, rows | tables, batch, key)
            rows = rows | {name: table[named[name]] for name, table in tables.items()}
            drawn = named["out"][size:]
            expected = data.negatives.log_expected_counts(setting["noise"], most)
            # A sum over occurrences: a document's row moves as if they came one by one.
            return model.loss(
                rows,
                batch,
                rows["out"][:size],
                rows["out"][size:],
                target_bias=rows["bias"][:size],
                negative_bias=rows["bias"][size:],
                target_log_counts=expected[batch["terms"]],
                negative_log_counts=expected[drawn],
                negative_where=losses.parts.not_hits(batch["terms"], drawn),
                where=batch["where"],
                axis_name=axis_name,
                reduce_fn=total,
            )

        return loss

    start_of_one = jax.tree.map(lambda leaf: leaf[0], start)
    return training.fit_seeds(
        objective,
        start,
        draw,
        optimizer=optimizer,
        settings=settings,
        keys=keys,
        steps=how.steps,
        snapshots=snapshots,
        label=label,
    )[0]


def _tables(key: PRNGKey, documents: int, terms: int, **settings: Any) -> Tables:
    return encoders.paragraph_tables(key, documents, terms, **settings)


def _counts(vocabulary: data.Vocabulary) -> np.ndarray:
    """How often each term occurs; the unknown one is never drawn."""
    counts = vocabulary.counts.copy()
    counts[0] = 0
    return counts
