"""CDF-based dynamic soft margin: a pair's weight is its rank among the pairs of the batches so far.

    queries [batch, dim], documents [batch, dim], histogram [bins + 1] -> loss

The histogram is state, passed in and returned; it starts as zeros and carries no gradient:

    histogram = margin_histogram(histogram, queries, documents, axis_name="devices")
    loss = dynamic_soft_margin(queries, documents, histogram, axis_name="devices")
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import EVERY, sharing
from jaxsim.losses._lift._examples import real_numbers, reduced
from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.losses.labels._fast_ap import soft_counts
from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array, ArrayTree, Numeric
from jaxsim.similarity import negative_unit_euclidean


@over_pairs(similarity=negative_unit_euclidean)
def _own_and_nearest(scores, positives, where):
    negatives = where & ~positives
    return [
        (masked.sum(scores, positives), positives.any(axis=1)),
        (masked.max(scores, negatives), negatives.any(axis=1)),
    ]


@sharing(_own_and_nearest, only=EVERY)  # a pair looks for its negative in both directions
def dynamic_soft_margin(
    queries: ArrayTree, documents: ArrayTree, histogram: Array, **shared: Any
) -> jax.Array:
    """Dynamic soft margin triplet loss: the nearest negative of either side, weighted by the pair's rank so far.

        value_i = CDF(d_i) d_i,   d_i = D_ii - min over j != i of D_ij and D_ji
        CDF(d) = the share of the histogram up to d's step, without gradient

    There is no margin hyperparameter: the hardest pairs get weight 1, the easiest weight 0. Values are
    negative for easy pairs. Counts the pairs that have a negative.

    Args:
      queries, documents: [batch, dim], row i of one belongs to row i of the other.
      histogram: [bins + 1], of d from -2 to 2; `margin_histogram` of this batch first, as the paper has
        it. Scaled to sum 1.

    Source: Zhang and Rusinkiewicz 2019, the CDF-based dynamic soft margin, and their released code, which
    also leaves out negatives nearer than 0.008, as copies.
    Data: pairs, unlabeled.
    Kind: batch statistics; memory block x documents, walked both ways.
    """
    histogram = _checked(histogram)
    weights, reduce_fn = (shared.pop(name) for name in ("weights", "reduce_fn"))
    gaps, counted = _gaps(queries, documents, **shared)
    steps = jnp.floor(_places(gaps, histogram)).astype(jnp.int32)
    shares = jnp.cumsum(histogram) / jnp.maximum(
        jnp.sum(histogram), jnp.finfo(histogram.dtype).tiny
    )
    shares = shares[jnp.clip(steps, 0, len(histogram) - 1)].astype(gaps.dtype)
    return reduced(shares * gaps, counted, weights, shared["axis_name"], reduce_fn)


@sharing(_own_and_nearest, only=("similarity", "where", "axis_name", "block"))
def margin_histogram(
    histogram: Array,
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    momentum: Numeric = 0.01,
    **shared: Any,
) -> jax.Array:
    """Updates the histogram of `dynamic_soft_margin` with a batch, by a moving average.

        histogram <- (1 - momentum) histogram + momentum h / sum h
        h_r = sum_i [1 - |d_i - t_r| / step]+,   t_r = -2 + r step, step = 4 / bins

    d as in `dynamic_soft_margin`. A histogram of zeros, the first one, becomes the batch's; of a batch
    where no pair has a negative it stays.

    Args:
      histogram: [bins + 1], of sum 1 or 0; the authors' code has 512 places, 511 bins;
        pytorch-metric-learning has 10 bins.
      queries, documents: [batch, dim].
      momentum: how much of the batch comes in, from 0 to 1; may be traced. 0.01 is the authors' code.
        pytorch-metric-learning does not divide h by its sum: for a batch of n pairs its momentum m is
        m n / (1 - m + m n) here.

    Returns: [bins + 1], the same on every device, without gradient.
    Raises: ValueError as `dynamic_soft_margin`, and for a momentum outside [0, 1].
    Source: Zhang and Rusinkiewicz 2019, and their released code.
    Data: pairs, unlabeled.
    Kind: state; memory bins.
    """
    checks.probability("momentum", momentum)
    old = _checked(histogram)
    axis_name = shared["axis_name"]
    gaps, counted = _gaps(queries, documents, **shared)
    counts = soft_counts(_places(gaps, old)[None], counted[None], len(old) - 1)[0]
    if axis_name is not None:
        counts = jax.lax.psum(counts, axis_name)
    counts = jax.lax.stop_gradient(counts).astype(old.dtype)
    total = jnp.sum(counts)
    new = counts / jnp.where(total <= 0, 1, total)
    share = jnp.where(jnp.all(old <= 0), 1, momentum)
    return jnp.where(total <= 0, old, (1 - share) * old + share * new).astype(old.dtype)


def _checked(histogram):
    histogram = jax.lax.stop_gradient(at_least_float32(real_numbers("histogram", histogram)))
    checks.shaped("histogram", histogram, (None,), "one more than bins")
    checks.whole("bins, the histogram's length less one,", len(histogram) - 1)
    return histogram


def _places(gaps, histogram):
    """Where from 0 to bins distances from -2 to 2 are, without gradient."""
    bins = len(histogram) - 1
    return jnp.clip((jax.lax.stop_gradient(gaps) + 2) * (bins / 4), 0, bins)


def _gaps(queries, documents, **shared):
    """d [batch], and which rows have a negative."""
    sides = _own_and_nearest(queries, documents, **shared, reduce_fn=None)
    (of_pairs, _), (nearest, counted) = sides
    _, (nearest_query, _) = _own_and_nearest(documents, queries, **shared, reduce_fn=None)
    return jnp.maximum(nearest, nearest_query) - of_pairs, counted > 0
