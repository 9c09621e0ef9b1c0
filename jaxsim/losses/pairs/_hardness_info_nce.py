"""InfoNCE whose negatives weigh the more the closer they are, beyond what the temperature does.

    queries [batch, dim], documents [batch, dim] or [batch, 1 + negatives, dim] -> loss

A weight exp(hardness * s_ij), without gradient, stands before the exponential of some negatives.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_pairs, vectors_of
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.pairs._info_nce import info_nce
from jaxsim.losses.pairs._joint_info_nce import same_number, sides_of
from jaxsim.numerics import checks
from jaxsim.numerics._reductions import mean
from jaxsim.similarity import cosine


@over_pairs
def hardness_info_nce(scores, positives, where, *, hardness, temperature=0.05):
    """`info_nce` with every negative weighed by its own score, in nats.

        value_i = log( sum_{positives_i} exp(s_ij / T) + sum_{negatives_i} exp(s_ij / T + hardness s_ij) )
                - log sum_{positives_i} exp(s_ij / T)

    The weight exp(hardness s_ij) carries no gradient. Counts the queries that have a positive.

    Args:
      hardness: >= 0; 0 is `info_nce`.
      temperature: T, divides the scores, > 0; may be traced.

    Source: MultipleNegativesRankingLoss of sentence-transformers with hardness on all negatives, after
    Lan et al. 2025 (2503.04812).
    Data: pairs, pairs with negatives.
    Kind: pairwise; memory block x documents.
    """
    checks.positive("temperature", temperature)
    checks.not_negative("hardness", hardness)
    return _weighed(scores, positives, where, where & ~positives, hardness, temperature)


@checked
def in_batch_hardness_info_nce(
    queries,
    documents,
    *,
    hardness=9.0,
    temperature=0.05,
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
    """`hardness_info_nce` on the documents of other rows alone, in nats.

        value_i = log( sum_{positives_i} exp(s_ij / T) + sum_{negatives_i} exp(s_ij / T + h_ij s_ij) )
                - log sum_{positives_i} exp(s_ij / T)
        h_ij = hardness if j came with another row, else 0

    A query's own negatives, which come with its row, keep weight 1. Counts the queries that have a
    positive.

    Args:
      queries, documents: as in `info_nce`.
      hardness: >= 0; 9 is the paper.
      temperature: divides the scores, > 0; may be traced.
      the rest: as in `info_nce`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `info_nce`.
    Source: Lan et al. 2025 (2503.04812), equation 5.
    Data: pairs, pairs with negatives.
    Kind: pairwise; memory block x documents.
    """
    return _in_batch(
        queries,
        documents,
        numbers=_numbers(queries, documents, axis_name),
        hardness=hardness,
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
def hard_negative_hardness_info_nce(
    queries,
    documents,
    *,
    hardness=5.0,
    temperature=0.05,
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
    """`hardness_info_nce` on a query's own negatives alone, those that came with its row, in nats.

        value_i = log( sum_{positives_i} exp(s_ij / T) + sum_{negatives_i} exp(s_ij / T + h_ij s_ij) )
                - log sum_{positives_i} exp(s_ij / T)
        h_ij = hardness if j came with row i, else 0

    Documents of other rows keep weight 1; without own negatives it is `info_nce`. Counts the queries
    that have a positive.

    Args:
      queries, documents: as in `info_nce`.
      hardness: >= 0; 5 is the paper.
      temperature: divides the scores, > 0; may be traced.
      the rest: as in `info_nce`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `info_nce`.
    Source: Schechter Vera et al. 2025 (2509.20354), the hardness weights of EmbeddingGemma.
    Data: pairs with negatives.
    Kind: pairwise; memory block x documents.
    """
    return _hard_negatives(
        queries,
        documents,
        numbers=_numbers(queries, documents, axis_name),
        hardness=hardness,
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


@over_pairs(inputs={"numbers": same_number})
def _in_batch(scores, positives, where, own, *, hardness, temperature):
    checks.positive("temperature", temperature)
    checks.not_negative("hardness", hardness)
    return _weighed(scores, positives, where, where & ~positives & ~own, hardness, temperature)


@over_pairs(inputs={"numbers": same_number})
def _hard_negatives(scores, positives, where, own, *, hardness, temperature):
    checks.positive("temperature", temperature)
    checks.not_negative("hardness", hardness)
    return _weighed(scores, positives, where, where & ~positives & own, hardness, temperature)


def _weighed(scores, positives, where, chosen, hardness, temperature):
    added = jnp.where(chosen, hardness * jax.lax.stop_gradient(scores), 0)
    return info_nce.rule(scores + temperature * added, positives, where, temperature=temperature)


def _numbers(queries, documents, axis_name):
    """Which row each query and each document came with."""
    if axis_name is not None:
        checks.bound(axis_name)
    queries, documents = vectors_of("queries", queries)[0], vectors_of("documents", documents)[0]
    sides = sides_of(queries, documents, None, None, axis_name)
    return sides[0].numbers, sides[2].numbers
