"""CoDiEmb: one encoder for graded pairs and for retrieval, with a separate loss for each.

    queries [pairs, dim], documents [pairs, dim], labels [pairs] -> loss       (codiemb_sts)
    queries [batch, dim], positives [batch, p, dim], negatives -> loss         (codiemb_retrieval)

Each batch holds one task; the sampler decides the order.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.losses._lift._compositions import EVERY, sharing
from jaxsim.losses._lift._examples import of_rows, real_numbers
from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.graded._cosent import pearson, pro, rank_kl
from jaxsim.losses.pairs._info_nce import info_nce
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, ArrayTree, Numeric
from jaxsim.similarity import cosine, paired


@checked  # outside the lifters: its terms are statistics of all pairs
def codiemb_sts(
    queries: ArrayTree,
    documents: ArrayTree,
    labels: Array,
    *,
    middle: Numeric | None = None,
    threshold: Numeric = 1.0,
    contrastive_temperature: Numeric = 0.02,
    temperature: Numeric = 0.05,
    contrastive_weight: Numeric = 1.0,
    pearson_weight: Numeric = 2.0,
    pro_weight: Numeric = 0.5,
    rank_weight: Numeric = 5.0,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """CoDiEmb's loss on graded pairs: Pearson, PRO and rank KL, and a contrast in the middle of the encoder.

        contrastive_weight MidNCE + pearson_weight Pearson + pro_weight PRO + rank_weight RankKL

    on the pairs' cosines (`pearson`, `pro`, `rank_kl`). MidNCE is `info_nce` of the vectors pooled half
    way through the encoder, of the pairs whose label reaches the threshold among all second texts.

    Args:
      queries, documents: [pairs, dim].
      labels: [pairs], in [0, 1].
      middle: (queries, documents) from the middle of the encoder, [pairs, any dim]; None leaves the
        contrast out.
      threshold: the label from which on a pair is one of the contrast's positives.
      contrastive_temperature: divides the cosines of the contrast, > 0.
      temperature: of `pro` and `rank_kl`, > 0.
      contrastive_weight, pearson_weight, pro_weight, rank_weight: of the terms; RankKL's is for a sum
        that is divided by the pairs, as the paper's.
      where: bool [pairs], False for padding.
      axis_name: the named axis over which the pairs are split. The released code computes each device's
        loss separately and averages; here it is the loss of all pairs.

    Returns: a float32 scalar (float64 for float64 input), the same on every device.
    Raises: ValueError for shapes that do not fit, a temperature that is not > 0, an unbound axis.
    Source: CoDiEmb (2508.11442), its STS objective with the released weights.
    Data: graded pairs.
    Kind: batch statistics; memory block x pairs, and batch x dim.
    """
    queries, documents, where = of_rows(
        where, axis_name, "pairs, dim", queries=queries, documents=documents
    )
    scores, labels = paired(cosine)(queries, documents), checks.reals("labels", labels)
    checks.shaped("labels", labels, scores.shape, "one per pair")
    shared = {"where": where, "axis_name": axis_name}
    loss = (
        pearson_weight * pearson(scores, labels, **shared)
        + pro_weight * pro(scores, labels, temperature=temperature, **shared)
        + rank_weight * rank_kl(scores, labels, temperature=temperature, **shared)
    )
    if middle is None:
        return loss
    if not hasattr(middle, "__len__") or isinstance(middle, dict) or len(middle) != 2:
        raise ValueError(
            f"middle must be (queries, documents), each [pairs, dim], got {type(middle).__name__}"
        )
    contrast = info_nce(
        *middle, temperature=contrastive_temperature, weights=labels >= threshold, **shared
    )
    return loss + contrastive_weight * contrast


@sharing(info_nce, only=EVERY, without=["reduce_fn"])
def codiemb_retrieval(
    queries: ArrayTree,
    positives: Array,
    negatives: Array | None = None,
    *,
    temperature: Numeric = 0.02,
    positive_where: Array | None = None,
    negative_where: Array | None = None,
    document_ids: Array | None = None,
    **shared: Any,
) -> jax.Array:
    """CoDiEmb's retrieval loss: InfoNCE with several positives per query, one at a time, in nats.

        the mean over k of info_nce(queries, [k-th positives, negatives])

    A query's other positives are in neither numerator nor denominator; all negatives of all rows are in
    the denominator.

    Args:
      queries: [batch, dim].
      positives: [batch, p, dim].
      negatives: [batch, n, dim], or None.
      temperature: divides the cosines, > 0; may be traced.
      positive_where, negative_where: bool [batch, p], bool [batch, n], False where a row has fewer.
      document_ids: int [batch, p + n], of positives and negatives; a copy of a row's positive is not
        one of its negatives.

    Source: CoDiEmb (2508.11442), its retrieval objective.
    Data: pairs, pairs with negatives.
    Memory: block x documents, walked once for each positive of a row.
    """
    queries = matrix("queries", queries, "one per row")
    positives = real_numbers("positives", positives)
    checks.shaped("positives", positives, (queries.shape[0], None, queries.shape[-1]))
    batch, each, dim = positives.shape
    checks.whole("the number of positives", each)
    negatives = positives[:, :0] if negatives is None else real_numbers("negatives", negatives)
    checks.shaped("negatives", negatives, (batch, None, dim), "some per query")
    documents = jnp.concatenate([positives, negatives], axis=1)
    mask = jnp.concatenate(
        [
            checks.mask("positive_where", positive_where, (batch, each), "one per positive"),
            checks.mask("negative_where", negative_where, negatives.shape[:2], "one per negative"),
        ],
        axis=1,
    )
    if document_ids is not None:
        document_ids = checks.numbers_of("document_ids", document_ids)
        checks.shaped("document_ids", document_ids, documents.shape[:2], "one per document")
        checks.integers("document_ids", document_ids)

    def of_positive(k):
        columns = np.array([k, *range(each, documents.shape[1])])
        return info_nce(
            queries,
            documents[:, columns],
            temperature=temperature,
            document_where=mask[:, columns],
            document_ids=None if document_ids is None else document_ids[:, columns],
            **shared,
        )

    return sum(of_positive(k) for k in range(each)) / each
