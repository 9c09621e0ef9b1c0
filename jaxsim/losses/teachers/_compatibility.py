"""Compatible representations: a new model whose embeddings can be searched in an old model's index.

new [batch, dim], old [batch, dim], labels [batch] -> loss
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import EVERY, preset, sharing
from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.losses.classes._normalized_softmax import normalized_softmax
from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array, Numeric
from jaxsim.similarity import dot

SHARED = "where", "weights", "axis_name", "block", "reduce_fn"


@over_pairs
def _against_other_classes(scores, positives, where, own, *, temperature):
    checks.positive("temperature", temperature)
    scores, own = scores / temperature, own & where
    candidates = own | (where & ~positives)
    values = masked.log_sum_exp(scores, candidates) - masked.sum(scores, own)
    return values, own.any(axis=1)


@over_pairs
def _against_zeroed_classmates(scores, positives, where, own, *, temperature):
    checks.positive("temperature", temperature)
    scores, own = scores / temperature, own & where
    classmates = jnp.maximum((positives | own).sum(axis=1), 1).astype(scores.dtype)
    others = masked.log_sum_exp(scores, where & ~positives & ~own)
    there = (where & ~positives & ~own).any(axis=1)
    others = jnp.where(there, others, -jnp.inf)
    values = jnp.logaddexp(jnp.log(classmates), others) - masked.sum(scores, own)
    return values, own.any(axis=1)


@sharing(_against_other_classes, only=SHARED)
def higher_order_compatibility(
    new: Array, old: Array, labels: Array, *, temperature: Numeric = 0.1, **shared: Any
) -> jax.Array:
    """Higher-order compatibility (HOC): InfoNCE from an image's old embedding to its new one.

        value_i = log( exp(s_ii) + sum_{j: y_j != y_i} exp(s_ij) ) - s_ii,   s_ij = cos(old_i, new_j) / temperature

    Other images of the same class are neither positives nor negatives. Only `new` gets a gradient.

    Args:
      new: [batch, dim], of the model that is trained.
      old: [batch, dim], of the model before, the same images, in its evaluation mode.
      labels: int [batch].
      temperature: divides the cosines, > 0; may be traced. 0.1 is the paper's scale of 10.

    Source: Biondi et al. 2024 (2405.02581), equation 4, with the positive in the denominator.
    Data: teacher embeddings.
    """
    old, new, ids = _models(new, old, labels)
    return _against_other_classes(old, new, temperature=temperature, **ids, **shared)


@sharing(_against_zeroed_classmates, only=SHARED)
def higher_order_compatibility_released(
    new: Array, old: Array, labels: Array, *, temperature: Numeric = 0.1, **shared: Any
) -> jax.Array:
    """`higher_order_compatibility` as its authors released it: classmates count as similarity 0.

        value_i = log( m_i + sum_{j: y_j != y_i} exp(s_ij) ) - s_ii,   s_ij = cos(old_i, new_j) / temperature

    with m_i the images of i's class in the batch, itself included. The positive is not in the
    denominator, so that the value is negative near the optimum and the pull does not fade.

    Args:
      new, old, labels, temperature: as in `higher_order_compatibility`.

    Source: Biondi et al. 2024 (2405.02581), its released code.
    Data: teacher embeddings.
    """
    old, new, ids = _models(new, old, labels)
    return _against_zeroed_classmates(old, new, temperature=temperature, **ids, **shared)


@sharing(higher_order_compatibility, only=EVERY)
def stationary(
    embeddings: Array,
    old: Array,
    labels: Array,
    class_weights: Array,
    *,
    weight: Numeric = 0.1,
    temperature: Numeric = 0.1,
    **shared: Any,
) -> jax.Array:
    """Stationary representations (d-Simplex-HOC): a fixed simplex classifier, and compatibility with the old model.

        weight cross_entropy(embeddings class_weights^T) + (1 - weight) higher_order_compatibility

    Logits are dot products with fixed class vectors, without norm, scale or margin.

    Args:
      embeddings: [batch, classes - 1], not normalized.
      old: [batch, classes - 1], of the model before.
      labels: int [batch], rows of `class_weights`, such as `similarity.reverse_slots` gives.
      class_weights: [classes, classes - 1], `similarity.simplex_vertices(classes)`.
      weight: of the cross-entropy, from 0 to 1; 0.1 is the paper.
      temperature: of the compatibility, > 0; may be traced. 0.1 is the paper's scale of 10.

    Source: Biondi et al. 2024 (2405.02581), equation 3.
    Data: teacher embeddings.
    Kind: composition; memory block x batch and classes.
    """
    checks.probability("weight", weight)
    old = matrix("old", old, "one row per image")
    reduce_fn = shared.pop("reduce_fn")
    entropy = backward_compatible(embeddings, labels, class_weights, reduce_fn=reduce_fn, **shared)
    compatible = higher_order_compatibility(
        embeddings, old, labels, temperature=temperature, reduce_fn=reduce_fn, **shared
    )
    if reduce_fn is None:
        return entropy, compatible
    return weight * entropy + (1 - weight) * compatible


def _models(new, old, labels):
    """What a loss over pairs takes: old embeddings are the queries, and images of a class share their ids."""
    new, old = matrix("new", new, "one row per image"), matrix("old", old, "one row per image")
    checks.shaped("old", old, new.shape, "as new")
    labels = checks.column("labels", labels, len(new), "one per row of new")
    return jax.lax.stop_gradient(old), new, {"query_ids": labels, "document_ids": labels}


backward_compatible = preset(
    normalized_softmax,
    "backward_compatible",
    """Backward-compatible training (BCT): cross-entropy of new embeddings under the old model's classifier.

        value_i = log sum_c exp(x_i . w_c / temperature) - x_i . w_{y_i} / temperature

    It is added to the new model's own loss. Examples of classes that the old model did not have must be
    left out by `where`.

    Args:
      temperature: divides the scores, > 0; may be traced.

    Source: Shen et al. 2020 (2003.11942), the influence loss.
    Data: teacher embeddings.
    """,
    similarity=dot,
    temperature=1.0,
)
