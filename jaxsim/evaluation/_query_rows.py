"""Scores of queries against references in blocks of queries, shared by the metrics of neighbors."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.evaluation._numbering import together
from jaxsim.evaluation._reduced import reduced
from jaxsim.numerics import block_entries, checks
from jaxsim.numerics._blocks import by_blocks
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, ArrayTree, ReduceFn, Similarity
from jaxsim.similarity import cosine
from jaxsim.similarity._dense import OF_VECTORS

# Scores of a block when `block` is None, on accelerators at least: 16 MiB of float32.
BLOCK_ENTRIES = 2**22


class Rows(NamedTuple):
    """The inputs of a metric: the queries, and what they are compared with."""

    embeddings: Any  # [n, dim], as the similarity takes it
    labels: Any  # int [n]
    references: Any  # [m, dim]; None for the embeddings themselves
    reference_labels: Any  # int [m], or None

    def count(self) -> int:
        """The number of references, or of embeddings without references."""
        name = "embeddings" if self.references is None else "references"
        return checks.rows_of(name, checks.vectors(name, getattr(self, name), streamed=True))

    def largest_class(self) -> int:
        """The most references that a query can have, as a constant: how far a ranking is looked at."""
        rows = self.count()
        name = "labels" if self.references is None else "reference_labels"
        classes = getattr(self, name)
        if rows == 0 or classes is None or isinstance(classes, jax.core.Tracer):
            return max(rows, 1)
        classes = classes if isinstance(classes, jax.Array) else checks.one_array(name, classes)
        if classes.shape != (rows,) or not np.issubdtype(classes.dtype, np.integer):
            return rows  # refused by name, further on
        return int(np.unique(np.asarray(classes), return_counts=True)[1].max(initial=1))


class Figure(NamedTuple):
    """How a metric reads the scores of queries."""

    # (scores [rows, m], labels of rows, labels of references, where [rows, m], *settings, k) -> (values
    # [rows], counted bool [rows]); a module-level function, so that it is compiled once.
    rule: Callable[..., Any]
    settings: tuple = ()  # arrays that the rule takes
    k: int | None = None  # a constant that the rule takes


class QueryMetric(Protocol):
    """A metric of queries among references; `reduce_fn=None` gives (values, counts) of the queries."""

    __name__: str

    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *hyperparameters: Any,
        references: ArrayTree | None = None,
        reference_labels: Array | None = None,
        reference_where: Array | None = None,
        ids: Array | None = None,
        reference_ids: Array | None = None,
        where: Array | None = None,
        similarity: Similarity = cosine,
        block: int | None = None,
        reduce_fn: ReduceFn | None = mean,
        **named_hyperparameters: Any,
    ) -> jax.Array: ...


def over_queries(metric: Callable[..., Figure]) -> QueryMetric:
    """Makes `metric(embeddings, labels, *, references, where, ...)` of a function from `Rows` to a `Figure`.

        @over_queries
        def r_precision(rows: Rows) -> Figure: ...

    Args:
      metric: (Rows, *hyperparameters) -> Figure. It checks its hyperparameters.

    Returns: the metric, whose documentation ends with what is shared.
    """
    shared = [
        p
        for p in inspect.signature(QueryMetric.__call__).parameters.values()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"
    ]
    hyperparameters = list(inspect.signature(metric).parameters.values())[1:]
    listed = [*shared[:2], *hyperparameters, *shared[2:]]
    signature = inspect.Signature(sorted(listed, key=lambda p: p.kind), return_annotation=jax.Array)
    names = [p.name for p in hyperparameters]

    @functools.wraps(metric)
    def lifted(*arrays, **settings):
        try:
            bound = signature.bind(*arrays, **settings)
        except TypeError as error:
            raise TypeError(f"{metric.__name__}: {error}") from None
        bound.apply_defaults()
        chosen = bound.arguments
        of_metric, reduce_fn = {name: chosen.pop(name) for name in names}, chosen.pop("reduce_fn")
        rows = Rows(*(chosen.pop(name) for name in Rows._fields))
        return reduced(*by_query(metric(rows, **of_metric), rows, **chosen), reduce_fn)

    del lifted.__wrapped__  # inspect would show the function of rows
    lifted.__signature__ = signature
    lifted.__doc__ = f"{inspect.cleandoc(metric.__doc__ or '')}\n{_SHARED}"
    return lifted


_SHARED = """
What every metric of neighbors takes:
  embeddings: [n, dim], or a pytree that `similarity` takes.
  labels: int [n].
  references: [m, dim] to search among in place of the embeddings themselves.
  reference_labels: int [m].
  reference_where: bool [m], False for padding.
  ids, reference_ids: int [n], int [m]; a query never meets the reference with its id. Without references
    each row is its own example; with them nothing is left out unless both are given.
  where: bool [n], False for padding. What is there has no influence, NaN included.
  similarity: (x, y) -> scores [n, m], larger is closer. A query with NaN among the scores that count has
    the value NaN.
  block: queries per block of scores; None chooses it. The result does not depend on it.
  reduce_fn: (values, counts, axis_name) -> number; None gives both, [n] each.

Returns: float32, the mean over the queries that count.
Raises: ValueError for shapes that do not fit, or references without labels.
"""


def by_query(
    figure: Figure,
    rows_of: Rows,
    *,
    ids: Array | None = None,
    reference_ids: Array | None = None,
    where: Array | None = None,
    reference_where: Array | None = None,
    similarity: Similarity,
    block: int | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Computes a metric per query from its scores with all references, one block of scores at a time.

    Arguments: the figure, its rows, and what `over_queries` documents.

    Returns: (values [n], counted bool [n]).
    """
    embeddings, labels, references, reference_labels = rows_of
    checks.function("similarity", similarity, "such as similarity.cosine")
    embeddings = checks.vectors("embeddings", embeddings)
    rows = checks.rows_of("embeddings", embeddings)
    where = checks.mask("where", where, (rows,))
    if similarity in OF_VECTORS:
        checks.shaped("embeddings", embeddings, (None, None), "one row per vector")
    if references is None:
        for name, column in {
            "reference_labels": reference_labels,
            "reference_ids": reference_ids,
            "reference_where": reference_where,
        }.items():
            if column is not None:
                raise ValueError(f"{name} need references, got None")
        (labels,) = together(labels=labels)
        ids = jnp.arange(rows) if ids is None else together(ids=ids)[0]
        references, theirs, reference_ids, reference_where = embeddings, labels, ids, where
    else:
        references = checks.vectors("references", references)
        if similarity in OF_VECTORS:
            wanted = (None, embeddings.shape[1])
            checks.shaped("references", references, wanted, "as wide as embeddings")
        if reference_labels is None:
            raise ValueError("references need reference_labels, got None")
        if (ids is None) != (reference_ids is None):
            raise ValueError("ids and reference_ids go together: give both or neither")
        count = checks.rows_of("references", references)
        reference_where = checks.mask("reference_where", reference_where, (count,))
        labels, theirs = together(labels=labels, reference_labels=reference_labels)
        if ids is None:  # numbers that never meet
            ids, reference_ids = jnp.full(rows, -1), jnp.arange(count)
        else:
            ids, reference_ids = together(ids=ids, reference_ids=reference_ids)
        checks.shaped("reference_labels", theirs, (count,), "one per row of references")
        checks.shaped("reference_ids", reference_ids, (count,), "one per row of references")
    checks.shaped("labels", labels, (rows,), "one per row of embeddings")
    checks.shaped("ids", ids, (rows,), "one per row of embeddings")
    others = _without_padding(references, reference_where), theirs, reference_ids, reference_where
    count = others[1].shape[0]
    if rows == 0 or count == 0:
        return jnp.zeros(rows, jnp.float32), jnp.zeros(rows, bool)
    if block is None:
        block = max(1, min(rows, block_entries(BLOCK_ENTRIES) // count))
    checks.whole("block", block)
    queries = _without_padding(embeddings, where), labels, ids, where
    block = min(block, rows)
    return _walked(
        queries, others, tuple(figure.settings), figure.rule, similarity, block, figure.k
    )


@functools.partial(jax.jit, static_argnames=("rule", "similarity", "block", "k"))
def _walked(queries, others, settings, rule, similarity, block, k):
    references, their_labels, their_ids, their_where = others

    def of_block(rows):
        embeddings, labels, ids, where = rows
        scores = similarity(embeddings, references)
        mask = where[:, None] & their_where & (ids[:, None] != their_ids)
        spoiled = jnp.isnan(scores)
        scores = jnp.where(spoiled, -jnp.inf, scores)
        values, counted = rule(scores, labels, their_labels, mask, *settings, k)
        return jnp.where((spoiled & mask).any(axis=1), jnp.nan, values), counted & where

    return by_blocks(of_block, queries, block)


def closest_others_first(
    scores: Array, same: Array, where: Array, k: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Top-k references of each row, with pessimistic ties: other classes come first.

    Args:
      scores: [rows, m].
      same: bool [rows, m], whether a reference is of the row's class.
      where: bool [rows, m].
      k: at most m.

    Returns: (scores [rows, k], ids [rows, k], hits bool [rows, k]); score -inf where nothing is left.
    """
    count = scores.shape[1]
    # top_k takes the lowest index among ties: two copies of the columns, the other classes' in front.
    sides = [jnp.where(where & side, scores, -jnp.inf) for side in (~same, same)]
    best, places = jax.lax.top_k(jnp.concatenate(sides, axis=1), k)
    return best, places % count, (places >= count) & (best > -jnp.inf)


def _without_padding(tree, where):
    """Zeros in the place of padding, which may hold anything: some similarities mix rows."""
    return jax.tree.map(lambda leaf: zeroed(leaf, where), tree)
