"""Sparse vectors: few activations per text, spread evenly over the coordinates, and vectors told by them.

    activations [batch, dim], >= 0 -> loss                  (flops, to be added to a ranking loss)
    embeddings and what sparse codes make of them -> loss   (csr_reconstruction)

Ranking losses take sparse vectors as they are, held densely, with similarity=dot.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import mask_of_lists, of_rows
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import gathered


@checked
def flops(activations, *, threshold=None, where=None, axis_name=None):
    """How many multiplications a search costs, made smooth: the squared mean activations, added up.

        sum_j ( mean_i |w_ij| )^2

    Coordinates that many rows use cost more than the same mass spread out, so that an inverted index
    stays balanced.

    Args:
      activations: w [batch, dim].
      threshold: rows with no more than so many activations other than 0 enter the mean as zeros; None
        spares none.
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
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
    loss,
    *,
    query_weight,
    document_weight,
    query_threshold=None,
    document_threshold=None,
    document_where=None,
    where=None,
    axis_name=None,
):
    """A ranking loss of sparse vectors with `flops` of both sides.

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
        kept = mask_of_lists(documents.shape[:2], "document_where", document_where, where)
        rows = documents.reshape(-1, documents.shape[-1])
        of_queries = flops(queries, threshold=query_threshold, where=where, axis_name=axis_name)
        of_documents = flops(
            rows, threshold=document_threshold, where=kept.ravel(), axis_name=axis_name
        )
        return value + query_weight * of_queries + document_weight * of_documents

    return with_flops


@checked
def csr_reconstruction(
    embeddings,
    decoded,
    decoded_4k,
    decoded_auxiliary=None,
    decoded_before_bias=None,
    *,
    auxiliary_weight=1.0,
    where=None,
    axis_name=None,
):
    """A dense vector told by its k largest sparse activations, by 4 k, and by those that never fire.

        mse(x, d) + mse(x, d_4k) / 8 + auxiliary_weight mse(r, d_aux) / mse(r, mean of r over rows),
        r = x - d before its bias, which is held fixed

    mse is the mean over rows and coordinates. Where all r are equal the last divisor is 1. A ranking
    loss of the sparse vectors, added to it, makes contrastive sparse representation.

    Args:
      embeddings: x [batch, dim], the dense vectors.
      decoded, decoded_4k: d, d_4k [batch, dim], the decoder's from the k and the 4 k largest.
      decoded_auxiliary: d_aux [batch, dim], from units that have not fired for long; None leaves it out.
      decoded_before_bias: [batch, dim], d without the decoder's bias; needed with decoded_auxiliary.
      auxiliary_weight: >= 0; may be traced.
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input), the same on every device; 0 of no rows.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Wen et al. 2025 (CSR, 2503.01776), after the sparse autoencoders of Gao et al. 2024
    (2406.04093).
    Data: teacher embeddings, unlabeled.
    Kind: batch statistics; memory batch x dim.
    """
    extra = {}
    if decoded_auxiliary is not None:
        if decoded_before_bias is None:
            raise ValueError("decoded_auxiliary needs decoded_before_bias, got None")
        extra = {
            "decoded_auxiliary": decoded_auxiliary,
            "decoded_before_bias": decoded_before_bias,
        }
    *arrays, where = of_rows(
        where,
        axis_name,
        "batch, dim",
        embeddings=embeddings,
        decoded=decoded,
        decoded_4k=decoded_4k,
        **extra,
    )
    return gathered(_reconstruction)(
        where, *arrays, axis_name=axis_name, auxiliary_weight=auxiliary_weight
    )


def _reconstruction(where, x, decoded, decoded_4k, *auxiliary, auxiliary_weight):
    value = _mse(x, decoded, where) + _mse(x, decoded_4k, where) / 8
    if not auxiliary:
        return value
    told, before_bias = auxiliary
    rest = x - jax.lax.stop_gradient(before_bias)
    # From one row on, so that equal rows have spread 0 exactly: a rounded mean would leave noise.
    shift = jax.lax.stop_gradient(masked.max(rest, where[:, None], axis=0))
    middle = masked.mean(rest - shift, where[:, None], axis=0)
    spread = _mse(rest - shift, middle, where)
    return value + auxiliary_weight * _mse(rest, told, where) / jnp.where(spread > 0, spread, 1)


def _mse(x, y, where):
    return masked.mean(jnp.mean(jnp.square(x - y), axis=1), where)
