"""FLOPS regularization of sparse vectors, and SPLADE, a ranking loss with it.

    activations [batch, dim], >= 0 -> loss                  (flops, to be added to a ranking loss)

Ranking losses take sparse vectors as they are, held densely, with similarity=dot.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import mask_of_lists, of_rows
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Loss, Numeric


@checked
def flops(
    activations: Array,
    *,
    threshold: Numeric | None = None,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """FLOPS regularizer: the expected multiplications of a search, by the sum of squared mean activations.

        sum_j ( mean_i |w_ij| )^2

    Coordinates that many rows use cost more than the same mass spread out, so that an inverted index
    stays balanced.

    Args:
      activations: w [batch, dim].
      threshold: rows with at most so many activations other than 0 enter the mean as zeros; None
        excepts no row.
      where: bool [batch], False for padding. What is there has no influence, NaN included.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input), the same on every device; 0 of no rows.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Paria et al. 2020 (2004.05665), section 3; on texts SPLADE (2107.05720); the threshold
    is sentence-transformers'.
    Data: unlabeled.
    Kind: regularizer; memory batch x dim.
    """
    activations, where = of_rows(where, axis_name, "batch, dim", activations=activations)
    sizes = jnp.where(
        activations >= 0, activations, -activations
    )  # slope 1 at 0, as of those above
    if threshold is not None:
        sizes = jnp.where((activations != 0).sum(axis=1, keepdims=True) > threshold, sizes, 0)
    sums, count = sizes.sum(axis=0), where.sum().astype(sizes.dtype)
    if axis_name is not None:
        sums, count = jax.lax.psum((sums, count), axis_name)
    return jnp.sum(jnp.square(sums / jnp.maximum(count, 1)))


@checked
def splade(
    loss: Loss,
    *,
    query_weight: Numeric,
    document_weight: Numeric,
    query_threshold: int | None = None,
    document_threshold: int | None = None,
    document_where: Array | None = None,
    where: Array | None = None,
    axis_name: str | None = None,
) -> Loss:
    """SPLADE: a ranking loss of sparse vectors with `flops` of both sides.

        queries, documents -> loss(queries, documents) + query_weight flops(queries)
                              + document_weight flops(all documents)

    The paper raises both weights with the square of the step up to a third of the run.

    Args:
      loss: (queries, documents) -> number, over the same axis, on inner products.
      query_weight, document_weight: >= 0; may be traced.
      query_threshold, document_threshold: as `flops` has it.
      document_where: bool [batch, 1 + negatives], False where a row has fewer negatives.
      where: bool [batch], False for padding, for `flops`; `loss` has its own.
      axis_name: the named axis over which the batch is split, for `flops`; `loss` has its own.

    Returns: a function of (queries [batch, dim], documents [batch, dim] or [batch, 1 + negatives, dim]).
    Raises: ValueError for a negative weight, and as `flops`.
    Source: Formal et al. 2021 (SPLADE v2, 2109.10086); Formal et al. 2022 (2205.04733).
    Data: pairs, pairs with negatives, teacher scores.
    Kind: composition; memory that of the loss.
    """
    checks.not_negative("query_weight", query_weight)
    checks.not_negative("document_weight", document_weight)

    def with_flops(queries, documents):
        value = loss(queries, documents)
        queries, documents = checks.reals("queries", queries), checks.reals("documents", documents)
        documents = documents if documents.ndim == 3 else documents[:, None]
        mask = mask_of_lists(documents.shape[:2], "document_where", document_where, where)
        rows = documents.reshape(-1, documents.shape[-1])
        of_queries = flops(queries, threshold=query_threshold, where=where, axis_name=axis_name)
        of_documents = flops(
            rows, threshold=document_threshold, where=mask.ravel(), axis_name=axis_name
        )
        return value + query_weight * of_queries + document_weight * of_documents

    return with_flops
