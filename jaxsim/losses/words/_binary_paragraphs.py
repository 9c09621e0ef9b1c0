"""Binary paragraph vectors: codes of documents that predict the documents' terms.

    documents [batch, bits], targets [batch, bits], negatives [k, bits] or [batch, k, bits] -> loss

Rows are looked up by the caller (`encoders.paragraph_tables`), one per occurrence of a term. A code is
[x > 0], with the sigmoid's gradient (`numerics.relaxations.binarize`).
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import sharing
from jaxsim.losses._lift._examples import of_rows, real_numbers
from jaxsim.losses.words._sampled_softmax import sampled_softmax
from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.relaxations import binarize
from jaxsim.numerics.types import Array


@sharing(sampled_softmax, hyperparameters=True)
def binary_pv_dbow(documents: Array, targets: Array, negatives: Array, **shared: Any) -> jax.Array:
    """Binary PV-DBOW: a document's code predicts each of its terms, by sampled softmax, in nats.

        value_i = sampled_softmax(h_i, ...),   h = [D > 0], with the gradient of sigmoid(D)

    Args:
      documents: D [batch, bits], the document's row before the step, for each occurrence of a term.
      targets: rows of the output table for the terms, [batch, bits].
      negatives: rows for the terms drawn, [k, bits] or [batch, k, bits].
      target_log_counts, negative_log_counts, target_bias, negative_bias, negative_where: as in
        `sampled_softmax`.

    Source: Grzegorczyk and Kurdziel 2017 (1611.01116), Binary PV-DBOW.
    Data: words.
    Memory: batch x negatives, times bits where they are not shared.
    """
    documents, _ = _rows("documents", documents, shared)
    return sampled_softmax(binarize(documents), targets, negatives, **shared)


@sharing(sampled_softmax, hyperparameters=True)
def binary_pv_dm(
    documents: Array,
    contexts: Array,
    targets: Array,
    negatives: Array,
    *,
    context_where: Array | None = None,
    **shared: Any,
) -> jax.Array:
    """Binary PV-DM: a document's code next to the mean of context words predicts the word between them, in nats.

        value_i = sampled_softmax(h_i, ...),   h = ([D > 0], mean_j E_j)

    Args:
      documents: D [batch, bits].
      contexts: E [batch, words, dim], real vectors of the words around.
      targets: rows of the output table for the words, [batch, bits + dim].
      negatives: rows for the words drawn, [k, bits + dim] or [batch, k, bits + dim].
      context_where: bool [batch, words], False where there are fewer; without any their mean is 0.
      target_log_counts, negative_log_counts, target_bias, negative_bias, negative_where: as in
        `sampled_softmax`.

    Source: Grzegorczyk and Kurdziel 2017 (1611.01116), Binary PV-DM; joined as Le and Mikolov 2014
    (1405.4053) do.
    Data: words.
    Memory: batch x words x dim, and as `binary_pv_dbow`.
    """
    documents, where = _rows("documents", documents, shared)
    code, mean = binarize(documents), _mean_of(contexts, context_where, where)
    hidden = jnp.concatenate([code, mean.astype(code.dtype)], axis=1)
    return sampled_softmax(hidden, targets, negatives, **shared)


@sharing(sampled_softmax, hyperparameters=True)
def binary_pv_dm_sum(
    documents: Array,
    contexts: Array,
    targets: Array,
    negatives: Array,
    *,
    context_where: Array | None = None,
    **shared: Any,
) -> jax.Array:
    """Binary PV-DM with a sum: a document's code plus the mean of context words predicts the word between them.

        value_i = sampled_softmax(h_i, ...),   h = [D > 0] + mean_j E_j

    Args:
      documents: D [batch, bits].
      contexts: E [batch, words, bits], real vectors of the words around.
      targets: rows of the output table for the words, [batch, bits].
      negatives: rows for the words drawn, [k, bits] or [batch, k, bits].
      context_where: as in `binary_pv_dm`.
      target_log_counts, negative_log_counts, target_bias, negative_bias, negative_where: as in
        `sampled_softmax`.

    Source: as `binary_pv_dm`.
    Data: words.
    Memory: batch x words x bits, and as `binary_pv_dbow`.
    """
    documents, where = _rows("documents", documents, shared)
    code, mean = binarize(documents), _mean_of(contexts, context_where, where)
    checks.shaped("contexts", contexts, (None, None, code.shape[1]), "of as many numbers as bits")
    return sampled_softmax(code + mean.astype(code.dtype), targets, negatives, **shared)


@sharing(sampled_softmax, hyperparameters=True)
def real_binary_pv_dbow(
    documents: Array,
    projection: Array,
    targets: Array,
    negatives: Array,
    *,
    projection_bias: Array | None = None,
    **shared: Any,
) -> jax.Array:
    """Real-Binary PV-DBOW: a short code, projected from a long real vector, predicts each term, in nats.

        value_i = sampled_softmax(h_i, ...),   h = [R A + a > 0], with the sigmoid's gradient

    Codes filter and real vectors rank: `search.within_radius`.

    Args:
      documents: R [batch, dim], the document's row, for each occurrence of a term.
      projection: A [dim, bits], the same on every device.
      targets: rows of the output table for the terms, [batch, bits].
      negatives: rows for the terms drawn, [k, bits] or [batch, k, bits].
      projection_bias: a [bits]; None is 0.
      target_log_counts, negative_log_counts, target_bias, negative_bias, negative_where: as in
        `sampled_softmax`.

    Source: Grzegorczyk and Kurdziel 2017 (1611.01116), Real-Binary PV-DBOW.
    Data: words.
    Memory: as `binary_pv_dbow`, and batch x dim.
    """
    documents, _ = _rows("documents", documents, shared)
    projection = at_least_float32(real_numbers("projection", projection))
    checks.shaped("projection", projection, (documents.shape[1], None), "a row per number")
    before = jnp.matmul(documents, projection, precision="highest")
    if projection_bias is not None:
        bias = real_numbers("projection_bias", projection_bias)
        checks.shaped("projection_bias", bias, projection.shape[1:], "one per bit")
        before = before + bias
    return sampled_softmax(binarize(before), targets, negatives, **shared)


def _rows(name, array, shared):
    """Rows [batch, dim] with zeros in padding, and which rows count."""
    settings = {"weights": shared["weights"], name: array}
    return of_rows(shared["where"], shared["axis_name"], "batch, dim", **settings)


def _mean_of(contexts, context_where, where):
    """The mean of each row's context vectors, [batch, dim]."""
    contexts = at_least_float32(real_numbers("contexts", contexts))
    checks.shaped("contexts", contexts, (len(where), None, None), "some per row of documents")
    there = checks.mask("context_where", context_where, contexts.shape[:2], "one per context")
    there = there & where[:, None]
    return masked.mean(zeroed(contexts, there), there[:, :, None], axis=1)
