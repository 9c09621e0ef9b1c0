"""Classification by the angle to a vector per class, with a margin for the right one.

    embeddings [batch, dim], labels [batch], class_weights [classes, dim] -> loss

Labels are places in the class weights, which are parameters like any others, the same on every device.
No arc cosine is taken, which has no slope at 1 and no value beyond: cos(a + b) is had from cos(a).
"""

import jax.numpy as jnp

from jaxsim.losses._lift._classes import eased_softmax
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics._reductions import mean


@checked
def normalized_softmax(
    embeddings,
    labels,
    class_weights,
    *,
    temperature=0.05,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """Softmax classification on cosines, in nats.

        value_i = log sum_c exp(cos(x_i, w_c) / temperature) - cos(x_i, w_{y_i}) / temperature

    Counts all examples.

    Args:
      embeddings: [batch, dim].
      labels: int [batch], places in `class_weights`. One beyond them is refused; of labels on a device, or
        traced, the loss is then NaN. `where` leaves rows without a class out.
      class_weights: [classes, dim].
      temperature: divides the cosines, > 0; may be traced.
      where: bool [batch], False for padding.
      weights: [batch].
      axis_name: the named axis over which the batch is split.
      block: examples per block of scores; None chooses it from the sizes.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound, a block below 1.
    Source: Zhai and Wu 2019 (1811.12649), the normalized softmax and its temperature.
    Data: labels.
    Kind: proxies; memory block x classes.
    """
    return eased_softmax(
        lambda cosines: cosines,
        embeddings,
        labels,
        class_weights,
        temperature=temperature,
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


@checked
def cosface(
    embeddings,
    labels,
    class_weights,
    *,
    margin=0.35,
    temperature=1 / 64,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """`normalized_softmax` with a margin on the cosine of the right class.

        value_i: cos(x_i, w_{y_i}) - margin in place of cos(x_i, w_{y_i}), in both terms

    Counts all examples. Also known as the additive margin softmax.

    Args:
      margin: in cosine; 0.35 is the paper.
      temperature: divides the cosines, > 0; the inverse of the paper's scale of 64. May be traced.
      the rest: as in `normalized_softmax`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `normalized_softmax`.
    Source: Wang et al. 2018 (1801.09414), equation 4.
    Data: labels.
    Kind: proxies; memory block x classes.
    """
    return eased_softmax(
        lambda cosines: cosines - margin,
        embeddings,
        labels,
        class_weights,
        temperature=temperature,
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


@checked
def arcface(
    embeddings,
    labels,
    class_weights,
    *,
    margin=0.5,
    temperature=1 / 64,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """`normalized_softmax` with a margin on the angle to the right class.

        value_i: cos(angle_i + margin) in place of cos(angle_i), in both terms, angle_i to w_{y_i}

    Beyond an angle of pi - margin, where that cosine would rise again, it is cos(angle_i) -
    margin sin(margin), as the authors' code has it. Counts all examples. An
    example on its class's vector has the slope of the cosine part alone.

    Args:
      margin: in radians, 0 to pi; 0.5 is the paper, 28.6 degrees.
      temperature: divides the cosines, > 0; the inverse of the paper's scale of 64. May be traced.
      the rest: as in `normalized_softmax`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `normalized_softmax`.
    Source: Deng et al. 2019 (1801.07698), equation 3.
    Data: labels.
    Kind: proxies; memory block x classes.
    """
    return eased_softmax(
        lambda cosines: at_wider_angle(cosines, margin),
        embeddings,
        labels,
        class_weights,
        temperature=temperature,
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


def at_wider_angle(cosines, margin):
    """cos(angle + margin) of cos(angle); beyond pi - margin the cosine less margin sin(margin)."""
    square = 1 - jnp.square(cosines)
    sines = jnp.where(square <= 0, 0, jnp.sqrt(jnp.where(square <= 0, 1, square)))
    wider = cosines * jnp.cos(margin) - sines * jnp.sin(margin)
    return jnp.where(cosines > -jnp.cos(margin), wider, cosines - margin * jnp.sin(margin))
