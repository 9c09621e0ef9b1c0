"""InfoNCE in more directions than from queries to documents, all in one softmax.

    queries [batch, dim], documents [batch, dim] or [batch, 1 + negatives, dim] -> loss

A direction chooses the rows and the columns of a score matrix. It adds its candidates to the
denominator of each query; what the query has to pick is its document. `symmetric_info_nce` is the mean
of two softmaxes instead.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import reduced
from jaxsim.losses._lift._compositions import REFERENCES, preset, sharing
from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.losses._lift._sides import Side, lift_sides
from jaxsim.losses.pairs._info_nce import info_nce, own_scores
from jaxsim.numerics import checks, masked
from jaxsim.numerics.masked import NOTHING, log_sum_exp
from jaxsim.numerics.types import Array, ArrayTree, Numeric

# A direction: (log_sum, queries, positives, documents) -> [rows], where log_sum(rows, columns, kept) is
# the log of the sum of exp(score / temperature) over the columns that stay in each row, up to a number of
# the row that all directions share. The sides are names: queries, the positive of each, and all documents,
# which are columns alone. Those that stay are kept(positives, where, own): own is True for all columns that
# came with the row, negatives too.
Direction = Callable[[Callable[..., jax.Array], Side, Side, Side], jax.Array]


def queries_to_queries(
    log_sum: Callable[..., jax.Array], queries: Side, positives: Side, documents: Side
) -> jax.Array:
    """Each query with the other queries: logs of sums [rows].

    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    return log_sum(queries, queries, others)


def documents_to_queries(
    log_sum: Callable[..., jax.Array], queries: Side, positives: Side, documents: Side
) -> jax.Array:
    """Each query's document with all queries, its own included once more: logs of sums [rows].

    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    return log_sum(positives, queries, lambda positives, where, own: where)


def positives_to_positives(
    log_sum: Callable[..., jax.Array], queries: Side, positives: Side, documents: Side
) -> jax.Array:
    """Each query's document with those of the other queries, without negatives: logs of sums [rows].

    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    return log_sum(positives, positives, others)


def documents_to_documents(
    log_sum: Callable[..., jax.Array], queries: Side, positives: Side, documents: Side
) -> jax.Array:
    """Each query's document with all those of other rows, negatives too: logs of sums [rows].

    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    return log_sum(positives, documents, lambda positives, where, own: where & ~positives & ~own)


def others(positives: Array, where: Array, own):
    """The columns that are not the row's own: neither by place nor by id."""
    return where & ~positives


@sharing(info_nce, without=REFERENCES)
def joint_info_nce(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    directions: Sequence[Direction] = (
        queries_to_queries,
        documents_to_queries,
        documents_to_documents,
    ),
    temperature: Numeric = 0.01,
    **shared: Any,
) -> jax.Array:
    """Joint InfoNCE (GTE): the candidates of further directions are in the same softmax, in nats.

        value_i = log( sum_j exp(q_i d_j / T) + sum_{j != i} exp(q_i q_j / T)
                       + sum_j exp(q_j d_i / T) + sum_{j != i} exp(d_i d_j / T) )
                - log sum_{j in positives_i} exp(q_i d_j / T)

    T is the temperature. The pair's own score is in the denominator twice, as in the paper. Counts the
    queries that have a positive. Queries of equal ids, or of equal positives, are not candidates of each
    other. A document that is missing has no candidates.

    Args:
      directions: what is added to the queries' scores of all documents, any of `queries_to_queries`,
        `documents_to_queries`, `documents_to_documents` and `positives_to_positives`.
      temperature: divides the scores, > 0; may be traced. 0.01 is the paper.

    Source: Li et al. 2023 (2308.03281), the improved contrastive loss of GTE; in
    MultipleNegativesRankingLoss of sentence-transformers the directions in one partition.
    Data: pairs, pairs with negatives.
    Memory: block x the columns of all directions.
    """
    return joint(queries, documents, directions, {"temperature": temperature}, **shared)


expanded_info_nce = preset(
    joint_info_nce,
    "expanded_info_nce",
    """Expanded InfoNCE (KaLM): queries with queries and positives with positives too, in nats.

        value_i = log( sum_j exp(q_i d_j / T) + sum_{k != i} exp(q_i q_k / T)
                       + sum_{k != i} exp(p_i p_k / T) ) - log sum_{j in positives_i} exp(q_i d_j / T)

    d are all documents, p the positives among them: `joint_info_nce` with these two directions. Counts
    the queries that have a positive.

    Args:
      directions, temperature: as in `joint_info_nce`.

    Source: Zhao et al. 2025 (2506.20923), the expanded negatives of KaLM-Embedding-V2's released code.
    Data: pairs, pairs with negatives.
    Kind: pairwise; memory block x the columns of all directions.
    """,
    directions=(queries_to_queries, positives_to_positives),
)


@sharing(info_nce)
def info_nce_with_extra(
    queries: ArrayTree,
    documents: ArrayTree,
    extra: ArrayTree,
    *,
    extra_where: Array | None = None,
    temperature: Numeric = 0.01,
    **shared: Any,
) -> jax.Array:
    """InfoNCE with extra negatives per query, which no other query is compared with, in nats.

        value_i = log( sum_j exp(q_i d_j / T) + sum_k exp(q_i e_ik / T) )
                - log sum_{j in positives_i} exp(q_i d_j / T)

    What is made of a query's own negatives belongs there (`mix_pairs`, `mix_list`). Counts the queries
    that have a positive.

    Args:
      extra: e [batch, extras, dim].
      extra_where: bool [batch, extras], False where a row has fewer.
      temperature: divides the scores, > 0; may be traced. 0.01 is the paper.

    Source: Zhao et al. 2025 (2506.20923), where the mixed negatives enter.
    Data: pairs with negatives.
    Memory: block x documents, and batch x extras x dim.
    """
    checks.positive("temperature", temperature)
    reduce_fn = shared.pop("reduce_fn")
    (every, counts), (picked, _), (tops, _) = _to_documents(
        queries, documents, temperature=temperature, reduce_fn=None, **shared
    )
    names = "extra", "extra_where"
    of_rows = (shared[name] for name in ("where", "similarity", "weights"))
    scores, there = own_scores(names, queries, extra, extra_where, *of_rows)
    further = log_sum_exp(scores / temperature - tops[:, None], there, empty=NOTHING)
    values = jnp.logaddexp(every, further) - picked
    return reduced([(values, counts)], None, shared["axis_name"], reduce_fn)


@over_pairs
def _to_documents(scores, positives, where, *, temperature):
    logits, tops = _below_tops(scores / temperature, where)
    counts = positives.any(axis=1)
    sums = log_sum_exp(logits, where), log_sum_exp(logits, positives)
    return [(values, counts) for values in (*sums, tops[:, 0])]


def _below_tops(logits, where: Array):
    """The logits less the largest of each row, and it: [rows, columns], [rows, 1].

    Sums that are added later must be near 0 where they count: float32 has no digits left for the
    difference of two logs of 1e5.
    """
    tops = jax.lax.stop_gradient(masked.max(logits, where, keepdims=True))
    return logits - tops, tops


def joint(
    queries: ArrayTree,
    documents: ArrayTree,
    directions: Sequence[Direction],
    settings: dict[str, Any],
    limit: Callable[..., jax.Array] | None = None,
    **shared: Any,
) -> jax.Array:
    """InfoNCE whose denominators have the candidates of further directions.

    Args:
      queries, documents: as in `info_nce`.
      directions: as in `joint_info_nce`.
      settings: the temperature, and what else `limit` takes.
      limit: (the guide's highest score of the positives [rows], **settings) -> the guide's score above which
        a candidate does not stay [rows]; None without a guide.
      shared: as `lift_sides` takes them.
    """
    checks.positive("temperature", settings["temperature"])

    def rule(scores_of, *, temperature, **margins):
        scores, positives, candidates, _, guide = scores_of(*_TO_DOCUMENTS)
        if limit is not None:
            level = limit(masked.max(guide, positives, keepdims=True), **margins)
            candidates = positives | (candidates & ~(guide > level))
        logits, tops = _below_tops(scores / temperature, candidates)

        def log_sum(rows, columns, kept):
            scores, positives, where, own, guide = scores_of(rows, columns)
            stays = kept(positives, where, own)
            if limit is not None:
                stays = stays & ~(guide > level)
            return log_sum_exp(scores / temperature - tops, stays, empty=NOTHING)

        every, picked = (log_sum_exp(logits, mask) for mask in (candidates, positives))
        sums = [direction(log_sum, *_SIDES) for direction in directions]
        return functools.reduce(jnp.logaddexp, sums, every) - picked, positives.any(axis=1)

    return lift_sides(rule, _crossed(directions), queries, documents, settings, **shared)


def _crossed(directions):
    """Which rows are compared with which columns, queries with documents first."""
    crossed = {_TO_DOCUMENTS: None}

    def log_sum(rows, columns, kept):
        crossed[rows, columns] = None
        return jnp.zeros(())

    for direction in directions:
        direction(log_sum, *_SIDES)
    return tuple(crossed)


_SIDES: tuple[Side, Side, Side] = "queries", "positives", "documents"
_TO_DOCUMENTS = "queries", "documents"
