"""InfoNCE in more directions than from queries to documents, all in one softmax.

    queries [batch, dim], documents [batch, dim] or [batch, 1 + negatives, dim] -> loss

A direction chooses the rows and the columns of a score matrix. It adds its candidates to the
denominator of each query; what the query has to pick is its document. `symmetric_info_nce` is the mean
of two softmaxes instead.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import reduced
from jaxsim.losses._lift._compositions import REFERENCES, preset, sharing
from jaxsim.losses._lift._lifters import over_pairs, vectors_of
from jaxsim.losses.pairs._info_nce import info_nce, own_scores
from jaxsim.numerics import checks, masked
from jaxsim.numerics.masked import log_sum_exp, zeroed
from jaxsim.numerics.types import Array, ArrayTree, Numeric


class Side(NamedTuple):
    """Queries, the positive of each, or all documents: what a direction puts in rows or columns."""

    vectors: Any  # [batch, dim] or [batch, each, dim]
    zeros: jax.Array  # [batch] or [batch, each]: what columns have where only rows are known
    ids: jax.Array | None  # int, of documents: of a query those of its own
    where: jax.Array | None  # bool [batch, each]
    guide: Any = None  # another encoder's vectors (_guided_info_nce.py)


# A direction: (log_sum, queries, positives, documents) -> [batch], where log_sum(rows, columns, kept)
# is the log of the sum of exp(score / temperature) over the columns that stay in each row. These are
# kept(positives, where, own): own is True for all columns that came with the row, negatives too.
Direction = Callable[[Callable[..., jax.Array], Side, Side, Side], jax.Array]


def queries_to_queries(
    log_sum: Callable[..., jax.Array], queries: Side, positives: Side, documents: Side
) -> jax.Array:
    """Each query with the other queries: logs of sums [batch].

    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    return log_sum(queries, queries, others)


def documents_to_queries(
    log_sum: Callable[..., jax.Array], queries: Side, positives: Side, documents: Side
) -> jax.Array:
    """Each query's document with all queries, its own included once more: logs of sums [batch].

    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    return log_sum(positives, queries, lambda positives, where, own: where)


def positives_to_positives(
    log_sum: Callable[..., jax.Array], queries: Side, positives: Side, documents: Side
) -> jax.Array:
    """Each query's document with those of the other queries, without negatives: logs of sums [batch].

    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    return log_sum(positives, positives, others)


def documents_to_documents(
    log_sum: Callable[..., jax.Array], queries: Side, positives: Side, documents: Side
) -> jax.Array:
    """Each query's document with all those of other rows, negatives too: logs of sums [batch].

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
    other.

    Args:
      directions: what is added to the queries' scores of all documents, any of `queries_to_queries`,
        `documents_to_queries`, `documents_to_documents` and `positives_to_positives`.
      temperature: divides the scores, > 0; may be traced. 0.01 is the paper.

    Source: Li et al. 2023 (2308.03281), the improved contrastive loss of GTE; in
    MultipleNegativesRankingLoss of sentence-transformers the directions in one partition.
    Data: pairs, pairs with negatives.
    Memory: block x documents, walked once for each direction.
    """
    loss = joint(_to_documents, _log_sums, queries, documents, directions)
    return loss(temperature=temperature, **shared)


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
    Kind: pairwise; memory block x documents, walked once for each direction.
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


# The log of an empty sum: two of them in one log-add give a NaN slope if they are -inf.
NOTHING = -1e30


@over_pairs
def _to_documents(scores, positives, where, *, temperature):
    return sums_and_tops(scores / temperature, positives, where)


def sums_and_tops(logits, positives: Array, where: Array):
    """The logs of the sums over all candidates and over the positives, less the largest logit; and it.

    Sums that are added later must be near 0 where they count: float32 has no digits left for the
    difference of two logs of 1e5.
    """
    tops = jax.lax.stop_gradient(masked.max(logits, where))
    logits, counts = logits - tops[:, None], positives.any(axis=1)
    sums = log_sum_exp(logits, where), log_sum_exp(logits, positives)
    return [(values, counts) for values in (*sums, tops)]


def of_row(mine, theirs):
    """A number of each row: [rows, 1]."""
    return mine[:, None]


@over_pairs(inputs={"tops": of_row})
def _log_sums(scores, positives, where, own, tops, *, temperature, kept):
    values = log_sum_exp(scores / temperature - tops, kept(positives, where, own), empty=NOTHING)
    return values, jnp.ones_like(values)


def joint(to_documents, log_sums, queries: ArrayTree, documents: ArrayTree, directions, guide=None):
    """A loss over directions of its two lifted parts, a function of settings.

    Args:
      to_documents: the queries' scores of the documents: `sums_and_tops`, and with a guide its levels.
      log_sums: the log of the sum over the columns that a direction keeps, of `tops`, and of `guide` and
        `levels` if there is a guide.
      queries, documents: as in `info_nce`.
      directions: as in `joint_info_nce`.
      guide: the guide's vectors of the queries and of the documents, or None.
    """
    queries, documents = vectors_of("queries", queries)[0], vectors_of("documents", documents)[0]

    def loss(*, document_ids, document_where, reduce_fn, **settings):
        checks.positive("temperature", settings["temperature"])
        of_documents = {"document_ids": document_ids, "document_where": document_where}
        by_guide = {} if guide is None else {"guide": guide}
        (every, counts), (picked, _), (tops, _), *levels = to_documents(
            queries, documents, reduce_fn=None, **by_guide, **of_documents, **settings
        )

        def log_sum(rows, columns, kept):
            inputs = {"tops": (tops, columns.zeros)}
            if guide is not None:
                inputs["guide"] = rows.guide, columns.guide
                inputs["levels"] = levels[0][0], columns.zeros
            of_columns = {"document_ids": columns.ids, "document_where": columns.where}
            vectors = rows.vectors, columns.vectors
            parts = log_sums(
                *vectors, kept=kept, reduce_fn=None, **inputs, **of_columns, **settings
            )
            return parts[0]

        sides = _sides_of(queries, documents, document_ids, document_where, guide or (None, None))
        sums = [direction(log_sum, *sides) for direction in directions]
        values = functools.reduce(jnp.logaddexp, sums, every) - picked
        return reduced([(values, counts)], None, settings["axis_name"], reduce_fn)

    return loss


def _sides_of(queries, documents, ids, where, guides):
    """The queries, the positive of each, and all documents, a `Side` each."""
    guide = guides[1]
    if jax.tree.leaves(documents)[0].ndim == jax.tree.leaves(queries)[0].ndim:
        documents, guide = jax.tree.map(lambda a: a[:, None], (documents, guide))
    where = None if where is None else jnp.asarray(where)
    if where is not None:  # a positive that is missing may hold anything, and no mask reaches a row
        documents = jax.tree.map(lambda a: zeroed(a, where), documents)
    ids = None if ids is None else jnp.asarray(ids)
    positive_ids = ids if ids is None or ids.ndim == 1 else ids[:, 0]
    zeros = jnp.zeros(jax.tree.leaves(documents)[0].shape[:2])
    positive, positive_guide = jax.tree.map(lambda a: a[:, 0], (documents, guide))
    positive_where = None if where is None else where[:, :1]
    return (
        Side(queries, zeros[:, 0], positive_ids, None, guides[0]),
        Side(positive, zeros[:, 0], positive_ids, positive_where, positive_guide),
        Side(documents, zeros, ids, where, guide),
    )
