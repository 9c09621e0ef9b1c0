"""Retrieval metrics for class labels: recall@k, MAP@R and R-precision of embeddings.

    embeddings [n, dim], labels [n] -> a figure

Every example is a query among all others, or among `references`. Ties are pessimistic: of equal scores
those of another class come first, so that a constant embedding looks as bad as it is. A figure with a NaN
among the scores that count is NaN.
"""

import jax.numpy as jnp

from jaxsim.evaluation._query_rows import Figure, Rows, closest_others_first, over_queries
from jaxsim.numerics import checks


@over_queries
def class_recall(rows: Rows, k: int = 1) -> Figure:
    """Recall@k of metric learning: the share of queries with a match of their class among the k closest.

    Counts the queries that have a reference of their class.

    Args:
      k: how many of the closest count, at most the number of references.

    Source: Musgrave et al. 2020 (2003.08505), section 4; ties as in this library.
    """
    checks.at_most("k", k, rows.count(), "the number of references")
    return Figure(_any_match, settings=(jnp.int32(k),))


@over_queries
def map_at_r(rows: Rows) -> Figure:
    """MAP@R: mean average precision over the R closest, R the number of a query's matches.

        (1/R) sum_{i <= R} [the ith is of the class] (how many of the first i are) / i

    Counts the queries that have a match. Under jit with traced labels it sorts whole rows.

    Source: Musgrave et al. 2020 (2003.08505), section 4.
    """
    return Figure(_average_precision, k=rows.largest_class())


@over_queries
def r_precision(rows: Rows) -> Figure:
    """R-precision: the share of matches among the R closest, R the number of a query's matches.

    Counts the queries that have a match. Under jit with traced labels it sorts whole rows.
    """
    return Figure(_precision, k=rows.largest_class())


@over_queries
def class_reciprocal_rank(rows: Rows) -> Figure:
    """MRR of metric learning: one over the rank of a query's closest match of its class.

    Counts the queries that have a reference of their class.
    """
    return Figure(_reciprocal_rank)


def _reciprocal_rank(scores, labels, their_labels, where, _):
    before, has_match = _others_before(scores, labels, their_labels, where)
    return 1 / (1 + before.astype(jnp.float32)), has_match


def _any_match(scores, labels, their_labels, where, k, _):
    before, has_match = _others_before(scores, labels, their_labels, where)
    return (before < k).astype(jnp.float32), has_match


def _others_before(scores, labels, their_labels, where):
    """(how many of other classes are not behind the closest match, whether there is a match)"""
    same = labels[:, None] == their_labels
    matches = where & same
    best = jnp.where(matches, scores, -jnp.inf).max(axis=1, keepdims=True)
    return (where & ~same & (scores >= best)).sum(axis=1), matches.any(axis=1)


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
