"""Sampled softmax: a softmax over all classes, from a few of them.

queries [batch, dim], targets [batch, dim], negatives [k, dim] or [batch, k, dim] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import real_numbers
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses.words._sgns import scores_of_drawn
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.numerics.types import Array


@over_examples(axes={"queries": "batch, dim", "targets": "batch, dim", "negatives": None})
def sampled_softmax(
    queries: Array,
    targets: Array,
    negatives: Array,
    where: Array,
    *,
    target_log_counts: Array,
    negative_log_counts: Array,
    target_bias: Array | None = None,
    negative_bias: Array | None = None,
    negative_where: Array | None = None,
) -> jax.Array:
    """Sampled softmax: cross-entropy over all classes, estimated from a few drawn ones, in nats.

        value_i = log( e^{t_i} + sum_k e^{n_ik} ) - t_i,
        t_i = q_i . w_{y_i} + b_{y_i} - log E[count of y_i],    n_ik likewise for the classes drawn

    With every other class drawn once and equal counts it is the full softmax.

    Args:
      queries: q [batch, dim].
      targets: rows of the output table for the classes that are right, [batch, dim].
      negatives: rows for the classes drawn, [k, dim] (shared by the batch) or [batch, k, dim].
      target_log_counts: [batch], log of how often the sampler is expected to draw the right class.
      negative_log_counts: [k] or [batch, k], the same for the classes drawn.
      target_bias, negative_bias: b of both, [batch] and [k] or [batch, k]; None is 0.
      negative_where: bool [batch, k], False for a draw that is the row's own class (`not_hits`).

    Source: Jean et al. 2015 (1412.2007), section 3; the correction by expected counts as TensorFlow has it.
    Data: words.
    Memory: batch x negatives, times dim where they are not shared.
    """
    drawn, mask = scores_of_drawn(queries, negatives, negative_where, where)
    right = jnp.sum(queries * targets, axis=-1)
    right = right + _per("target_bias", target_bias, where, optional=True)
    right = right - _per("target_log_counts", target_log_counts, where)
    drawn = drawn + _per("negative_bias", negative_bias, mask, optional=True)
    drawn = drawn - _per("negative_log_counts", negative_log_counts, mask)
    scores = jnp.concatenate([right[:, None], drawn], axis=1)
    mask = jnp.concatenate([jnp.ones_like(mask[:, :1]), mask], axis=1)
    return log_sum_exp(scores, mask) - right


def _per(name, row, mask, optional=False):
    """A value per entry of `mask`, 0 where it does not count; [k] is shared by all rows."""
    if row is None and optional:
        return 0
    row, shape = real_numbers(name, row), mask.shape
    if row.shape not in (shape, shape[-1:]):
        raise ValueError(
            f"{name} must be {list(shape)} or {list(shape[-1:])}, got shape {row.shape}"
        )
    return jnp.where(mask, row, 0)
