"""Classification of a pair by both vectors, as Sentence-BERT does it.

first [pairs, dim], second [pairs, dim], labels int [pairs], kernel [features, classes] -> loss
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import sharing
from jaxsim.losses._lift._examples import of_rows, real_numbers
from jaxsim.losses.classes._cross_entropy import cross_entropy
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array


def pair_features(first: Array, second: Array) -> jax.Array:
    """The features of Sentence-BERT's classifier of two vectors: u, v and |u - v|, [..., 3 dim].

    Where the two are equal |u - v| has slope 0.

    Data: graded pairs.
    Kind: part; memory batch x dim.
    """
    difference = first - second
    # Slope 0 where the two are equal, not 1.
    distance = jnp.where(difference == 0, 0, jnp.abs(difference))
    return jnp.concatenate([first, second, distance], axis=-1)


@sharing(cross_entropy)
def pair_classification(
    first: Array,
    second: Array,
    labels: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    features: Callable[..., jax.Array] = pair_features,
    **shared: Any,
) -> jax.Array:
    """Pair classification: softmax over classes of a pair, entailment say, by a linear classifier, in nats.

        value_i = cross-entropy of label i at  features(u_i, v_i) kernel + bias

    The classifier is trained along with the vectors and not used afterwards.

    Args:
      first, second: u, v [pairs, dim].
      labels: int [pairs].
      kernel: [features, classes], 3 dim features by default. A parameter, not split over devices.
      bias: [classes], or None.
      features: (u, v) -> [pairs, features].

    Source: Sentence-BERT (Reimers and Gurevych 2019, 1908.10084), its classification objective.
    Data: graded pairs.
    Memory: batch x classes.
    """
    where, weights, axis_name = (shared[name] for name in ("where", "weights", "axis_name"))
    first, second, _ = of_rows(
        where, axis_name, "pairs, dim", weights=weights, first=first, second=second
    )
    rows, kernel = features(first, second), real_numbers("kernel", kernel)
    checks.shaped("kernel", kernel, (rows.shape[-1], None), "a row for each feature")
    logits = jnp.matmul(rows, at_least_float32(kernel), precision="highest")
    if bias is not None:
        bias = real_numbers("bias", bias)
        checks.shaped("bias", bias, kernel.shape[1:], "one per class")
        logits = logits + bias
    return cross_entropy(logits, labels, **shared)
