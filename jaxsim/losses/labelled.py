"""A labelled batch as `Rows`, for losses that call the lifter themselves."""

import jax.numpy as jnp

from jaxsim.losses.examples import mask
from jaxsim.losses.rows import Rows, without_padding
from jaxsim.numerics import checks
from jaxsim.numerics.devices import row_ids
from jaxsim.numerics.norms import at_least_float32


def labelled(embeddings, labels, where, axis_name, inputs=lambda embeddings: ()):
    """The batch after its checks, padding zeroed.

    Args:
      embeddings: [batch, dim].
      labels: [batch].
      where: bool [batch], False for padding, or None.
      axis_name: the named axis over which the batch is split, or None.
      inputs: embeddings, padding zeroed -> a tuple of arrays [batch, ...], what further inputs of the
        rule are built from.

    Returns: `Rows` with the labels as keys, every row an example of its own.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    """
    embeddings, labels = jnp.asarray(embeddings), jnp.asarray(labels)
    checks.shaped("embeddings", embeddings, (None, None), "one row per example")
    checks.shaped("labels", labels, embeddings.shape[:1], "one per row of embeddings")
    if axis_name is not None:
        checks.bound(axis_name)
    where = mask("where", where, labels.shape)
    rows = without_padding(Rows(embeddings, labels, row_ids(len(labels), axis_name), where))
    return rows._replace(inputs=inputs(at_least_float32(rows.embeddings)))
