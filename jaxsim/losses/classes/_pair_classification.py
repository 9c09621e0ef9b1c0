"""Classification of a pair by both vectors, as Sentence-BERT does it.

first [pairs, dim], second [pairs, dim], labels int [pairs], kernel [features, classes] -> loss
"""

import jax.numpy as jnp

from jaxsim.losses._lift._examples import of_rows, real_numbers
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.classes._cross_entropy import cross_entropy
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean


def pair_features(first, second):
    """What Sentence-BERT shows its classifier of two vectors: u, v and |u - v|, [..., 3 dim].

    Where the two are equal |u - v| has slope 0.

    Data: graded pairs.
    Kind: part; memory batch x dim.
    """
    apart = first - second
    apart = jnp.where(apart == 0, 0, jnp.abs(apart))  # slope 0 there, not 1
    return jnp.concatenate([first, second, apart], axis=-1)


@checked
def pair_classification(
    first,
    second,
    labels,
    kernel,
    bias=None,
    *,
    features=pair_features,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """The class of a pair, entailment say, told by a linear classifier of both vectors, in nats.

        value_i = cross-entropy of label i at  features(u_i, v_i) kernel + bias

    The classifier is trained along and thrown away; the vectors are what stays.

    Args:
      first, second: u, v [pairs, dim].
      labels: int [pairs].
      kernel: [features, classes], 3 dim features unless told. A parameter, not split over devices.
      bias: [classes], or None.
      features: (u, v) -> [pairs, features].
      where: bool [pairs], False for padding. What stands there has no influence, NaN included.
      weights, axis_name, reduce_fn: as in `binary_cross_entropy`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `cross_entropy`, and for a kernel that does not fit.
    Source: Sentence-BERT (Reimers and Gurevych 2019, 1908.10084), its classification objective.
    Data: graded pairs.
    Kind: per example; memory batch x classes.
    """
    first, second, _ = of_rows(
        where, axis_name, "pairs, dim", weights=weights, first=first, second=second
    )
    shown, kernel = features(first, second), real_numbers("kernel", kernel)
    checks.shaped("kernel", kernel, (shown.shape[-1], None), "a row for each feature")
    logits = jnp.matmul(shown, at_least_float32(kernel), precision="highest")
    if bias is not None:
        bias = real_numbers("bias", bias)
        checks.shaped("bias", bias, kernel.shape[1:], "one per class")
        logits = logits + bias
    return cross_entropy(
        logits, labels, where=where, weights=weights, axis_name=axis_name, reduce_fn=reduce_fn
    )
