"""InfoNCE in more directions than from queries to documents, all in one softmax.

    queries [batch, dim], documents [batch, dim] or [batch, 1 + negatives, dim] -> loss

A direction is a choice of what stands in the rows and what in the columns of a score matrix. It adds
its candidates to the denominator of each query; what the query has to pick is its document.
`symmetric_info_nce` is the mean of two softmaxes instead.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import reduced
from jaxsim.losses._lift._lifters import over_pairs, vectors_of
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.pairs._info_nce import own_scores
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import row_ids
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import log_sum_exp, zeroed
from jaxsim.similarity import cosine


class Side(NamedTuple):
    """Queries, the positive of each, or all documents: what a direction puts in rows or columns."""

    vectors: Any  # [batch, dim] or [batch, each, dim]
    numbers: jax.Array  # int [batch] or [batch, each], which query each came with
    ids: jax.Array | None  # int, of documents: of a query those of its own
    where: jax.Array | None  # bool [batch, each]
    guide: Any = None  # another encoder's vectors (_guided_info_nce.py)


# A direction: (log_sum, queries, positives, documents) -> [batch], where log_sum(rows, columns, kept)
# is the log of the sum of exp(score / temperature) over the columns that stay in each row. These are
# kept(positives, where, own): own is True for all columns that came with the row, negatives too.


def queries_to_queries(log_sum, queries, positives, documents):
    """Each query with the other queries: logs of sums [batch].

    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    return log_sum(queries, queries, others)


def documents_to_queries(log_sum, queries, positives, documents):
    """Each query's document with all queries, the own one among them once more: logs of sums [batch].

    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    return log_sum(positives, queries, lambda positives, where, own: where)


def positives_to_positives(log_sum, queries, positives, documents):
    """Each query's document with those of the other queries, without negatives: logs of sums [batch].

    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    return log_sum(positives, positives, others)


def documents_to_documents(log_sum, queries, positives, documents):
    """Each query's document with all those of other rows, negatives too: logs of sums [batch].

    Data: pairs, pairs with negatives.
    Kind: part; memory block x documents.
    """
    return log_sum(positives, documents, lambda positives, where, own: where & ~positives & ~own)


def others(positives, where, own):
    """The columns that are not the row's own: neither by place nor by id."""
    return where & ~positives


@checked
def joint_info_nce(
    queries,
    documents,
    *,
    directions=(queries_to_queries, documents_to_queries, documents_to_documents),
    temperature=0.01,
    similarity=cosine,
    query_ids=None,
    document_ids=None,
    document_where=None,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """`info_nce` with the candidates of further directions in the same softmax, in nats.

        value_i = log( sum_j exp(q_i d_j / T) + sum_{j != i} exp(q_i q_j / T)
                       + sum_j exp(q_j d_i / T) + sum_{j != i} exp(d_i d_j / T) )
                - log sum_{j in positives_i} exp(q_i d_j / T)

    T is the temperature. The pair's own score stands in the denominator twice, as in the paper. Counts
    the queries that have a positive.

    Args:
      queries: [batch, dim].
      documents: [batch, dim], row i the positive of query i, or [batch, 1 + negatives, dim].
      directions: what is added to the queries' scores of all documents, any of `queries_to_queries`,
        `documents_to_queries`, `documents_to_documents` and `positives_to_positives`.
      temperature: divides the scores, > 0; may be traced. 0.01 is the paper.
      similarity, query_ids, document_ids, document_where, where, weights, axis_name, block: as in
        `info_nce`. Queries of equal ids, or of equal positives, are no candidates of each other.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `info_nce`.
    Source: Li et al. 2023 (2308.03281), the improved contrastive loss of GTE; in
    MultipleNegativesRankingLoss of sentence-transformers the directions in one partition.
    Data: pairs, pairs with negatives.
    Kind: pairwise; memory block x documents, walked once for each direction.
    """
    checks.positive("temperature", temperature)
    queries, documents = vectors_of("queries", queries)[0], vectors_of("documents", documents)[0]
    shared = {
        "temperature": temperature,
        "similarity": similarity,
        "query_ids": query_ids,
        "where": where,
        "weights": weights,
        "axis_name": axis_name,
        "block": block,
        "reduce_fn": None,
    }

    def log_sum(rows, columns, kept):
        known = known_by(rows, columns, tops)
        return _log_sums(rows.vectors, columns.vectors, kept=kept, **known, **shared)[0]

    (every, counts), (own, _), (tops, _) = _to_documents(
        queries, documents, document_ids=document_ids, document_where=document_where, **shared
    )
    sides = sides_of(queries, documents, document_ids, document_where, axis_name)
    sums = [direction(log_sum, *sides) for direction in directions]
    values = functools.reduce(jnp.logaddexp, sums, every) - own
    return reduced([(values, counts)], None, axis_name, reduce_fn)


@checked
def expanded_info_nce(
    queries,
    documents,
    *,
    temperature=0.01,
    similarity=cosine,
    query_ids=None,
    document_ids=None,
    document_where=None,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """`info_nce` with query against query and positive against positive in the same softmax, in nats.

        value_i = log( sum_j exp(q_i d_j / T) + sum_{k != i} exp(q_i q_k / T)
                       + sum_{k != i} exp(p_i p_k / T) ) - log sum_{j in positives_i} exp(q_i d_j / T)

    d are all documents, p the positives among them. Counts the queries that have a positive.

    Args and result as in `joint_info_nce`, with these two directions.
    Source: Zhao et al. 2025 (2506.20923), the expanded negatives of KaLM-Embedding-V2's released code.
    Data: pairs, pairs with negatives.
    Kind: pairwise; memory block x documents, walked once for each direction.
    """
    return joint_info_nce(
        queries,
        documents,
        directions=(queries_to_queries, positives_to_positives),
        temperature=temperature,
        similarity=similarity,
        query_ids=query_ids,
        document_ids=document_ids,
        document_where=document_where,
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


@checked
def info_nce_with_extra(
    queries,
    documents,
    extra,
    *,
    extra_where=None,
    temperature=0.01,
    similarity=cosine,
    query_ids=None,
    document_ids=None,
    document_where=None,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """`info_nce` where each query has further negatives that no other query meets, in nats.

        value_i = log( sum_j exp(q_i d_j / T) + sum_k exp(q_i e_ik / T) )
                - log sum_{j in positives_i} exp(q_i d_j / T)

    What is made of a query's own negatives belongs there (`mix_pairs`, `mix_list`). Counts the queries
    that have a positive.

    Args:
      queries: [batch, dim].
      documents: [batch, dim], row i the positive of query i, or [batch, 1 + negatives, dim].
      extra: e [batch, extras, dim].
      extra_where: bool [batch, extras], False where a row has fewer.
      temperature: divides the scores, > 0; may be traced. 0.01 is the paper.
      similarity, query_ids, document_ids, document_where, where, weights, axis_name, block: as in
        `info_nce`.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `info_nce`.
    Source: Zhao et al. 2025 (2506.20923), where the mixed negatives enter.
    Data: pairs with negatives.
    Kind: pairwise; memory block x documents, and batch x extras x dim.
    """
    checks.positive("temperature", temperature)
    (every, counts), (own, _), (tops, _) = _to_documents(
        queries,
        documents,
        temperature=temperature,
        similarity=similarity,
        query_ids=query_ids,
        document_ids=document_ids,
        document_where=document_where,
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=None,
    )
    names = "extra", "extra_where"
    scores, kept = own_scores(names, queries, extra, extra_where, where, similarity, weights)
    beside = log_sum_exp(scores / temperature - tops[:, None], kept, empty=NOTHING)
    values = jnp.logaddexp(every, beside) - own
    return reduced([(values, counts)], None, axis_name, reduce_fn)


# The log of an empty sum: two of them in one log-add give a NaN slope if they are -inf.
NOTHING = -1e30


@over_pairs
def _to_documents(scores, positives, where, *, temperature):
    return sums_and_tops(scores / temperature, positives, where)


def sums_and_tops(logits, positives, where):
    """The logs of the sums over all candidates and over the positives, less the largest logit; and it.

    Sums that are added later must be near 0 where they count: float32 has no digits left for the
    difference of two logs of 1e5.
    """
    tops = jax.lax.stop_gradient(masked.max(logits, where))
    logits, counts = logits - tops[:, None], positives.any(axis=1)
    sums = log_sum_exp(logits, where), log_sum_exp(logits, positives)
    return [(values, counts) for values in (*sums, tops)]


def same_number(mine, theirs):
    """Which columns came with the row: bool [rows, columns]."""
    return mine[:, None] == theirs[None]


def of_row(mine, theirs):
    """A number of each row: [rows, 1]."""
    return mine[:, None]


@over_pairs(inputs={"numbers": same_number, "tops": of_row})
def _log_sums(scores, positives, where, own, tops, *, temperature, kept):
    stays = kept(positives, where, own)
    values = log_sum_exp(scores / temperature - tops, stays, empty=NOTHING)
    return values, jnp.ones_like(values)


def sides_of(queries, documents, document_ids, document_where, axis_name, guides=(None, None)):
    """The queries, the positive of each, and all documents, a `Side` each."""
    numbers = row_ids(checks.rows_of("queries", queries), axis_name)
    guide = guides[1]
    if jax.tree.leaves(documents)[0].ndim == jax.tree.leaves(queries)[0].ndim:
        documents, guide = jax.tree.map(lambda a: a[:, None], (documents, guide))
    kept = None if document_where is None else jnp.asarray(document_where)
    if kept is not None:  # a positive that is missing may hold anything, and no mask reaches a row
        documents = jax.tree.map(lambda a: zeroed(a, kept), documents)
    ids = None if document_ids is None else jnp.asarray(document_ids)
    own = ids if ids is None or ids.ndim == 1 else ids[:, 0]
    each = jax.tree.leaves(documents)[0].shape[1]
    everything = Side(
        documents, jnp.broadcast_to(numbers[:, None], (len(numbers), each)), ids, kept, guide
    )
    positive, their_guide = jax.tree.map(lambda a: a[:, 0], (documents, guide))
    positives = Side(positive, numbers, own, None if kept is None else kept[:, :1], their_guide)
    return Side(queries, numbers, own, None, guides[0]), positives, everything


def known_by(rows, columns, tops):
    """What `over_pairs` takes about the rows and columns of a direction."""
    return {
        "numbers": (rows.numbers, columns.numbers),
        "tops": (tops, jnp.zeros(columns.numbers.shape)),
        "document_ids": columns.ids,
        "document_where": columns.where,
    }
