"""InfoNCE without the candidates that a guide takes for positives (GISTEmbed).

    queries [batch, dim], documents [batch, dim] or [batch, 1 + negatives, dim] -> loss

The guide is another encoder, whose vectors of the same texts come along and carry no gradient.
"""

import functools

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import reduced
from jaxsim.losses._lift._lifters import over_pairs, vectors_of
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.pairs._joint_info_nce import (
    NOTHING,
    known_by,
    of_row,
    positives_to_positives,
    queries_to_queries,
    same_number,
    sides_of,
    sums_and_tops,
)
from jaxsim.numerics import checks, masked
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.similarity import cosine


@checked
def guided_info_nce(
    queries,
    documents,
    *,
    guide,
    directions=(queries_to_queries, positives_to_positives),
    margin=0.0,
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
    """`joint_info_nce` without the candidates that the guide scores above the positive, in nats.

        a candidate of query i stays if guide score <= guide(q_i, d_i) - margin

    That holds in all directions: query against query, and positive against positive, are scored by
    the guide too and held against the same level. The positives themselves always stay. With several
    of them the level is the highest. Counts the queries that have a positive.

    Args:
      queries: [batch, dim].
      documents: [batch, dim], row i the positive of query i, or [batch, 1 + negatives, dim].
      guide: the guide's vectors of both, [batch, d] and [batch, d] or [batch, 1 + negatives, d], which
        are compared by their cosine.
      directions: as in `joint_info_nce`; () for the queries' scores of the documents alone.
      margin: in units of the guide's cosine; 0 is the paper.
      temperature: divides the scores, > 0; may be traced. 0.01 is the paper.
      similarity, query_ids, document_ids, document_where, where, weights, axis_name, block: as in
        `info_nce`.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `info_nce`.
    Source: Solatorio 2024 (2402.16829), GISTEmbed; the margin is sentence-transformers' absolute one.
    Data: pairs, pairs with negatives, teacher embeddings.
    Kind: pairwise; memory block x documents, walked once for each direction.
    """
    return _guided(
        lambda level: level - margin,
        queries,
        documents,
        guide,
        directions,
        weights,
        reduce_fn,
        document_ids,
        document_where,
        temperature=temperature,
        similarity=similarity,
        query_ids=query_ids,
        where=where,
        axis_name=axis_name,
        block=block,
    )


@checked
def relatively_guided_info_nce(
    queries,
    documents,
    *,
    guide,
    directions=(queries_to_queries, positives_to_positives),
    margin=0.05,
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
    """`guided_info_nce` with a margin that is a share of the positive's score, in nats.

        a candidate of query i stays if guide score <= g - margin |g|,    g = guide(q_i, d_i)

    Args:
      margin: a share; 0.05 leaves out what reaches 95 % of the positive's score, as in NV-Retriever.
      the rest: as in `guided_info_nce`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `info_nce`.
    Source: Moreira et al. 2024 (2407.15831), the share of the positive's score, in GISTEmbed's place
    for it; the relative margin of sentence-transformers.
    Data: pairs, pairs with negatives, teacher embeddings.
    Kind: pairwise; memory block x documents, walked once for each direction.
    """
    return _guided(
        lambda level: level - margin * jnp.abs(level),
        queries,
        documents,
        guide,
        directions,
        weights,
        reduce_fn,
        document_ids,
        document_where,
        temperature=temperature,
        similarity=similarity,
        query_ids=query_ids,
        where=where,
        axis_name=axis_name,
        block=block,
    )


def _guided(
    limit,
    queries,
    documents,
    guide,
    directions,
    weights,
    reduce_fn,
    document_ids,
    document_where,
    **shared,
):
    checks.positive("temperature", shared["temperature"])
    queries, documents = vectors_of("queries", queries)[0], vectors_of("documents", documents)[0]
    if not hasattr(guide, "__len__") or isinstance(guide, dict) or len(guide) != 2:
        raise ValueError(
            f"guide must be its vectors of both, (queries, documents), got {type(guide).__name__}"
        )
    guide = tuple(vectors_of(f"guide[{place}]", a)[0] for place, a in enumerate(guide))
    shared["weights"] = weights
    (every, counts), (own, _), (tops, _), (levels, _) = _to_documents(
        queries,
        documents,
        guide=guide,
        document_ids=document_ids,
        document_where=document_where,
        limit=limit,
        reduce_fn=None,
        **shared,
    )

    def log_sum(rows, columns, kept):
        return _log_sums(
            rows.vectors,
            columns.vectors,
            guide=(rows.guide, columns.guide),
            levels=(levels, jnp.zeros(columns.numbers.shape)),
            kept=kept,
            reduce_fn=None,
            **known_by(rows, columns, tops),
            **shared,
        )[0]

    sides = sides_of(queries, documents, document_ids, document_where, shared["axis_name"], guide)
    sums = [direction(log_sum, *sides) for direction in directions]
    values = functools.reduce(jnp.logaddexp, sums, every) - own
    return reduced([(values, counts)], None, shared["axis_name"], reduce_fn)


def _guide_scores(mine, theirs):
    return jax.lax.stop_gradient(cosine(mine, theirs))


@over_pairs(inputs={"guide": _guide_scores})
def _to_documents(scores, positives, where, guide, *, temperature, limit):
    levels = limit(masked.max(guide, positives))
    kept = positives | (where & ~(guide > levels[:, None]))
    parts = sums_and_tops(scores / temperature, positives, kept)
    return [*parts, (levels, positives.any(axis=1))]


@over_pairs(
    inputs={"numbers": same_number, "tops": of_row, "guide": _guide_scores, "levels": of_row}
)
def _log_sums(scores, positives, where, own, tops, guide, levels, *, temperature, kept):
    stays = kept(positives, where, own) & ~(guide > levels)
    values = log_sum_exp(scores / temperature - tops, stays, empty=NOTHING)
    return values, jnp.ones_like(values)
