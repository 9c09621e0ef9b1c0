"""Losses of words and items in two tables: skip-gram with negative sampling, sampled softmax.

    targets [batch, dim], contexts [batch, dim], negatives [k, dim] or [batch, k, dim] -> loss

The rows come from two tables that stay apart: what one predicts with, and what is predicted. Rows are
looked up by the caller, so that an optimizer can update just these (jaxsim.training.sgd_rows).
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import of_rows, real_numbers, reduced, with_weight
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import log_sum_exp, zeroed


@checked
def sgns(
    targets,
    contexts,
    negatives,
    *,
    negative_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Skip-gram with negative sampling: a pair that was seen against pairs that were drawn, in nats.

        value_i = -log sigmoid(v_i . u_i) - sum_k log sigmoid(-v_i . n_ik)

    The negatives are summed, not averaged, so that their number and the learning rate stay apart.

    Args:
      targets: v [batch, dim], rows of the input table.
      contexts: u [batch, dim], rows of the output table.
      negatives: [k, dim], shared by the batch, or [batch, k, dim]; rows of the output table.
      negative_where: bool [batch, k], False for a draw that hit what it must not (`not_hits`).
      where: bool [batch], False for padding.
      weights: [batch], such as how often the pair was seen.
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Mikolov et al. 2013 (1310.4546), equation 4.
    Data: words.
    Kind: per example; memory batch x negatives, times dim where they are not shared.
    """
    targets, contexts, where = of_rows(
        where, axis_name, "batch, dim", weights=weights, targets=targets, contexts=contexts
    )
    drawn, kept = _drawn(targets, negatives, negative_where, with_weight(where, weights))
    seen = jax.nn.softplus(-jnp.sum(targets * contexts, axis=-1))
    unseen = jnp.where(kept, jax.nn.softplus(drawn), 0).sum(axis=1)
    return reduced(seen + unseen, where, weights, axis_name, reduce_fn)


@checked
def sampled_softmax(
    queries,
    targets,
    negatives,
    *,
    target_log_counts,
    negative_log_counts,
    target_bias=None,
    negative_bias=None,
    negative_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """Softmax cross-entropy over all classes, estimated from a few drawn ones, in nats.

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
      where: bool [batch], False for padding.
      weights: [batch].
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Jean et al. 2015 (1412.2007), section 3; the correction by expected counts as TensorFlow has it.
    Data: words.
    Kind: per example; memory batch x negatives, times dim where they are not shared.
    """
    queries, targets, where = of_rows(
        where, axis_name, "batch, dim", weights=weights, queries=queries, targets=targets
    )
    there = with_weight(where, weights)
    drawn, kept = _drawn(queries, negatives, negative_where, there)
    right = jnp.sum(queries * targets, axis=-1)
    for sign, name, row in (
        (1, "target_bias", target_bias),
        (-1, "target_log_counts", target_log_counts),
    ):
        right = right + sign * _per(name, row, there, sign > 0)
    for sign, name, row in (
        (1, "negative_bias", negative_bias),
        (-1, "negative_log_counts", negative_log_counts),
    ):
        drawn = drawn + sign * _per(name, row, kept, sign > 0)
    scores = jnp.concatenate([right[:, None], drawn], axis=1)
    kept = jnp.concatenate([jnp.ones_like(kept[:, :1]), kept], axis=1)
    return reduced(log_sum_exp(scores, kept) - right, where, weights, axis_name, reduce_fn)


def not_hits(target_ids, negative_ids):
    """Which draws are not the row's own class: accidental hits are no negatives.

    Args:
      target_ids: int [batch], or [batch, c] where a row has several classes of its own.
      negative_ids: int [k], shared by the batch, or [batch, k].

    Returns: bool [batch, k].
    Data: words.
    Kind: part; memory batch x negatives.
    """
    target_ids = checks.numbers_of("target_ids", target_ids)
    negative_ids = checks.numbers_of("negative_ids", negative_ids)
    for name, ids in (("target_ids", target_ids), ("negative_ids", negative_ids)):
        checks.integers(name, ids)
        if ids.ndim not in (1, 2):
            raise ValueError(f"{name} must have one or two axes, got shape {ids.shape}")
    if negative_ids.ndim == 2:
        checks.shaped("negative_ids", negative_ids, (len(target_ids), None), "some per row")
    own = target_ids.reshape(target_ids.shape[0], -1)
    drawn = negative_ids if negative_ids.ndim == 2 else negative_ids[None]
    return (own[:, :, None] != drawn[:, None, :]).all(axis=1)


def _drawn(rows, negatives, negative_where, there):
    """Scores of the negatives [batch, k], and which count; what does not may hold anything."""
    negatives = at_least_float32(real_numbers("negatives", negatives))
    batch, dim = rows.shape
    if negatives.ndim == 2:
        checks.shaped("negatives", negatives, (None, dim), "of the rows' dimension")
        kept = checks.mask(
            "negative_where", negative_where, (batch, len(negatives)), "one per draw"
        )
        kept = kept & there[:, None]
        negatives = zeroed(negatives, kept.any(axis=0))
        return jnp.matmul(rows, negatives.T, precision="highest"), kept
    checks.shaped("negatives", negatives, (batch, None, dim), "some per row")
    kept = checks.mask("negative_where", negative_where, negatives.shape[:2], "one per draw")
    kept = kept & there[:, None]
    negatives = zeroed(negatives, kept)
    return jnp.einsum("bd,bkd->bk", rows, negatives, precision="highest"), kept


def _per(name, row, kept, optional):
    """A value per entry of `kept`, 0 where it does not count; [k] is shared by all rows."""
    if row is None and optional:
        return 0
    row, shape = real_numbers(name, row), kept.shape
    if row.shape not in (shape, shape[-1:]):
        raise ValueError(
            f"{name} must be {list(shape)} or {list(shape[-1:])}, got shape {row.shape}"
        )
    return jnp.where(kept, row, 0)
