"""Cross-entropy against a frozen table of class vectors.

embeddings [batch, dim], labels [batch], class_vectors [vectors, dim] -> loss
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.losses._lift._compositions import sharing
from jaxsim.losses._lift._lifters import equal_labels, over_labels
from jaxsim.losses.pairs._info_nce import info_nce
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Numeric
from jaxsim.similarity import dot

ROWS_OF_A_TABLE = ["references", "reference_labels", "reference_where", "reference_ids", "ids"]


def _rule(scores, positives, where, *, temperature):
    """`info_nce`, where every row counts: NaN for one that has no vector of its class."""
    values, known = info_nce.rule(scores, positives, where, temperature=temperature)
    return jnp.where(known, values, jnp.nan), jnp.ones_like(known)


_against_a_table = over_labels(_rule, similarity=dot)


@sharing(_against_a_table, without=ROWS_OF_A_TABLE)
def frozen_class_cross_entropy(
    embeddings: Array,
    labels: Array,
    class_vectors: Array,
    *,
    class_labels: Array | None = None,
    temperature: Numeric = 1.0,
    **shared: Any,
) -> jax.Array:
    """Cross-entropy against frozen class vectors (DefSent+): the table of classes is not trained, in nats.

        value_i = log sum_c exp(x_i . e_c / temperature) - log sum_{c: class_c = y_i} exp(x_i . e_c / temperature)

    Classes may have several vectors, any of which is right. Equal vectors of different classes put a floor of log k
    under the loss, k the number of equal ones, and pull embeddings from their own class: give them one label, or
    make them one vector. A vector that is added to all of the table changes nothing. Counts all examples.

    Args:
      class_vectors: e [vectors, dim], the same on every device; no gradient.
      class_labels: int [vectors], the class of each vector; None numbers them. A label without a vector is refused;
        on a device, or traced, the loss is then NaN.
      temperature: divides the scores, > 0; may be traced. 1 is the paper. Scores in the thousands, as of a table
        after independent component analysis, need float32 at least.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> round(float(losses.frozen_class_cross_entropy(np.zeros((1, 2)), np.array([0]), np.eye(2))), 4)  # log 2
      0.6931

    Source: DefSent+ (Liu 2024, 2405.16153), its entry embeddings as a classifier.
    Data: labels.
    """
    class_vectors = jax.lax.stop_gradient(checks.vectors("class_vectors", class_vectors))
    count = class_vectors.shape[0]
    numbers = np.arange(count) if class_labels is None else class_labels
    checks.column("class_labels", numbers, count, "one per row of class_vectors")
    checks.numbers_of("labels", labels)
    if shared["same"] is equal_labels and checks.host(labels, numbers):
        _known(np.asarray(labels), np.asarray(numbers), shared["where"])
    return _against_a_table(
        embeddings,
        labels,
        references=class_vectors,
        reference_labels=numbers,
        temperature=temperature,
        **shared,
    )


def _known(labels, numbers, where):
    """Refuses labels that no vector has."""
    missing = ~np.isin(labels, numbers)
    if where is not None:
        checks.given_mask("where", where, labels.shape)
        if not checks.host(where):
            return
        missing = missing & np.asarray(where)
    if missing.any():
        raise ValueError(
            f"labels must be those of class_vectors, got {labels[missing][0]}: leave rows without a class "
            "out with where="
        )
