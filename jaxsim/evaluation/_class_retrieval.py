"""Retrieval metrics for class labels: recall@k, MAP@R and R-precision of embeddings.

    embeddings [n, dim], labels [n] -> a figure

Every example is a query among all others, or among `references`. Ties are pessimistic: of equal scores
those of another class come first, so that a constant embedding looks as bad as it is. A figure with a NaN
among the scores that count is NaN.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.evaluation._query_rows import by_query, closest_others_first, count
from jaxsim.evaluation._reduced import reduced
from jaxsim.numerics import checks
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, ArrayTree, ReduceFn, Similarity
from jaxsim.similarity import cosine


def class_recall(
    embeddings: ArrayTree,
    labels: Array,
    k: int = 1,
    *,
    references: ArrayTree | None = None,
    reference_labels: Array | None = None,
    reference_where: Array | None = None,
    ids: Array | None = None,
    reference_ids: Array | None = None,
    where: Array | None = None,
    similarity: Similarity = cosine,
    block: int | None = None,
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """Recall@k of metric learning: the share of queries with a match of their class among the k closest.

    Args:
      embeddings: [n, dim], or a pytree that `similarity` takes.
      labels: int [n].
      k: how many of the closest count.
      references: [m, dim] to search among in place of the embeddings themselves.
      reference_labels: int [m].
      reference_where: bool [m], False for padding.
      ids, reference_ids: int [n], int [m]; a query never finds the reference with its id. Without
        references each row is its own example.
      where: bool [n], False for padding.
      similarity: (x, y) -> scores [n, m], larger is closer.
      block: queries per block of scores; None chooses it. The result does not depend on it.
      reduce_fn: (values, counts, axis_name) -> number; None gives both, [n] each.

    Returns: float32, the mean over the queries that have a reference of their class.
    Raises: ValueError for shapes that do not fit, or k above the number of references.
    Source: Musgrave et al. 2020 (2003.08505), section 4; ties as in this library.
    """
    checks.at_most("k", k, count(embeddings, references), "the number of references")
    result = by_query(
        _any_match,
        embeddings,
        labels,
        references,
        reference_labels,
        ids=ids,
        where=where,
        reference_ids=reference_ids,
        reference_where=reference_where,
        similarity=similarity,
        block=block,
        settings=(jnp.int32(k),),
    )
    return reduced(*result, reduce_fn)


def map_at_r(
    embeddings: ArrayTree,
    labels: Array,
    *,
    references: ArrayTree | None = None,
    reference_labels: Array | None = None,
    reference_where: Array | None = None,
    ids: Array | None = None,
    reference_ids: Array | None = None,
    where: Array | None = None,
    similarity: Similarity = cosine,
    block: int | None = None,
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """MAP@R: mean average precision over the R closest, R the number of a query's matches.

        (1/R) sum_{i <= R} [the ith is of the class] (how many of the first i are) / i

    Arguments and result as in `class_recall`; under jit with traced labels it sorts whole rows.

    Source: Musgrave et al. 2020 (2003.08505), section 4.
    """
    result = by_query(
        _average_precision,
        embeddings,
        labels,
        references,
        reference_labels,
        ids=ids,
        where=where,
        reference_ids=reference_ids,
        reference_where=reference_where,
        similarity=similarity,
        block=block,
        k=_largest_class(embeddings, labels, references, reference_labels),
    )
    return reduced(*result, reduce_fn)


def r_precision(
    embeddings: ArrayTree,
    labels: Array,
    *,
    references: ArrayTree | None = None,
    reference_labels: Array | None = None,
    reference_where: Array | None = None,
    ids: Array | None = None,
    reference_ids: Array | None = None,
    where: Array | None = None,
    similarity: Similarity = cosine,
    block: int | None = None,
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """R-precision: the share of matches among the R closest, R the number of a query's matches.

    Arguments and result as in `map_at_r`.
    """
    result = by_query(
        _precision,
        embeddings,
        labels,
        references,
        reference_labels,
        ids=ids,
        where=where,
        reference_ids=reference_ids,
        reference_where=reference_where,
        similarity=similarity,
        block=block,
        k=_largest_class(embeddings, labels, references, reference_labels),
    )
    return reduced(*result, reduce_fn)


def _any_match(scores, labels, their_labels, where, k, _):
    same = labels[:, None] == their_labels
    matches = where & same
    best = jnp.where(matches, scores, -jnp.inf).max(axis=1, keepdims=True)
    before = (where & ~same & (scores >= best)).sum(axis=1)
    return (before < k).astype(jnp.float32), matches.any(axis=1)


def _average_precision(scores, labels, their_labels, where, k):
    hits, relevant = _hits_within_r(scores, labels, their_labels, where, k)
    precision = jnp.cumsum(hits, axis=1) / jnp.arange(1, k + 1)
    return (hits * precision).sum(axis=1) / jnp.maximum(relevant, 1), relevant > 0


def _precision(scores, labels, their_labels, where, k):
    hits, relevant = _hits_within_r(scores, labels, their_labels, where, k)
    return hits.sum(axis=1) / jnp.maximum(relevant, 1), relevant > 0


def _hits_within_r(scores, labels, their_labels, where, k):
    same = labels[:, None] == their_labels
    relevant = (where & same).sum(axis=1)
    _, _, hits = closest_others_first(scores, same, where, k)
    return hits & (jnp.arange(k) < relevant[:, None]), relevant


def _largest_class(embeddings, labels, references, reference_labels):
    """The most references that a query can have, as a constant: how far a ranking is looked at."""
    rows = count(embeddings, references)
    name, classes = "labels", labels
    if references is not None:
        name, classes = "reference_labels", reference_labels
    if rows == 0 or classes is None or isinstance(classes, jax.core.Tracer):
        return max(rows, 1)
    classes = classes if isinstance(classes, jax.Array) else checks.one_array(name, classes)
    if classes.shape != (rows,) or not np.issubdtype(classes.dtype, np.integer):
        return rows  # refused by name, further on
    return int(np.unique(np.asarray(classes), return_counts=True)[1].max(initial=1))
