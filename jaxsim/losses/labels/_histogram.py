"""Histogram loss.

    embeddings [batch, dim], labels [batch] -> loss

S is the cosine.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.labels._fast_ap import counts_of_sides
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Similarity
from jaxsim.similarity import cosine


@checked
def histogram(
    embeddings: Array,
    labels: Array,
    *,
    bins: int = 100,
    similarity: Similarity = cosine,
    where: Array | None = None,
    axis_name: str | None = None,
    block: int | None = None,
) -> jax.Array:
    """Histogram loss: the probability that a random negative pair scores above a random positive pair.

        sum_r h^-_r sum_{q <= r} h^+_q
        h_r = mean over pairs of max(0, 1 - |S - t_r| / step),   t_r = -1 + r step, r = 0 .. bins

    h^+ is of the positive pairs and h^- of the negative ones, of the whole batch. Scores beyond -1 and
    1 count as these.

    Args:
      embeddings: [batch, dim].
      labels: int [batch].
      bins: R, how many steps of 2 / R; 100 is the paper.
      similarity, where, axis_name, block: as in `fast_ap`. Histograms are of the whole batch: rows have no
        weights or values.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where there is no positive
    or no negative pair.
    Raises: ValueError as `fast_ap`.
    Source: Ustinova and Lempitsky 2016 (1611.00822), equations 2 to 4.
    Data: labels.
    Kind: batch statistics; memory block x references, and batch x bins.
    """

    of_positives, of_negatives = _histograms(
        embeddings,
        labels,
        bins=bins,
        similarity=similarity,
        where=where,
        axis_name=axis_name,
        block=block,
        reduce_fn=None,
    )
    ahead = jnp.cumsum(_shares(*of_positives, axis_name))
    return jnp.sum(_shares(*of_negatives, axis_name) * ahead)


@over_labels
def _histograms(scores, positives, where, *, bins):
    """Of each row's positive and negative pairs: values [rows, bins + 1], weights the pairs."""
    checks.whole("bins", bins)
    places = (scores + 1) * (bins / 2)
    counts = counts_of_sides(places, positives, where, bins)
    sides = where & ~positives, positives
    return [(counts[:, side], sides[side].sum(axis=1)) for side in (1, 0)]


def _shares(counts, pairs, axis_name):
    sums = jnp.sum(counts, axis=0), jnp.sum(pairs)
    counts, pairs = sums if axis_name is None else jax.lax.psum(sums, axis_name)
    return counts / jnp.maximum(pairs, 1)
