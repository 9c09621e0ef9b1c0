"""Softmax cross-entropy over scores: InfoNCE and its forms.

queries [batch, dim], documents [batch, dim] -> loss          (info_nce, symmetric_info_nce)
scores [batch, candidates] -> loss                            (list_softmax, for cross-encoders)
"""

import jax.numpy as jnp

from jaxsim.losses.lifting import over_pairs
from jaxsim.numerics import checks
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.numerics.reductions import mean
from jaxsim.similarity import cosine


@over_pairs
def info_nce(scores, positives, where, *, temperature=0.05):
    """Minus the log-probability that a query picks its document, in nats.

        value_i = log sum_{j in where_i} exp(s_ij / temperature)
                - log sum_{j in positives_i} exp(s_ij / temperature)

    With several positives a query may pick any of them. Counts the queries that have a positive.
    Also known as MultipleNegativesRankingLoss (scale = 1 / temperature), N-pairs, NT-Xent, in-batch
    negatives.

    Args:
      temperature: divides the scores, > 0; may be traced. 0.05 is sentence-transformers' scale of 20.

    Source: van den Oord et al. 2018 (1807.03748), equation 4; several positives as in Miech et al.
    2020 (1912.06430), equation 1.
    """
    checks.positive("temperature", temperature)
    scores = scores / temperature
    return log_sum_exp(scores, where) - log_sum_exp(scores, positives), positives.any(axis=1)


def symmetric_info_nce(
    queries,
    documents,
    *,
    temperature=0.05,
    similarity=cosine,
    query_ids=None,
    document_ids=None,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
):
    """The mean of `info_nce` from queries to documents and from documents to queries, in nats.

    Also known as the CLIP loss and MultipleNegativesSymmetricRankingLoss.

    Args:
      queries, documents: [batch, dim] each, row i of one the positive of row i of the other.
      temperature: divides the scores, > 0; may be traced.
      similarity, query_ids, document_ids, where, weights, axis_name, block: as in `info_nce`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Kind: pairwise, lifted twice.
    Raises: ValueError as `info_nce`.
    Source: Radford et al. 2021 (2103.00020), figure 3.
    """
    shared = {
        "temperature": temperature,
        "similarity": similarity,
        "where": where,
        "weights": weights,
        "axis_name": axis_name,
        "block": block,
    }
    there = info_nce(queries, documents, query_ids=query_ids, document_ids=document_ids, **shared)
    back = info_nce(documents, queries, query_ids=document_ids, document_ids=query_ids, **shared)
    return (there + back) / 2


def list_softmax(
    scores,
    positives=None,
    *,
    temperature=1.0,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Softmax cross-entropy of each row's positive among the row's own candidates, in nats.

    The rule of `info_nce` on scores that are there already: one positive and N mined negatives train
    a cross-encoder so. Counts the rows that have a positive.

    Args:
      scores: [batch, candidates].
      positives: bool [batch, candidates]; None takes the first candidate.
      temperature: divides the scores, > 0; 1 is the paper.
      candidate_where: bool [batch, candidates], False where a row has fewer candidates.
      where: bool [batch], False for padding.
      weights: [batch].
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Kind: per example.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Yadav et al. 2022 (2210.12579), the training of the cross-encoder.
    """
    scores = jnp.asarray(scores)
    if scores.ndim != 2:
        raise ValueError(f"scores must be [batch, candidates], got shape {scores.shape}")
    if axis_name is not None:
        checks.bound(axis_name)
    kept = jnp.ones(scores.shape, bool)
    for name, mask, shape in (
        ("candidate_where", candidate_where, scores.shape),
        ("where", where, scores.shape[:1]),
    ):
        if mask is not None:
            mask = jnp.asarray(mask)
            checks.shaped(name, mask, shape)
            checks.booleans(name, mask)
            kept &= mask.reshape(*shape, *[1] * (2 - len(shape)))
    if positives is None:
        positives = jnp.arange(scores.shape[1])[None] == 0
    else:
        positives = jnp.asarray(positives)
        checks.shaped("positives", positives, scores.shape, "one per score")
        checks.booleans("positives", positives)
    values, counts = info_nce.rule(scores, positives & kept, kept, temperature=temperature)
    if weights is not None:
        weights = jnp.asarray(weights)
        checks.shaped("weights", weights, scores.shape[:1], "one per row")
        counts = counts * weights
    values, counts = jnp.where(counts > 0, values, 0), counts.astype(values.dtype)
    return (values, counts) if reduce_fn is None else reduce_fn(values, counts, axis_name)
