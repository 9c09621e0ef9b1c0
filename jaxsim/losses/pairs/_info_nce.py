"""Softmax cross-entropy over scores: InfoNCE and its forms.

queries [batch, dim], documents [batch, dim] or [batch, 1 + negatives, dim] -> loss
scores [batch, candidates] -> loss                      (list_softmax, for cross-encoders)

What puts queries among the candidates is in _joint_info_nce.py, what weights negatives in _hardness_info_nce.py.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import both_ways, sharing
from jaxsim.losses._lift._examples import mask_of_lists, with_weight
from jaxsim.losses._lift._lifters import over_pairs, vectors_of
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.numerics import checks, masked
from jaxsim.numerics.masked import NOTHING, log_sum_exp, zeroed
from jaxsim.numerics.types import Array, ArrayTree, Numeric, Similarity
from jaxsim.similarity import cosine, list_scores


def _info_nce_in_ring(walk, *, temperature=0.05):
    """`info_nce` as sums over tiles."""
    checks.positive("temperature", temperature)

    def of_tile(scores, positives, where):
        scores = scores / temperature
        logs = tuple(log_sum_exp(scores, mask, empty=NOTHING) for mask in (where, positives))
        return logs, (positives.sum(axis=1, dtype=logs[0].dtype),)

    (every, positive), (count,) = walk(of_tile)
    return every - positive, count > 0


def multi_positive_in_ring(walk, *, temperature=0.05):
    """`multi_positive_info_nce` as sums over tiles."""
    checks.positive("temperature", temperature)

    def of_tile(scores, positives, where):
        scores = scores / temperature
        every = log_sum_exp(scores, where, empty=NOTHING)
        return (every,), (masked.sum(scores, positives), positives.sum(axis=1, dtype=every.dtype))

    (every,), (positive, count) = walk(of_tile)
    return every - positive / jnp.maximum(count, 1), count > 0


@over_pairs(ring=_info_nce_in_ring)
def info_nce(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 0.05
) -> tuple[jax.Array, jax.Array]:
    """InfoNCE: minus the log-probability that a query picks its document, in nats.

        value_i = log sum_{j in where_i} exp(s_ij / temperature)
                - log sum_{j in positives_i} exp(s_ij / temperature)

    With several positives a query may pick any of them. Counts the queries that have a positive.
    Also known as MultipleNegativesRankingLoss (scale = 1 / temperature), N-pairs, NT-Xent, in-batch
    negatives.

    Args:
      temperature: divides the scores, > 0; may be traced. 0.05 is sentence-transformers' scale of 20.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> queries = documents = np.eye(3)
      >>> round(float(losses.info_nce(queries, documents, temperature=1.0)), 4)  # log(e + 2) - 1
      0.5514

    Source: van den Oord et al. 2018 (1807.03748), equation 4; several positives as in Miech et al.
    2020 (1912.06430), equation 1.
    Data: pairs, pairs with negatives, images with texts, unlabeled.
    """
    checks.positive("temperature", temperature)
    scores = scores / temperature
    return log_sum_exp(scores, where) - log_sum_exp(scores, positives), positives.any(axis=1)


@over_pairs(ring=multi_positive_in_ring)
def multi_positive_info_nce(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 0.05
) -> tuple[jax.Array, jax.Array]:
    """`info_nce` where a query must pick each of its documents, not any of them.

        value_i = log sum_{j in where_i} exp(s_ij / temperature) - mean_{j in positives_i} s_ij / temperature

    The positives of a query compete with each other: with P of them the value is at least log P.
    `pair_info_nce` leaves the others out. With one positive all three are the same. Counts the queries
    that have a positive.

    Args:
      temperature: divides the scores, > 0; may be traced.

    Source: Khosla et al. 2020 (2004.11362), equation 2, on pairs.
    Data: pairs, pairs with negatives.
    """
    checks.positive("temperature", temperature)
    scores = scores / temperature
    values = log_sum_exp(scores, where) - masked.mean(scores, positives)
    return values, positives.any(axis=1)


symmetric_info_nce = both_ways(
    info_nce,
    "symmetric_info_nce",
    """CLIP loss: the mean of InfoNCE from queries to documents and from documents to queries, in nats.

        query_weight info_nce(queries, documents) + document_weight info_nce(documents, queries)

    Negatives that came with a query are candidates of the queries; only positives look for a query.

    Also known as MultipleNegativesSymmetricRankingLoss.

    Args:
      temperature: divides the scores, > 0; may be traced.
      query_weight, document_weight: of the two directions; halves make the mean.

    Source: Radford et al. 2021 (2103.00020), figure 3.
    Data: pairs, pairs with negatives, images with texts.
    Kind: pairwise; memory block x documents, walked twice.
    """,
    query_weight=0.5,
    document_weight=0.5,
)


@over_examples(lists=True, masks={"positives": "scores"})
def list_softmax(
    scores: Array,
    positives: Array | None = None,
    where: Array | None = None,
    *,
    temperature: Numeric = 1.0,
) -> tuple[jax.Array, jax.Array]:
    """Softmax cross-entropy of each row's positive among the row's own candidates, in nats.

        value_i = log sum_j exp(s_ij / temperature) - log sum_{j in positives_i} exp(s_ij / temperature)

    The rule of `info_nce` on scores that are there already: one positive and N mined negatives train
    a cross-encoder so. Counts the rows that have a positive.

    Args:
      scores: [batch, candidates].
      positives: bool [batch, candidates]; None takes the first candidate.
      temperature: divides the scores, > 0; 1 is the paper.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> round(float(losses.list_softmax(np.zeros((1, 2)))), 4)  # one of two equal ones: log 2
      0.6931

    Source: Yadav et al. 2022 (2210.12579), the training of the cross-encoder.
    Data: lists, pairs with negatives.
    """
    if positives is None:
        positives = jnp.arange(scores.shape[1])[None] == 0
    return info_nce.rule(scores, positives & where, where, temperature=temperature)


@sharing(list_softmax, without=["candidate_where"])
def group_info_nce(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    temperature: Numeric = 0.01,
    similarity: Similarity = cosine,
    document_where: Array | None = None,
    **shared: Any,
) -> jax.Array:
    """InfoNCE without in-batch negatives: a query's own documents are its only candidates, in nats.

        value_i = log sum_{j in documents_i} exp(s_ij / temperature) - s_i0 / temperature

    Counts the queries whose positive is there.

    Args:
      queries: [batch, dim], or a pytree that `similarity` takes.
      documents: [batch, 1 + negatives, dim], the positive first.
      temperature: divides the scores, > 0; may be traced. 0.01 is KaLM-Embedding-V2.
      similarity: (x [n, dim], y [m, dim]) -> [n, m], larger is closer.
      document_where: bool [batch, 1 + negatives], False where a row has fewer negatives.

    Source: Zhao et al. 2025 (2506.20923), their loss without in-batch negatives, from the released code.
    Data: pairs with negatives.
    Memory: batch x documents of a row x dim.
    """
    names = "documents", "document_where"
    where, weights = shared.pop("where"), shared["weights"]
    scores, there = own_scores(
        names, queries, documents, document_where, where, similarity, weights
    )
    return list_softmax(scores, temperature=temperature, candidate_where=there, **shared)


def own_scores(
    names,
    queries: ArrayTree,
    documents: ArrayTree,
    document_where: Array,
    where: Array,
    similarity: Similarity,
    weights: Array | None = None,
):
    """Each query with documents of its own row: scores [batch, each], and which of them are there.

    Args:
      names: of the documents and of their mask, in errors.
      queries: [batch, ...].
      documents: [batch, each, ...].
      document_where: bool [batch, each] or None.
      where: bool [batch] or None.
      similarity: (x [n, ...], y [m, ...]) -> [n, m].
      weights: [batch] or None; a row of weight 0 has no documents.
    """
    checks.function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    queries, batch = vectors_of("queries", queries)
    documents = vectors_of(names[0], documents)[0]
    leaf = jax.tree.leaves(documents)[0]
    checks.shaped(names[0], leaf, (batch, *[None] * max(leaf.ndim - 1, 2)), "some per query")
    kept = mask_of_lists(leaf.shape[:2], names[1], document_where, where)
    kept = kept & with_weight(jnp.ones(batch, bool), weights)[:, None]

    # NaN in padding must not reach a product.
    queries = jax.tree.map(lambda a: zeroed(a, kept.any(axis=1)), queries)
    documents = jax.tree.map(lambda a: zeroed(a, kept), documents)
    return list_scores(queries, documents, similarity=similarity), kept
